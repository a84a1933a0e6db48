"""Rows of ``actions``: what users asked of a pod, and how it ended. They outlive their pod.

A wish's action carries the wish's generation and is finished when the pod has observed it; a live question's has none.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from higgins.core import errors
from higgins.core.caller import Scope
from higgins.store import page as pages
from higgins.store.session import Duplicate, Row, Transaction
from higgins.store.tables import actions

ERROR = "Error"
"""What ``message`` says of an action that failed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """One row, typed. ``message`` is ``None`` or ``Error``; ``reason`` says why, for the user."""

    id: int
    request_id: str
    pod_uuid: str
    project_id: str
    user_id: str
    action: str
    generation: int | None
    started_at: datetime.datetime
    finished_at: datetime.datetime | None
    message: str | None
    reason: str | None


_SELECT = sa.select(*(actions.c[field.name] for field in dataclasses.fields(Action)))
_INSERT = actions.insert()
_DEALT_WITH = sa.or_(actions.c.action == "delete", actions.c.generation <= sa.bindparam("up_to"))
_FINISH_GONE = (
    actions.update()
    .where(actions.c.pod_uuid == sa.bindparam("of_pod"), actions.c.finished_at.is_(None))
    .values(
        finished_at=sa.bindparam("now"),
        message=sa.case((_DEALT_WITH, sa.null()), else_=ERROR),
        reason=sa.case((_DEALT_WITH, sa.null()), else_="The container was removed before this was done."),
    )
)
_SORTS: dict[str, sa.ColumnElement[Any]] = {
    "id": actions.c.id,
    "uuid": actions.c.request_id,
    "started_at": actions.c.started_at,
}


def start(
    tx: Transaction, pod_uuid: str, project_id: str, user_id: str, request_id: str, action: str, generation: int | None
) -> None:
    """Note that a user asked for something; ``Conflict`` when this very request did already."""
    values = {
        "pod_uuid": pod_uuid,
        "project_id": project_id,
        "user_id": user_id,
        "request_id": request_id,
        "action": str(action),
        "generation": generation,
        "started_at": tx.now,
    }
    try:
        tx.change(_INSERT, values)
    except Duplicate as error:
        raise errors.Conflict(
            f"The request id {request_id} has been used for this container. Use a new one.", code="request-id-in-use"
        ) from error


def finish(tx: Transaction, pod_uuid: str, request_id: str, *, error: str | None = None) -> None:
    """End one action; ``error`` says why it failed. Nothing happens when it has ended."""
    unfinished = (actions.c.pod_uuid == pod_uuid, actions.c.request_id == request_id, actions.c.finished_at.is_(None))
    tx.change(actions.update().where(*unfinished).values(**_ended(tx, error)))


def finish_wishes(
    tx: Transaction,
    pod_uuid: str,
    generation: int,
    *,
    error: str | None = None,
    only: str | None = None,
    of: Collection[int] = (),
) -> None:
    """End a pod's wishes up to a generation; with ``only`` those of this name, with ``of`` those of these generations."""
    due = [actions.c.pod_uuid == pod_uuid, actions.c.generation <= generation, actions.c.finished_at.is_(None)]
    if only is not None:
        due.append(actions.c.action == str(only))
    if of:
        due.append(actions.c.generation.in_(sorted(of)))
    tx.change(actions.update().where(*due).values(**_ended(tx, error)))


def finish_gone(tx: Transaction, observed: Mapping[str, int]) -> None:
    """End all actions of pods whose rows go away: deletes and what a host had dealt with, up to this generation, as done; others as failed."""
    rows = [{"of_pod": uuid, "up_to": generation, "now": tx.now} for uuid, generation in observed.items()]
    tx.change_many(_FINISH_GONE, rows)


def list(  # noqa: A001 - reads as actions.list
    tx: Transaction, pod_uuid: str, scope: Scope, page: pages.Page | None = None
) -> builtins.list[Action]:
    """A pod's actions within a scope, the newest first unless the page says else; the marker is a request id."""
    visible = _visible(pod_uuid, scope)
    query = pages.cut(
        tx, _SELECT.where(*visible), page or pages.Page(sort_dir="desc"), _SORTS, thing="action", visible=visible
    )
    return [_action(row) for row in tx.rows(query)]


def get(tx: Transaction, pod_uuid: str, request_id: str, scope: Scope) -> Action:
    """The action of one request; ``NotFound``."""
    row = tx.row(_SELECT.where(*_visible(pod_uuid, scope), actions.c.request_id == request_id))
    if row is None:
        raise errors.NotFound(f"The action of request {request_id} could not be found.", code="action-not-found")
    return _action(row)


def remembers(tx: Transaction, pod_uuid: str) -> bool:
    """Whether anything was ever asked of a pod, as far as history goes back: then it is, or was, a pod of ours."""
    return tx.row(sa.select(actions.c.id).where(actions.c.pod_uuid == pod_uuid).limit(1)) is not None


def is_open(tx: Transaction, pod_uuid: str, action: str) -> bool:
    """Whether an action of this name has not ended."""
    this = (actions.c.pod_uuid == pod_uuid, actions.c.action == str(action), actions.c.finished_at.is_(None))
    return tx.row(sa.select(actions.c.id).where(*this).limit(1)) is not None


def open_of(tx: Transaction, pod_uuids: Collection[str], action: str) -> frozenset[str]:
    """Those of the pods that have an action of this name which has not ended."""
    this = (actions.c.pod_uuid.in_(sorted(pod_uuids)), actions.c.action == str(action), actions.c.finished_at.is_(None))
    return frozenset(row[0] for row in tx.rows(sa.select(actions.c.pod_uuid).where(*this)))


def open_generations(tx: Transaction, pod_uuid: str, action: str) -> frozenset[int]:
    """The generations of a pod's wishes of this name that have not ended."""
    this = (actions.c.pod_uuid == pod_uuid, actions.c.action == str(action), actions.c.finished_at.is_(None))
    rows = tx.rows(sa.select(actions.c.generation).where(*this, actions.c.generation.is_not(None)))
    return frozenset(row[0] for row in rows)


def _visible(pod_uuid: str, scope: Scope) -> builtins.list[sa.ColumnElement[bool]]:
    own = [actions.c.pod_uuid == pod_uuid]
    return own if scope.project_id is None else [*own, actions.c.project_id == scope.project_id]


def _action(row: Row) -> Action:
    return Action(*row)


def _ended(tx: Transaction, error: str | None) -> dict[str, Any]:
    return {"finished_at": tx.now, "message": None if error is None else ERROR, "reason": error}
