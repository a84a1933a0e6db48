"""Quotas of projects and of quota classes."""

from __future__ import annotations

from typing import Any

from higgins.api.route import Call, Route
from higgins.api.schema import container, types
from higgins.api.schema.operators import QUOTA, QUOTA_SHOW, RESOURCES
from higgins.api.schema.table import OWN, Version
from higgins.api.view import operators as view

_SINCE = (1, 26)


def show(call: Call) -> dict[str, Any]:
    return _shown(call, call.ident)


def show_own(call: Call) -> dict[str, Any]:
    """GET /v1/quotas: of the caller's own project, whose id he need not know."""
    return _shown(call, call.caller.project_id)


def _shown(call: Call, project_id: str) -> dict[str, Any]:
    if call.args.get("usages", False):
        return dict(view.usages(*call.control.quotas.usages(call.caller, project_id)))
    return dict(view.limits(call.control.quotas.get(call.caller, project_id)))


def defaults(call: Call) -> dict[str, int]:
    return view.limits(call.control.quotas.defaults(call.caller, call.ident))


def update(call: Call) -> dict[str, int]:
    return view.limits(call.control.quotas.update(call.caller, call.ident, call.args))


def delete(call: Call) -> None:
    call.control.quotas.delete(call.caller, call.ident)


def show_class(call: Call) -> dict[str, int]:
    return view.limits(call.control.quotas.get_class(call.caller, call.ident))


def update_class(call: Call) -> dict[str, int]:
    return view.limits(call.control.quotas.update_class(call.caller, call.ident, call.args))


def _shown_schema(version: Version) -> dict[str, Any]:
    """Limits, or with ``usages`` pairs of limit and use."""
    pair = {"type": "object", "properties": {"limit": types.INT_SCHEMA, "in_use": types.NUMBER_SCHEMA}}
    both = {"anyOf": [types.INT_SCHEMA, pair]}
    return {"type": "object", "properties": dict.fromkeys(RESOURCES, both), "required": list(RESOURCES)}


_OF_PROJECT = "/v1/quotas/{ident}"
_OF_CLASS = "/v1/quota_classes/{ident}"

ROUTES = (
    Route("GET", "/v1/quotas", show_own, "Show the quota of one's own project.", args=QUOTA_SHOW, since=OWN, reply=_shown_schema),
    Route("GET", _OF_PROJECT, show, "Show a project's quota.", args=QUOTA_SHOW, since=_SINCE, reply=_shown_schema),
    Route("PUT", _OF_PROJECT, update, "Set a project's quota.", args=QUOTA, merged=True, since=_SINCE, reply=QUOTA.reply_schema),
    Route("DELETE", _OF_PROJECT, delete, "Give a project the default quota.", args=container.ANYTHING, since=_SINCE),
    Route("GET", _OF_PROJECT + "/defaults", defaults, "Show the default quota.", args=container.ANYTHING, since=_SINCE,
          reply=QUOTA.reply_schema),
    Route("GET", _OF_CLASS, show_class, "Show a quota class.", args=container.NOTHING, since=_SINCE, reply=QUOTA.reply_schema),
    Route("PUT", _OF_CLASS, update_class, "Set a quota class.", args=QUOTA, merged=True, since=_SINCE, reply=QUOTA.reply_schema),
)  # fmt: skip
