"""What pods take of a host: one guarded UPDATE takes it, one gives it back.

The amounts claimed of a host are always the sum of its pods' own columns, so that ``audit`` can count them again; every change of either goes
through here or ``pods.change``, in the transaction that changes the other. Must not choose a host.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from higgins.core import defaults
from higgins.store.session import Transaction
from higgins.store.tables import hosts

SIZES = ("cpu_milli", "memory_mib", "disk_gib")
"""The columns that quota and a host's claim count, in ``pods`` and (with ``_claimed``) in ``hosts``."""

CLAIMED = (*SIZES, "dedicated_cpus")
"""All columns that a host's claim counts so; processors that are dedicated are within ``cpu_milli`` too."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """How many times what a host has may be claimed of it."""

    cpu: float = defaults.CPU_RATIO
    memory: float = defaults.MEMORY_RATIO
    disk: float = defaults.DISK_RATIO

    def room(self, *, cpus: int, memory_mib: int, disk_gib: int) -> dict[str, float]:
        """All that may be claimed of a host with so many processors that are shared, by the names of ``SIZES``."""
        return {
            "cpu_milli": cpus * 1000 * self.cpu,
            "memory_mib": memory_mib * self.memory,
            "disk_gib": disk_gib * self.disk,
        }


def fits(ratios: Ratios, more: Mapping[str, int]) -> list[sa.ColumnElement[bool]]:
    """Conditions on a row of ``hosts`` under which it can take this much more; what is not above 0 always fits."""
    dedicated = more.get("dedicated_cpus", 0)
    shared_claimed = hosts.c.cpu_milli_claimed - 1000 * hosts.c.dedicated_cpus_claimed
    claimed_and_room = {
        "memory_mib": (hosts.c.memory_mib_claimed, hosts.c.memory_mib * ratios.memory),
        "disk_gib": (hosts.c.disk_gib_claimed, hosts.c.disk_gib * ratios.disk),
        "dedicated_cpus": (hosts.c.dedicated_cpus_claimed, hosts.c.dedicated_cpus),
        "cpu_milli": (shared_claimed, (hosts.c.cpus - hosts.c.dedicated_cpus) * 1000 * ratios.cpu),
    }
    wanted = {**more, "cpu_milli": more.get("cpu_milli", 0) - 1000 * dedicated}
    return [
        claimed + wanted[size] <= room for size, (claimed, room) in claimed_and_room.items() if wanted.get(size, 0) > 0
    ]


def moved(more: Mapping[str, int]) -> dict[str, Any]:
    """The columns of ``hosts`` that change when this much more (or less) is claimed."""
    columns = ((f"{size}_claimed", amount) for size, amount in more.items() if amount)
    return {name: hosts.c[name] + amount for name, amount in columns}


def take(
    tx: Transaction, host_id: int, ratios: Ratios, more: Mapping[str, int], *, pods: int, heard_after: datetime.datetime
) -> bool:
    """Claim this much for so many pods, if the host has room, is enabled, and its agent was heard of after that time."""
    usable = (hosts.c.disabled.is_(sa.false()), hosts.c.forced_down.is_(sa.false()), hosts.c.last_seen_at > heard_after)
    update = hosts.update().where(hosts.c.id == host_id, *usable, *fits(ratios, more))
    return tx.change(update.values(pods_claimed=hosts.c.pods_claimed + pods, **moved(more))) == 1


def given_back(less: Mapping[str, int], *, pods: int) -> dict[str, Any]:
    """The columns of ``hosts`` that change when so many pods release this much."""
    back = moved({size: -amount for size, amount in less.items()})
    return {"pods_claimed": hosts.c.pods_claimed - pods, **back}


def give_back(tx: Transaction, host_id: int, less: Mapping[str, int], *, pods: int) -> None:
    """Release what so many pods had claimed."""
    tx.change(hosts.update().where(hosts.c.id == host_id).values(**given_back(less, pods=pods)))
