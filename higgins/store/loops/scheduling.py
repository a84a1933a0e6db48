"""The scheduler's reads and writes: pods that wait for a host, giving one its host, saying why it has none.

Writes the scheduler's columns and no other. Must not choose.
"""

from __future__ import annotations

import builtins
import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from higgins.core import errors
from higgins.core.phase import Desired
from higgins.store import actions, claims, pods
from higgins.store.loops import holds
from higgins.store.loops.holds import Holder
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod
from higgins.store.records import volumes
from higgins.store.session import Overtaken, Transaction
from higgins.store.tables import ledger
from higgins.store.tables import pods as table


class Placement(NamedTuple):
    """A pod as it was read, and the id of the host it shall go to."""

    pod: Pod
    host_id: int


class Use(NamedTuple):
    """That a volume is on a host, and whether somebody there writes to it."""

    host_id: int
    writes: bool


_ATTACHED = sa.select(ledger.c.key, ledger.c.host_id, ledger.c.shape).where(
    ledger.c.kind == KindName.ATTACHMENT, ledger.c.host_id.is_not(None), ledger.c.external_id.is_not(None)
)
_ON_THEIR_WAY = pods.SELECT.where(
    sa.text("pods.provision_generation < pods.generation"),  # a literal, so that the partial index is used
    table.c.host_id.is_not(None),
    table.c.desired != Desired.DELETED.value,
)
_OPEN = sa.or_(table.c.schedule_generation < table.c.generation, table.c.desired == Desired.DELETED.value)
_WAITING = (
    pods.SELECT.where(table.c.host_id.is_(None), _OPEN, holds.FREE).order_by(table.c.id).limit(sa.bindparam("most"))
)
_UNPLACED = (
    table.c.id == sa.bindparam("of_pod"),
    table.c.generation == sa.bindparam("of_generation"),
    table.c.host_id.is_(None),
    table.c.desired != Desired.DELETED.value,
)
_PLACE = (
    table.update()
    .where(*_UNPLACED)
    .values(
        host_id=sa.bindparam("new_host"),
        schedule_generation=table.c.generation,
        schedule_reason=None,
        held_by=None,
        held_until=None,
    )
)
_HOLD = (
    table.update().where(*_UNPLACED, holds.FREE).values(held_by=sa.bindparam("me"), held_until=sa.bindparam("until"))
)
_REGAIN = (
    table.update()
    .where(table.c.id == sa.bindparam("of_pod"), table.c.host_id.is_(None), holds.FREE)
    .values(held_by=sa.bindparam("me"), held_until=sa.bindparam("until"))
)
_THIS = (ledger.c.pod_uuid == sa.bindparam("of_pod"), ledger.c.kind == KindName.ALLOCATION)
_ASK_AGAIN = (
    ledger.update()
    .where(*_THIS)
    .values(made_at=None, released_at=None, host_id=sa.bindparam("new_host"), shape=sa.bindparam("new_shape"))
)
_CONFIRM = ledger.update().where(*_THIS).values(made_at=sa.bindparam("now"), external_id=ledger.c.pod_uuid)


def waiting(tx: Transaction, holder: Holder, most: int) -> builtins.list[Pod]:
    """The oldest pods without a host that need one and whose newest wish was not decided on yet, or that were deleted before they had one.

    Those that another controller is placing are left out.
    """
    return [pods.from_row(row) for row in tx.rows(_WAITING, {"most": most, **holder.free_to(tx)})]


def uses(tx: Transaction, waiting_pods: Collection[Pod]) -> dict[str, frozenset[Use]]:
    """Where the volumes that these pods mount are, or are used already, or are about to be; those that are nowhere are left out."""
    wanted = {volume for pod in waiting_pods for volume in volumes.shared_by(pod.spec)}
    if not wanted:
        return {}
    found: dict[str, set[Use]] = {}
    for uuid, volume in volumes.of(tx, wanted).items():
        if volume.host_id is not None:
            found.setdefault(uuid, set()).add(Use(volume.host_id, writes=True))
    for key, host_id, shape in tx.rows(_ATTACHED.where(ledger.c.key.in_(sorted(wanted)))):
        found.setdefault(key, set()).add(Use(host_id, writes=shape != "ro"))
    for pod in map(pods.from_row, tx.rows(_ON_THEIR_WAY)):
        for uuid, writes in volumes.shared_by(pod.spec).items():
            if uuid in wanted and pod.host_id is not None:
                found.setdefault(uuid, set()).add(Use(pod.host_id, writes))
    return {uuid: frozenset(known) for uuid, known in found.items()}


def place(
    tx: Transaction, placements: Sequence[Placement], ratios: claims.Ratios, *, heard_after: datetime.datetime
) -> None:
    """Give all of these pods their hosts, with their claims, or none of them.

    ``OutOfCapacity`` when a host has no room any more, went down or was disabled; ``Overtaken`` when a pod was changed meanwhile, or a local
    volume that it mounts went to another host.
    """
    for host_id, group in _by_host(placements).items():
        more = {size: sum(getattr(pod, size) for pod in group) for size in claims.CLAIMED}
        if not claims.take(tx, host_id, ratios, more, pods=len(group), heard_after=heard_after):
            raise errors.OutOfCapacity("The host has no room for this any more.")
    rows = [{"of_pod": pod.id, "of_generation": pod.generation, "new_host": host_id} for pod, host_id in placements]
    if tx.change_many(_PLACE, rows) != len(rows):
        raise Overtaken("A pod was changed while it was given its host.")
    _bind(tx, placements)


