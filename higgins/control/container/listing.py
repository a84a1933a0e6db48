"""Lists of containers by the filters of Zun's API, of which two (status and task state) are derived and so are no columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from higgins.core.caller import Scope
from higgins.core.errors import Invalid
from higgins.core.status import Status, TaskState, derive
from higgins.store import pods
from higgins.store.page import Page
from higgins.store.pods import Pod
from higgins.store.session import Transaction

_COLUMNS = {
    "name": "name",
    "image": "image",
    "project_id": "project_id",
    "user_id": "user_id",
    "memory": "memory_mib",
    "host": "host",
    "auto_remove": "auto_remove",
    "uuid": "uuid",
}
_DERIVED = ("status", "task_state")
_SORTED_BY = {"memory": "memory_mib", "cpu": "cpu_milli", "disk": "disk_gib"}
_CHUNK = 500


def page_of(tx: Transaction, scope: Scope, filters: Mapping[str, object], page: Page) -> Sequence[Pod]:
    """One page of containers; ``Invalid`` for an unknown filter or sort key, ``NotFound`` for an unknown marker."""
    columns: dict[str, object] = {}
    for name, value in filters.items():
        if name in _COLUMNS:
            columns[_COLUMNS[name]] = _memory_mib(value) if name == "memory" else value
        elif name not in _DERIVED:
            raise Invalid(
                f"Unknown parameters: {name}. Filter by {', '.join(sorted({*_COLUMNS, *_DERIVED} - {'uuid'}))}."
            )
    page = dataclasses.replace(page, sort_key=_SORTED_BY.get(page.sort_key, page.sort_key))
    derived = {name: filters[name] for name in _DERIVED if name in filters}
    if not derived:
        return pods.list(tx, scope, filters=columns, page=page)
    return _sifted(tx, scope, columns, derived, page)


def _sifted(
    tx: Transaction, scope: Scope, columns: Mapping[str, object], derived: Mapping[str, object], page: Page
) -> list[Pod]:
    """A page of those whose derived words match, read in chunks until it is full."""
    status, task_state = derived.get("status"), derived.get("task_state")
    if ("status" in derived and status not in set(Status)) or (task_state and task_state not in set(TaskState)):
        return []
    found: list[Pod] = []
    at = dataclasses.replace(page, limit=_CHUNK)
    while True:
        chunk = pods.list(tx, scope, filters=columns, page=at)
        for pod in chunk:
            shown = derive(pod)
            if ("status" not in derived or shown.status == status) and (
                "task_state" not in derived or shown.task_state == (task_state or None)
            ):
                found.append(pod)
                if page.limit is not None and len(found) == page.limit:
                    return found
        if len(chunk) < _CHUNK:
            return found
        at = dataclasses.replace(at, marker=chunk[-1].uuid)


def _memory_mib(value: object) -> int:
    digits = str(value).removesuffix("M").removesuffix("m")
    if not digits.isascii() or not digits.isdigit():
        raise Invalid(f"memory must be a number of MiB, but '{value}' was given.")
    return int(digits)
