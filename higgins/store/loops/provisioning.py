"""Provisioning's reads and writes: pods whose newest wish the cloud's part is due for, and pods that are over.

Writes provisioning's columns and no other. Must not know what the cloud gives.
"""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa

from higgins.core.phase import Desired, Phase, Wish
from higgins.store import actions, claims, pods
from higgins.store.loops import holds, removal
from higgins.store.loops.holds import Holder
from higgins.store.pods import Pod
from higgins.store.session import Overtaken, Row, Transaction
from higgins.store.tables import actions as actions_table
from higgins.store.tables import hosts, ledger
from higgins.store.tables import pods as table


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """A pod, whether its ledger has entries, and whether the pod is over."""

    pod: Pod
    has_outside: bool
    is_over: bool = False


_GONE = sa.text("pods.phase = 'gone'")  # a literal, so that the partial index is used
_BEHIND = sa.text("pods.provision_generation < pods.generation")
_STANDING = pods.SELECT.add_columns(removal.HAS_OUTSIDE.label("has_outside")).limit(sa.bindparam("most"))
# Not sorted: to sort by id SQLite reads the whole table instead of the partial index.
_DUE = _STANDING.where(_BEHIND, table.c.host_id.is_not(None), table.c.desired != Desired.DELETED.value, holds.FREE)
_NEVER_PLACED = sa.and_(table.c.host_id.is_(None), table.c.desired == Desired.DELETED.value)
_REMOVED = sa.and_(
    _GONE,
    sa.or_(
        table.c.desired == Desired.DELETED.value,
        sa.and_(table.c.auto_remove.is_(sa.true()), table.c.observed_generation >= table.c.generation),
    ),
)
_OVER = _STANDING.where(sa.or_(_NEVER_PLACED, _REMOVED), holds.FREE).order_by(table.c.id)
_RELEASED = sa.exists().where(ledger.c.pod_uuid == table.c.uuid, ledger.c.released_at <= table.c.observed_generation)
_LEFT = _STANDING.where(
    table.c.uuid.in_(sa.select(ledger.c.pod_uuid).where(ledger.c.released_at.is_not(None))),
    _RELEASED,
    table.c.desired != Desired.DELETED.value,
    holds.FREE,
)
_UNCONFIRMED = (
    sa.exists()
    .where(ledger.c.pod_uuid == table.c.uuid, ledger.c.made_at.is_(None), ledger.c.released_at.is_(None))
    .correlate(table)
)
_DONE = (
    table.update()
    .where(
        table.c.id == sa.bindparam("of_pod"),
        table.c.generation == sa.bindparam("of_generation"),
        holds.FREE,
        ~_UNCONFIRMED,
    )
    .values(
        provision_generation=table.c.generation,
        provision_reason=None,
        host_version=pods.HOSTS_VERSION,
        held_by=None,
        held_until=None,
    )
)


def due(tx: Transaction, holder: Holder, most: int = 500) -> builtins.list[Standing]:
    """Pods with a host whose newest wish provisioning has not dealt with. Deletes go to the host at once.

    Here and below pods that another controller holds are left out.
    """
    return [_standing(row) for row in tx.rows(_DUE, {"most": most, **holder.free_to(tx)})]


def over(tx: Transaction, holder: Holder, most: int = 500) -> builtins.list[Standing]:
    """Pods whose row may go once the outside is taken back: deleted before they had a host, or gone from their host."""
    rows = tx.rows(_OVER, {"most": most, **holder.free_to(tx)})
    return [_standing(row, is_over=True) for row in rows]


def left(tx: Transaction, holder: Holder, most: int = 500) -> builtins.list[Standing]:
    """Pods that live on and whose host has left something that they want no more."""
    return [_standing(row) for row in tx.rows(_LEFT, {"most": most, **holder.free_to(tx)})]


def _standing(row: Row, *, is_over: bool = False) -> Standing:
    return Standing(pods.from_row(row[:-1]), bool(row[-1]), is_over)


