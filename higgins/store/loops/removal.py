"""Takes away the rows of pods that are over, with all that hangs on them: quota, the host's claim, volumes' records, open actions.

Two call this, see ADR 0013: a host's report for pods of which nothing is left outside, and provisioning for all others. Must not know
why a pod is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from higgins.core.model import PodSpec
from higgins.core.phase import Desired
from higgins.store import actions, claims, quotas, specs
from higgins.store.records import volumes
from higgins.store.session import Transaction
from higgins.store.tables import hosts, ledger, pods


class Removed(NamedTuple):
    """What a row had that is gone now."""

    uuid: str
    project_id: str
    spec: PodSpec
    cpu_milli: int
    memory_mib: int
    disk_gib: int
    dedicated_cpus: int


HAS_OUTSIDE = sa.exists().where(ledger.c.pod_uuid == pods.c.uuid)
_COLUMNS = (pods.c.uuid, pods.c.project_id, pods.c.spec, *(pods.c[size] for size in claims.CLAIMED))


def rows(tx: Transaction, *guard: sa.ColumnElement[bool], observed: Mapping[str, int]) -> list[Removed]:
    """Delete the rows that meet the guard and have an empty ledger, give their quota back and end their actions.

    ``observed`` is the generation that its host has dealt with, by the pod's uuid. The claim of the host is the caller's: ``claim_of``.
    """
    found = tx.rows(pods.delete().where(*guard, sa.not_(HAS_OUTSIDE)).returning(*_COLUMNS))
    removed = [Removed(uuid, project, specs.decode(spec), *sizes) for uuid, project, spec, *sizes in found]
    for project_id in sorted({one.project_id for one in removed}):
        own = [one for one in removed if one.project_id == project_id]
        quotas.give_back(tx, project_id, containers=sum(map(quotas.containers_of, own)), **_sums(own, claims.SIZES))
    for one in removed:
        if volumes.mounted_by(one.spec):
            volumes.delete_of(tx, one.uuid)  # nothing of it was made, or it was taken back: the ledger is empty
    actions.finish_gone(tx, {one.uuid: observed.get(one.uuid, 0) for one in removed})
    return removed


def reported_gone(tx: Transaction, host_id: int, number: int, gone: Mapping[str, int]) -> list[Removed]:
    """Take away those deleted pods that their host reports gone (with the generation it has dealt with) and that need nothing more.

    None when the report is not newer than the last one taken. Pods that end by themselves are left to provisioning.
    """
    if not gone:
        return []
    newer = sa.exists().where(hosts.c.id == host_id, hosts.c.report_number < number)
    theirs = (pods.c.uuid.in_(sorted(gone)), pods.c.host_id == host_id, pods.c.desired == Desired.DELETED.value)
    return rows(tx, *theirs, newer, observed=gone)


def claim_of(removed: Iterable[Removed]) -> dict[str, int]:
    """What these had claimed in all, by the names of ``claims.CLAIMED``."""
    return _sums(list(removed), claims.CLAIMED)


def _sums(removed: Sequence[Removed], sizes: Iterable[str]) -> dict[str, int]:
    return {size: sum(getattr(one, size) for one in removed) for size in sizes}
