"""Rows of ``events``: the steps that hosts did for pods, and why. They outlive their pod."""

from __future__ import annotations

import builtins
import dataclasses
import datetime
from collections.abc import Sequence

import sqlalchemy as sa

from higgins.core import model
from higgins.store import dialect
from higgins.store.session import Transaction
from higgins.store.tables import events


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One row, typed; ``result`` is empty while the step goes on."""

    id: int
    pod_uuid: str
    host_id: int | None
    key: str
    request_id: str | None
    verb: str
    target: str
    why: str
    started_at: datetime.datetime
    finished_at: datetime.datetime | None
    result: str
    detail: str


_SELECT = sa.select(*(events.c[field.name] for field in dataclasses.fields(Event)))
_KEY = ("pod_uuid", "key")
_CHANGED = ("finished_at", "result", "detail")
_TARGET_CHARS = 512


def put(tx: Transaction, steps: Sequence[model.StepEvent], *, host_id: int | None = None) -> None:
    """Store steps; one of a key that is there already replaces how that step ended."""
    newest = {(step.pod, step.key): step for step in steps}
    rows = [
        {
            "pod_uuid": step.pod,
            "host_id": host_id,
            "key": step.key,
            "request_id": step.request_id,
            "verb": step.verb,
            "target": step.target[:_TARGET_CHARS],
            "why": step.why,
            "started_at": _utc(step.started_at),
            "finished_at": None if step.finished_at is None else _utc(step.finished_at),
            "result": step.result,
            "detail": step.detail,
        }
        for step in newest.values()
    ]
    tx.change_many(dialect.upsert(tx.dialect, events, key=_KEY, update=_CHANGED), rows)


def list(  # noqa: A001 - reads as events.list
    tx: Transaction, pod_uuid: str, *, request_id: str | None = None, limit: int | None = None
) -> builtins.list[Event]:
    """A pod's steps in the order they were first told; of one request when it is given; the last ``limit`` ones.

    Not by their times: a host's clock may go back. The caller has seen to the scope.
    """
    query = _SELECT.where(events.c.pod_uuid == pod_uuid)
    if request_id is not None:
        query = query.where(events.c.request_id == request_id)
    query = query.order_by(events.c.id.desc()).limit(limit)
    return [Event(*row) for row in reversed(tx.rows(query))]


def _utc(moment: datetime.datetime) -> datetime.datetime:
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)