def done(tx: Transaction, provisioned: Sequence[Pod], holder: Holder) -> frozenset[int]:
    """Hand these pods' newest wishes to their hosts, and hold them no longer; gives the hosts' ids.

    A pod that was changed meanwhile, that somebody else holds now or of which something is not confirmed any more is left for the next pass,
    and stays held.
    """
    host_ids = frozenset(pod.host_id for pod in provisioned if pod.host_id is not None)
    tx.change(hosts.update().where(hosts.c.id.in_(sorted(host_ids))).values(version=hosts.c.version + 1))
    free = holder.free_to(tx)
    tx.change_many(_DONE, [{"of_pod": pod.id, "of_generation": pod.generation, **free} for pod in provisioned])
    return host_ids


def wait(tx: Transaction, pod: Pod, reason: str) -> None:
    """Say what a pod waits for that is tried again."""
    this = (table.c.id == pod.id, table.c.generation == pod.generation, table.c.provision_generation < pod.generation)
    tx.change(table.update().where(*this).values(provision_reason=reason))


def held_up(tx: Transaction, pod: Pod, reason: str) -> None:
    """Say why a pod that is over is still there."""
    this = (table.c.id == pod.id, table.c.generation == pod.generation)
    tx.change(table.update().where(*this).values(provision_reason=reason))


def failed(tx: Transaction, pod: Pod, reason: str) -> None:
    """Say why the cloud's part cannot be made and end the pod's wishes as failed; tried again when its user wishes anew.

    Nothing happens when another controller has made it meanwhile.
    """
    this = (table.c.id == pod.id, table.c.generation == pod.generation, table.c.provision_generation < pod.generation)
    values = {"provision_generation": pod.generation, "provision_reason": reason}
    if tx.change(table.update().where(*this).values(**values)):
        actions.finish_wishes(tx, pod.uuid, pod.generation, error=reason)


def refused(tx: Transaction, most: int = 500) -> builtins.list[Pod]:
    """Pods whose host has dealt with their newest wish and names ports that it could not plug, while an attach has not ended."""
    dealt_with = (table.c.observed_generation >= table.c.generation, table.c.reason.is_not(None))
    attach = (actions_table.c.action == Wish.NETWORK_ATTACH.value, actions_table.c.finished_at.is_(None))
    open_attach = sa.exists().where(actions_table.c.pod_uuid == table.c.uuid, *attach)
    rows = tx.rows(pods.SELECT.where(*dealt_with, table.c.desired != Desired.DELETED.value, open_attach).limit(most))
    return [pod for pod in map(pods.from_row, rows) if pod.status is not None and pod.status.refused]


def is_newest(tx: Transaction, pod: Pod) -> bool:
    """Whether nothing else was wished of a pod since it was read; until the transaction ends nothing is."""
    this = (table.c.id == pod.id, table.c.generation == pod.generation)
    return tx.row(sa.select(table.c.id).where(*this).with_for_update()) is not None


def again(tx: Transaction, pod_uuid: str) -> None:
    """Have provisioning look at a pod's newest wish once more, unless it is to be deleted."""
    this = (table.c.uuid == pod_uuid, table.c.desired != Desired.DELETED.value)
    tx.change(table.update().where(*this).values(provision_generation=table.c.generation - 1))


def remove(tx: Transaction, pod: Pod) -> None:
    """Delete a pod's row with all that hangs on it: quota, the host's claim, unfinished actions.

    ``Overtaken`` when the pod was changed meanwhile, or its ledger is not empty: then nothing was changed.
    """
    same_host = table.c.host_id.is_(None) if pod.host_id is None else table.c.host_id == pod.host_id
    over_now = table.c.phase == Phase.GONE.value if pod.host_id is not None else _NEVER_PLACED
    guard = (table.c.id == pod.id, table.c.generation == pod.generation, same_host, over_now)
    removed = removal.rows(tx, *guard, observed={pod.uuid: pod.observed_generation})
    if not removed:
        raise Overtaken("The pod was changed while its row was taken away.")
    if pod.host_id is not None:
        claims.give_back(tx, pod.host_id, removal.claim_of(removed), pods=1)
