"""Image registries of a project, with credentials that are never shown."""

from __future__ import annotations

from typing import Any

from higgins.api import paging
from higgins.api.route import Call, Reply, Route
from higgins.api.routes.shown import with_links
from higgins.api.schema import container, operators
from higgins.api.schema.operators import REGISTRY, REGISTRY_CREATE, REGISTRY_FILTERS, REGISTRY_UPDATE
from higgins.api.schema.table import Version
from higgins.api.view import operators as view
from higgins.api.view.containers import links
from higgins.control.requests import NewRegistry, RegistryChange
from higgins.store.records.registries import Registry

_FIELDS = ("domain", "name", "username", "password")


def _given(call: Call) -> dict[str, Any]:
    body = call.body["registry"]
    return {name: body[name] for name in _FIELDS if name in body}


def _one(call: Call, row: Registry) -> dict[str, Any]:
    return {"registry": {**view.registry(row), "links": links(row.uuid, call.base_url, "registries")}}


def create(call: Call) -> Reply:
    row = call.control.registries.create(call.caller, NewRegistry(**_given(call)))
    return Reply(_one(call, row), location=f"{call.base_url}/v1/registries/{row.uuid}")


def index(call: Call) -> dict[str, Any]:
    page = paging.page_of(call)
    everywhere = call.args.get("all_projects", False)
    rows = call.control.registries.list(
        call.caller, filters=paging.filters_of(call), page=page, all_projects=everywhere
    )
    return paging.listed(call, "registries", rows, view.registry, page)


def show(call: Call) -> dict[str, Any]:
    return _one(call, call.control.registries.get(call.caller, call.ident))


def update(call: Call) -> dict[str, Any]:
    return _one(call, call.control.registries.update(call.caller, call.ident, RegistryChange(**_given(call))))


def delete(call: Call) -> None:
    call.control.registries.delete(call.caller, call.ident)


def _one_schema(version: Version) -> dict[str, Any]:
    inner = with_links(REGISTRY.reply_schema(version))
    return {"type": "object", "properties": {"registry": inner}, "required": ["registry"]}


_ONE = "/v1/registries/{ident}"

ROUTES = (
    Route("POST", "/v1/registries", create, "Keep a registry's credentials.", status=201, body=REGISTRY_CREATE, reply=_one_schema,
          located=True),
    Route("GET", "/v1/registries", index, "List registries.", args=operators.paged(*REGISTRY_FILTERS, all_projects=True),
          reply=lambda version: operators.listed("registries", REGISTRY.reply_schema(version))),
    Route("GET", _ONE, show, "Show a registry.", args=container.ANYTHING, reply=_one_schema),
    Route("PATCH", _ONE, update, "Change a registry.", body=REGISTRY_UPDATE, reply=_one_schema),
    Route("DELETE", _ONE, delete, "Forget a registry.", status=204, args=container.ANYTHING),
)  # fmt: skip
