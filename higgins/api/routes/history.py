"""What was asked of a container (actions, Zun's) and what its host did about it (events, our own)."""

from __future__ import annotations

from typing import Any

from higgins.api.route import Call, Route
from higgins.api.schema import actions as schema
from higgins.api.schema import container, operators
from higgins.api.schema.table import OWN
from higgins.api.view import history as view
from higgins.store.actions import Action


def _action(call: Call, row: Action) -> dict[str, Any]:
    newer = schema.ACTION.newer_than(call.version)
    return {name: value for name, value in view.action(row).items() if name not in newer}


def index(call: Call) -> dict[str, Any]:
    return {"containerActions": [_action(call, row) for row in call.control.actions.list(call.caller, call.ident)]}


def show(call: Call) -> dict[str, Any]:
    row, steps = call.control.actions.get(call.caller, call.ident, call.path["request_id"])
    return {**_action(call, row), "events": [view.action_event(step) for step in steps]}


def events(call: Call) -> dict[str, Any]:
    return {"events": [view.event(step) for step in call.control.actions.events(call.caller, call.ident)]}


_AT = "/v1/containers/{ident}/"

ROUTES = (
    Route("GET", _AT + "container_actions", index, "What was asked of a container, newest first.", args=container.ANYTHING,
          reply=lambda version: operators.listed("containerActions", schema.action_reply(version, with_events=False), with_next=False)),
    Route("GET", _AT + "container_actions/{request_id}", show, "One thing asked, and its steps.", args=container.ANYTHING,
          reply=lambda version: schema.action_reply(version, with_events=True)),
    Route("GET", _AT + "events", events, "What the host did, and why, oldest first.", args=container.ANYTHING, since=OWN,
          reply=lambda version: operators.listed("events", schema.EVENT.reply_schema(version), with_next=False)),
)  # fmt: skip
