"""What of a container this caller sees in this version: decided once a request, applied to each row."""

from __future__ import annotations

import datetime
from typing import Any

from higgins.api.route import Call
from higgins.api.schema.container import CONTAINER
from higgins.api.schema.table import Version
from higgins.api.view import containers as view
from higgins.store.pods import Pod


class Shown:
    """Shows containers to one caller."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._hidden_of: dict[str, frozenset[str]] = {}
        self._now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self._environment = call.control.containers.environment
        self._base_url = call.base_url

    def item(self, pod: Pod) -> dict[str, Any]:
        """A container in a list: without links."""
        found = view.container(pod, self._environment(pod), self._now)
        for name in self._hidden(pod.project_id):
            del found[name]
        return found

    def _hidden(self, project_id: str) -> frozenset[str]:
        """What is not shown of that project's containers; who may read a project's containers need not be one of it."""
        known = self._hidden_of.get(project_id)
        if known is None:
            call = self._call
            allows = call.control.policy.allows
            gated = {name for name, rule in CONTAINER.gated() if not allows(call.caller, rule, project_id)}
            known = self._hidden_of[project_id] = CONTAINER.newer_than(call.version) | gated
        return known

    def one(self, pod: Pod) -> dict[str, Any]:
        """A container on its own."""
        return {**self.item(pod), "links": view.links(pod.uuid, self._base_url)}


_LINKS = {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}}


def item_schema(version: Version) -> dict[str, Any]:
    """JSON Schema of a container in a list."""
    return CONTAINER.reply_schema(version)


def one_schema(version: Version) -> dict[str, Any]:
    """JSON Schema of a container on its own."""
    return with_links(CONTAINER.reply_schema(version))


def with_links(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with ``links`` added."""
    return {
        **schema,
        "properties": {**schema["properties"], "links": _LINKS},
        "required": [*schema["required"], "links"],
    }
