"""Housekeeping's reads and writes: history that is old enough to go, questions nobody waits for, pods whose host does not answer.

Must not know how often it runs.
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from higgins.store import actions as action_rows
from higgins.store.session import Transaction
from higgins.store.tables import actions, events, hosts, pods

_BATCH = 1000


def purge_history(tx: Transaction, before: datetime.datetime) -> int:
    """Delete up to some thousand ended actions and steps from before a time; how many, 0 when nothing is left to delete."""
    ended = (
        sa.select(actions.c.id).where(actions.c.started_at < before, actions.c.finished_at.is_not(None)).limit(_BATCH)
    )
    old = sa.select(events.c.id).where(events.c.started_at < before).limit(_BATCH)
    gone = 0
    for table, query in ((actions, ended), (events, old)):
        ids = [row[0] for row in tx.rows(query)]
        if ids:
            gone += tx.change(table.delete().where(table.c.id.in_(ids)))
    return gone


def end_questions(tx: Transaction, before: datetime.datetime) -> int:
    """End the actions that are live questions begun before a time: whoever waited for the answer died with it; how many."""
    why = "The service ended while it waited for the host. Look whether it was done before asking again."
    # A wish's action has a generation and is ended by what its host reports.
    asked = (actions.c.generation.is_(None), actions.c.finished_at.is_(None), actions.c.started_at < before)
    over = {"finished_at": tx.now, "message": action_rows.ERROR, "reason": why}
    return tx.change(actions.update().where(*asked).values(**over))


def explain_silence(tx: Transaction, *, heard_after: datetime.datetime) -> int:
    """Say at each pod that waits for a host which does not answer why nothing happens, and take that back when it answers again.

    Stands in ``schedule_reason``; gives how many pods it changed.
    """
    silent = sa.or_(
        hosts.c.forced_down.is_(sa.true()), hosts.c.last_seen_at.is_(None), hosts.c.last_seen_at <= heard_after
    )
    quiet = [row[0] for row in tx.rows(sa.select(hosts.c.id).where(silent))]
    changed, why = 0, "The container's host does not answer. This goes on as soon as it is back."
    for host_id in quiet:
        unsaid = sa.or_(pods.c.schedule_reason.is_(None), pods.c.schedule_reason != why)
        waits = (pods.c.host_id == host_id, pods.c.observed_generation < pods.c.generation)
        changed += tx.change(pods.update().where(*waits, unsaid).values(schedule_reason=why))
    said = (pods.c.schedule_reason.is_not(None), pods.c.host_id.is_not(None), pods.c.host_id.not_in(sorted(quiet)))
    return changed + tx.change(pods.update().where(*said).values(schedule_reason=None))