def _bind(tx: Transaction, placements: Sequence[Placement]) -> None:
    """Have the local volumes where their pods are; one whose record is missing is provisioning's to tell of."""
    wanted = sorted({(uuid, host_id) for pod, host_id in placements for uuid in volumes.mounted_by(pod.spec)})
    known = volumes.of(tx, {uuid for uuid, _ in wanted})
    for uuid, host_id in wanted:
        if uuid in known and not volumes.bind(tx, uuid, host_id):
            raise Overtaken("A volume went to another host while a pod that mounts it was given its own.")


def note(tx: Transaction, placements: Sequence[Placement], shapes: Mapping[str, str], holder: Holder) -> None:
    """Note that these pods are about to be given what they take at Placement, in these shapes (by uuid), and hold them; all or none.

    ``Overtaken`` when one was changed meanwhile or another controller is at it.
    """
    now = {"me": holder.name, "now": tx.now, "until": holder.until(tx)}
    held = [{"of_pod": pod.id, "of_generation": pod.generation, **now} for pod, _ in placements]
    if tx.change_many(_HOLD, held) != len(held):
        raise Overtaken("A pod was changed while it was given its host.")
    uuids = [pod.uuid for pod, _ in placements]
    asked = sa.select(ledger.c.pod_uuid).where(ledger.c.pod_uuid.in_(uuids), ledger.c.kind == KindName.ALLOCATION)
    again = {row[0] for row in tx.rows(asked)}
    known = [(pod.uuid, host_id, shapes[pod.uuid]) for pod, host_id in placements]
    tx.change_many(
        _ASK_AGAIN,
        [{"of_pod": pod, "new_host": host, "new_shape": shape} for pod, host, shape in known if pod in again],
    )
    new = [
        {"pod_uuid": pod, "kind": KindName.ALLOCATION, "key": pod, "shape": shape, "host_id": host, "asked_at": tx.now}
        for pod, host, shape in known
        if pod not in again
    ]
    tx.change_many(ledger.insert(), new)


def claimed_for(tx: Transaction, without_host: Collection[Pod]) -> builtins.list[Pod]:
    """Those of these pods that still have no host and for which Placement was asked by a try that broke off, and may have given."""
    uuids = [pod.uuid for pod in without_host]
    query = (
        sa.select(ledger.c.pod_uuid)
        .join(table, table.c.uuid == ledger.c.pod_uuid)
        .where(ledger.c.pod_uuid.in_(uuids), ledger.c.kind == KindName.ALLOCATION, table.c.host_id.is_(None))
    )
    found = {row[0] for row in tx.rows(query)}
    return [pod for pod in without_host if pod.uuid in found]


def hold(tx: Transaction, without_host: Sequence[Pod], holder: Holder) -> builtins.list[Pod]:
    """Hold those of these pods that have no host and were not changed since they were read, unless another controller is at them."""
    now = {"me": holder.name, "now": tx.now, "until": holder.until(tx)}
    return [
        pod for pod in without_host if tx.change(_HOLD, {"of_pod": pod.id, "of_generation": pod.generation, **now}) == 1
    ]


def regain(tx: Transaction, noted: Sequence[Pod], holder: Holder) -> builtins.list[Pod]:
    """Hold these anew, whose hold may have run out and whatever was wished meanwhile; gives all that no other controller holds or has placed."""
    now = {"me": holder.name, "now": tx.now, "until": holder.until(tx)}
    tx.change_many(_REGAIN, [{"of_pod": pod.id, **now} for pod in noted])
    theirs = sa.or_(table.c.host_id.is_not(None), table.c.held_by != holder.name)
    lost = tx.rows(sa.select(table.c.id).where(table.c.id.in_([pod.id for pod in noted]), theirs))
    return [pod for pod in noted if pod.id not in {row[0] for row in lost}]


def confirm(tx: Transaction, given: Sequence[Pod]) -> None:
    """Note that Placement has given these pods what they take."""
    tx.change_many(_CONFIRM, [{"of_pod": pod.uuid, "now": tx.now} for pod in given])


def forget(tx: Transaction, noted: Sequence[Pod], given_back: Sequence[Pod], holder: Holder) -> None:
    """Hold these pods no longer, and strike what Placement has back."""
    uuids = [pod.uuid for pod in given_back]
    tx.change(ledger.delete().where(ledger.c.pod_uuid.in_(uuids), ledger.c.kind == KindName.ALLOCATION))
    for pod in noted:
        holder.let_go(tx, pod.id)


def give_up(tx: Transaction, pod: Pod, reason: str, holder: Holder) -> bool:
    """Say why a pod has no host and end its wishes as failed; it is tried again when its user wishes anew.

    Nothing happens while another controller is placing it: the room that is missing may be what that one has just taken for it. Gives whether
    a try that broke off may have left it something at Placement, which provisioning is to take back now.
    """
    values = {"schedule_generation": table.c.generation, "schedule_reason": reason}
    update = table.update().where(*_UNPLACED, holds.FREE).values(**values)
    if tx.change(update, {"of_pod": pod.id, "of_generation": pod.generation, **holder.free_to(tx)}):
        actions.finish_wishes(tx, pod.uuid, pod.generation, error=reason)
        left = ledger.update().where(*_THIS).values(made_at=None, released_at=pod.observed_generation)
        return tx.change(left, {"of_pod": pod.uuid}) > 0
    return False


def wait(tx: Transaction, pod: Pod, reason: str) -> None:
    """Say what a pod waits for that has no host yet; its wishes stay open."""
    update = table.update().where(*_UNPLACED).values(schedule_reason=reason)
    tx.change(update, {"of_pod": pod.id, "of_generation": pod.generation})


def _by_host(placements: Sequence[Placement]) -> dict[int, builtins.list[Pod]]:
    groups: dict[int, builtins.list[Pod]] = {}
    for pod, host_id in sorted(placements, key=lambda placement: placement.host_id):
        groups.setdefault(host_id, []).append(pod)
    return groups
