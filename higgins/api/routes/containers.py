"""Containers: create, list, show, change, delete."""

from __future__ import annotations

import dataclasses
from typing import Any

from higgins.api import paging
from higgins.api.route import Call, Reply, Route
from higgins.api.routes.shown import Shown, item_schema, one_schema
from higgins.api.schema import container as schema
from higgins.api.schema import operators
from higgins.api.schema.table import too_early
from higgins.control.requests import ContainerChange, MountRequest, NetworkRequest, NewContainer
from higgins.core import errors

_RENAMED = {"memory": "memory_mib", "disk": "disk_gib"}
_BUILT = ("nets", "mounts")
_SAME = tuple(field.name for field in dataclasses.fields(NewContainer) if field.name not in _BUILT)
_SORTS = {"status": "phase", "task_state": "wish", "status_reason": "reason"}


def create(call: Call) -> Reply:
    pod = call.control.containers.create(
        call.caller,
        _new_container(call),
        run=call.args.get("run", False),
        idempotency_key=call.idempotency_key,
        request_hash=call.request_hash,
    )
    return Reply(Shown(call).one(pod), location=f"{call.base_url}/v1/containers/{pod.uuid}")


def _new_container(call: Call) -> NewContainer:
    body = call.body
    if body.get("exposed_ports") and body.get("security_groups"):
        raise errors.Invalid("Give either 'exposed_ports' or 'security_groups', not both.")
    given: dict[str, Any] = {name: body[name] for name in _SAME if name in body}
    given |= {field: body[name] for name, field in _RENAMED.items() if name in body}
    if call.version < (1, 36) and call.version >= (1, 20):
        given["tty"] = given.get("interactive", False)  # before tty was a field, an interactive container had one
    if "nets" in body:
        given["nets"] = tuple(_network(net) for net in body["nets"])
    if "mounts" in body:
        given["mounts"] = tuple(_mount(mount) for mount in body["mounts"])
    return NewContainer(**given)


def _network(net: dict[str, Any]) -> NetworkRequest:
    return NetworkRequest(
        network=net.get("network"),
        port=net.get("port"),
        v4=net.get("v4-fixed-ip") or None,
        v6=net.get("v6-fixed-ip") or None,
    )


def _mount(mount: dict[str, Any]) -> MountRequest:
    return MountRequest(
        destination=mount["destination"],
        kind="file" if "content" in mount else "volume",
        source=mount.get("source"),
        size_gib=mount.get("size"),
        content=mount.get("content"),
        read_only=mount.get("read_only", False),
    )


def index(call: Call) -> dict[str, Any]:
    page = paging.page_of(call, columns=_SORTS)
    filters = paging.filters_of(call)
    everywhere = call.args.get("all_projects", False)
    rows = call.control.containers.list(call.caller, filters=filters, page=page, all_projects=everywhere)
    return paging.listed(call, "containers", rows, Shown(call).item, page)


def show(call: Call) -> dict[str, Any]:
    pod = call.control.containers.get(call.caller, call.ident, all_projects=call.args.get("all_projects", False))
    return Shown(call).one(pod)


def change_of(call: Call) -> ContainerChange:
    """The change that the arguments ask for."""
    return ContainerChange(
        name=call.args.get("name"),
        cpu=call.args.get("cpu"),
        memory_mib=call.args.get("memory"),
        auto_heal=call.args.get("auto_heal"),
    )


def update(call: Call) -> dict[str, Any]:
    return Shown(call).one(call.control.containers.update(call.caller, call.ident, change_of(call)))


def delete(call: Call) -> None:
    """DELETE /v1/containers/{ident}; old clients say that they want neither force nor stop."""
    for name, since in (("force", (1, 7)), ("stop", (1, 12))):
        if call.args.get(name, False) and call.version < since:
            raise too_early(name, "a delete", since, call.version)
    call.control.containers.delete(
        call.caller,
        call.ident,
        force=call.args.get("force", False),
        stop=call.args.get("stop", False),
        all_projects=call.args.get("all_projects", False),
    )


_ONE = "/v1/containers/{ident}"

ROUTES = (
    Route("POST", "/v1/containers", create, "Create a container, and run it with ?run=true.", status=202,
          args=schema.RUN, body=schema.CONTAINER, reply=one_schema, located=True),
    Route("GET", "/v1/containers", index, "List containers.", args=operators.paged(*schema.LIST_FILTERS, all_projects=True),
          reply=lambda version: operators.listed("containers", item_schema(version))),
    Route("GET", _ONE, show, "Show a container.", args=schema.SHOW, reply=one_schema),
    Route("PATCH", _ONE, update, "Change a container's name, limits or healing.", args=schema.UPDATE, merged=True, reply=one_schema),
    Route("DELETE", _ONE, delete, "Delete a container; a running one with stop or force.", status=204, args=schema.DELETE),
)  # fmt: skip
