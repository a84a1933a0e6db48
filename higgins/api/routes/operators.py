"""What operators look at and switch: hosts, services, availability zones, networks."""

from __future__ import annotations

from typing import Any

from higgins.api import paging
from higgins.api.route import Call, Reply, Route
from higgins.api.routes.shown import with_links
from higgins.api.schema import container, types
from higgins.api.schema import operators as schema
from higgins.api.view import operators as view
from higgins.api.view.containers import links


def hosts(call: Call) -> dict[str, Any]:
    page = paging.page_of(call, default_key="hostname")
    return paging.listed(call, "hosts", call.control.hosts.list(call.caller, page=page), view.host, page)


def host(call: Call) -> dict[str, Any]:
    row = call.control.hosts.get(call.caller, call.ident)
    return {**view.host(row), "links": links(row.uuid, call.base_url, "hosts")}


def services(call: Call) -> dict[str, Any]:
    is_up = call.control.services.is_up
    return {"services": [view.service(row, up=is_up(row)) for row in call.control.services.list(call.caller)]}


def enable(call: Call) -> dict[str, Any]:
    row = call.control.services.enable(call.caller, call.args["host"], call.args["binary"])
    return _switched(row.hostname, row.disabled, row.disabled_reason)


def disable(call: Call) -> dict[str, Any]:
    reason = call.args.get("disabled_reason")
    row = call.control.services.disable(call.caller, call.args["host"], call.args["binary"], reason=reason)
    return _switched(row.hostname, row.disabled, row.disabled_reason)


def force_down(call: Call) -> dict[str, Any]:
    forced = call.args.get("forced_down", True)
    row = call.control.services.force_down(call.caller, call.args["host"], call.args["binary"], forced_down=forced)
    return {"service": {"host": row.hostname, "binary": view.BINARY, "forced_down": row.forced_down}}


def delete_service(call: Call) -> None:
    call.control.services.delete(call.caller, call.args["host"], call.args["binary"])


def zones(call: Call) -> dict[str, Any]:
    found = [{"availability_zone": zone} for zone in call.control.zones.list(call.caller)]
    return {"availability_zones": found, "next": None}


def create_network(call: Call) -> Reply:
    row = call.control.networks.create(
        call.caller, name=call.body["name"], neutron_net_id=call.body.get("neutron_net_id")
    )
    return Reply(view.network(row), location=f"{call.base_url}/v1/networks/{row.uuid}")


def delete_network(call: Call) -> None:
    call.control.networks.delete(call.caller, call.ident)


def _switched(host_name: str, disabled: bool, reason: str | None) -> dict[str, Any]:
    return {"service": {"host": host_name, "binary": view.BINARY, "disabled": disabled, "disabled_reason": reason}}


def _service_schema(version: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"service": types.MAP_SCHEMA}, "required": ["service"]}


_ZONE = {"type": "object", "properties": {"availability_zone": types.TEXT_SCHEMA}, "required": ["availability_zone"]}

ROUTES = (
    Route("GET", "/v1/hosts", hosts, "List hosts.", args=schema.paged(others=True), since=(1, 4),
          reply=lambda version: schema.listed("hosts", schema.HOST.reply_schema(version))),
    Route("GET", "/v1/hosts/{ident}", host, "Show a host.", args=container.ANYTHING, since=(1, 4),
          reply=lambda version: with_links(schema.HOST.reply_schema(version))),
    Route("GET", "/v1/services", services, "List services.", args=container.ANYTHING,
          reply=lambda version: schema.listed("services", schema.SERVICE.reply_schema(version), with_next=False)),
    Route("DELETE", "/v1/services", delete_service, "Forget a service.", args=schema.SERVICE_WHICH, merged=True),
    Route("PUT", "/v1/services/enable", enable, "Let a service take new containers.", args=schema.SERVICE_WHICH, merged=True,
          reply=_service_schema),
    Route("PUT", "/v1/services/disable", disable, "Let a service take no new containers.", args=schema.SERVICE_DISABLE, merged=True,
          reply=_service_schema),
    Route("PUT", "/v1/services/force_down", force_down, "Treat a service as down, or not any more.", args=schema.SERVICE_FORCE_DOWN,
          merged=True, reply=_service_schema),
    Route("GET", "/v1/availability_zones", zones, "List availability zones.", args=container.ANYTHING,
          reply=lambda version: schema.listed("availability_zones", _ZONE)),
    Route("POST", "/v1/networks", create_network, "Make a record of a network.", body=schema.NETWORK, located=True,
          reply=schema.NETWORK.reply_schema),
    Route("DELETE", "/v1/networks/{ident}", delete_network, "Drop the record of a network.", status=204, args=container.ANYTHING,
          since=(1, 27)),
)  # fmt: skip
