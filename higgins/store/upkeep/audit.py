"""Counts again what is kept as a sum, and finds rows that stand alone or stand still; repairs what has one right answer.

For ``higgins-manage audit``. Sees the database alone: what a host or the cloud has beside it is asked elsewhere.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from higgins.store import actions as action_rows
from higgins.store import specs
from higgins.store.claims import CLAIMED, SIZES
from higgins.store.session import Transaction
from higgins.store.tables import actions, hosts, ledger, pods, usages, volumes

_USED = ("containers", *SIZES)
_PROVISIONED = pods.c.provision_generation >= pods.c.generation


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. ``repairable`` ones are put right by ``repair``."""

    kind: str
    ident: str
    text: str
    repairable: bool


def findings(tx: Transaction, *, stuck_after_s: float = 900.0) -> list[Finding]:
    """All that is wrong in the database at this moment."""
    before = tx.now - datetime.timedelta(seconds=stuck_after_s)
    looks: Sequence[Callable[[], Iterable[Finding]]] = (
        lambda: _drift("usage", _usages(tx), _counted_usages(tx)),
        lambda: _drift("claim", _claims(tx), _counted_claims(tx)),
        lambda: _stuck_pods(tx, before),
        lambda: _stuck_actions(tx, before),
        lambda: _lonely(tx),
        lambda: _unanswered(tx, before),
    )
    return [finding for look in looks for finding in look()]


def repair(tx: Transaction) -> int:
    """Put right what is repairable, in this transaction; how many findings it put right. For ``Database.retrying``."""
    repaired = _repair_sums(tx)
    over = {"finished_at": tx.now, "message": action_rows.ERROR, "reason": "The container is gone."}
    end = actions.update().where(actions.c.id == sa.bindparam("of_id"), actions.c.finished_at.is_(None)).values(**over)
    forget = volumes.delete().where(volumes.c.id == sa.bindparam("of_id"))
    repaired += tx.change_many(end, _of_nobody(tx, actions, actions.c.finished_at.is_(None)))
    return repaired + tx.change_many(forget, _of_nobody(tx, volumes, volumes.c.pod_uuid.is_not(None)))


def _of_nobody(tx: Transaction, table: sa.Table, guard: sa.ColumnElement[bool]) -> list[dict[str, int]]:
    """Rows whose pod is gone, as one statement sees them, before anything is written: a pod just made comes together with its rows."""
    return [{"of_id": row[0]} for row in tx.rows(sa.select(table.c.id).where(guard, _no_pod(table)))]


def _repair_sums(tx: Transaction) -> int:
    """Holds all sums before it counts: whoever makes, places, sizes or removes a pod changes them in the same transaction.

    A project or a host that is new meanwhile is not held, and left alone.
    """
    unkept = sa.select(pods.c.project_id).where(pods.c.project_id.not_in(sa.select(usages.c.project_id))).distinct()
    tx.change_many(usages.insert(), [{"project_id": row[0]} for row in tx.rows(unkept)])
    kept_usages, kept_claims = _usages(tx, hold=True), _claims(tx, hold=True)
    wrong_usages = _wrong(kept_usages, _within(kept_usages, _counted_usages(tx)))
    for project, right in wrong_usages.items():
        values = dict(zip(_USED, right, strict=True))
        tx.change(usages.update().where(usages.c.project_id == project).values(**values))
    wrong_claims = _wrong(kept_claims, _within(kept_claims, _counted_claims(tx)))
    for host, right in wrong_claims.items():
        values = dict(zip(("pods_claimed", *(f"{size}_claimed" for size in CLAIMED)), right, strict=True))
        tx.change(hosts.update().where(hosts.c.uuid == host).values(**values))
    return len(wrong_usages) + len(wrong_claims)


Sums = Mapping[str, tuple[int, ...]]


def _drift(kind: str, kept: Sums, counted: Sums) -> Iterable[Finding]:
    for ident, right in _wrong(kept, counted).items():
        had = kept.get(ident, (0,) * len(right))
        text = f"{_words(had)} are kept, but its pods add up to {_words(right)}"
        yield Finding(kind, ident, text, True)


def _words(sums: tuple[int, ...]) -> str:
    count, cpu_milli, memory_mib, disk_gib, *dedicated = sums
    words = f"{count} containers, {cpu_milli / 1000:g} processors, {memory_mib} MiB, {disk_gib} GiB"
    return f"{words}, {dedicated[0]} processors dedicated" if any(dedicated) else words


def _wrong(kept: Sums, counted: Sums) -> dict[str, tuple[int, ...]]:
    """The right sums of what is kept wrongly."""
    nothing = {ident: (0,) * len(sums) for ident, sums in {**kept, **counted}.items()}
    return {
        ident: counted.get(ident, zeros)
        for ident, zeros in sorted(nothing.items())
        if kept.get(ident, zeros) != counted.get(ident, zeros)
    }


def _within(kept: Sums, counted: Sums) -> Sums:
    return {ident: sums for ident, sums in counted.items() if ident in kept}


def _usages(tx: Transaction, *, hold: bool = False) -> Sums:
    query = sa.select(usages.c.project_id, *(usages.c[name] for name in _USED)).order_by(usages.c.project_id)
    return {row[0]: tuple(row[1:]) for row in tx.rows(query.with_for_update() if hold else query)}


def _counted_usages(tx: Transaction) -> Sums:
    sums = (sa.func.count(), *(sa.func.sum(pods.c[size]) for size in SIZES))
    rows = tx.rows(sa.select(pods.c.project_id, *sums).group_by(pods.c.project_id))
    counted = {row[0]: [int(value) for value in row[1:]] for row in rows}
    for project, spec in tx.rows(sa.select(pods.c.project_id, pods.c.spec).where(pods.c.kind != "container")):
        if project in counted:  # else it is new meanwhile
            counted[project][0] += len(specs.decode(spec).containers) - 1
    return {project: tuple(values) for project, values in counted.items()}


def _claims(tx: Transaction, *, hold: bool = False) -> Sums:
    columns = (hosts.c.uuid, hosts.c.pods_claimed, *(hosts.c[f"{size}_claimed"] for size in CLAIMED))
    query = sa.select(*columns).order_by(hosts.c.id)
    return {row[0]: tuple(row[1:]) for row in tx.rows(query.with_for_update() if hold else query)}


def _counted_claims(tx: Transaction) -> Sums:
    sums = (sa.func.count(), *(sa.func.sum(pods.c[size]) for size in CLAIMED))
    query = sa.select(hosts.c.uuid, *sums).select_from(pods.join(hosts, pods.c.host_id == hosts.c.id))
    return {row[0]: tuple(int(value) for value in row[1:]) for row in tx.rows(query.group_by(hosts.c.uuid))}


def _stuck_pods(tx: Transaction, before: datetime.datetime) -> Iterable[Finding]:
    unsettled = sa.or_(pods.c.observed_generation < pods.c.generation, pods.c.phase == "gone")
    given_up = sa.or_(
        sa.and_(pods.c.host_id.is_(None), pods.c.schedule_generation >= pods.c.generation),
        sa.and_(pods.c.provision_reason.is_not(None), _PROVISIONED),
    )
    failed_visibly = sa.and_(given_up, pods.c.desired != "deleted")
    columns = (pods.c.uuid, pods.c.wish, pods.c.wished_at, hosts.c.hostname, pods.c.reason, pods.c.schedule_reason)
    query = sa.select(*columns).select_from(pods.outerjoin(hosts, pods.c.host_id == hosts.c.id))
    for row in tx.rows(query.where(unsettled, pods.c.wished_at < before, sa.not_(failed_visibly)).order_by(pods.c.id)):
        where = f"on host {row.hostname}" if row.hostname else "without a host"
        why = row.schedule_reason or row.reason or "no reason given"
        yield Finding(
            "stuck", row.uuid, f"{row.wish} wished at {row.wished_at:%F %T} is not done {where}: {why}", False
        )


def _stuck_actions(tx: Transaction, before: datetime.datetime) -> Iterable[Finding]:
    """Open actions whose pod is there: requests that somebody waits for, also where the pod itself claims to be settled."""
    columns = (actions.c.pod_uuid, actions.c.action, actions.c.request_id, actions.c.started_at)
    query = sa.select(*columns).select_from(actions.join(pods, pods.c.uuid == actions.c.pod_uuid))
    is_open = (actions.c.finished_at.is_(None), actions.c.started_at < before)
    for row in tx.rows(query.where(*is_open).order_by(actions.c.id)):
        text = f"{row.action} ({row.request_id}) is open since {row.started_at:%F %T}, and its pod is there"
        yield Finding("action", row.pod_uuid, text, False)


def _lonely(tx: Transaction) -> Iterable[Finding]:
    open_actions = sa.select(actions.c.pod_uuid, actions.c.action, actions.c.request_id)
    for row in tx.rows(open_actions.where(actions.c.finished_at.is_(None), _no_pod(actions))):
        yield Finding("action", row.pod_uuid, f"{row.action} ({row.request_id}) is open, but its pod is gone", True)
    for row in tx.rows(sa.select(volumes.c.uuid).where(volumes.c.pod_uuid.is_not(None), _no_pod(volumes))):
        yield Finding("volume", row.uuid, "it was to go with its pod, which is gone", True)
    for row in tx.rows(sa.select(ledger.c.pod_uuid, ledger.c.kind, ledger.c.key).where(_no_pod(ledger))):
        yield Finding("ledger", row.pod_uuid, noted_for_nobody(row.kind, row.key), False)


def _unanswered(tx: Transaction, before: datetime.datetime) -> Iterable[Finding]:
    """What is waited for. What a pod asked for that has failed says so itself, and is taken back when it is deleted."""
    failed = sa.exists().where(pods.c.uuid == ledger.c.pod_uuid, pods.c.provision_reason.is_not(None), _PROVISIONED)
    unmade = (ledger.c.made_at.is_(None), ledger.c.asked_at < before, sa.not_(failed), sa.not_(_no_pod(ledger)))
    for row in tx.rows(sa.select(ledger.c.pod_uuid, ledger.c.kind, ledger.c.key).where(*unmade)):
        yield Finding("ledger", row.pod_uuid, never_confirmed(row.kind, row.key), False)


def noted_for_nobody(kind: str, key: str) -> str:
    """The text of a ledger's entry without a pod, by whichever audit it is found."""
    return f"{kind} {key} is noted for a pod that is gone"


def never_confirmed(kind: str, key: str) -> str:
    """The text of a ledger's entry of which nobody knows whether it is there."""
    return f"{kind} {key} was asked for and never confirmed"


def _no_pod(table: Any) -> sa.ColumnElement[bool]:
    return sa.not_(sa.exists().where(pods.c.uuid == table.c.pod_uuid))
