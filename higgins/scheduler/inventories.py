"""Tells Placement what our hosts have: each is a root provider with its inventories and traits. Any controller may do it; only changes are sent.

Must not know pods. What operators add to our providers (other traits, aggregates) stays.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping

from higgins.cloud.placement import Inventory, Placement
from higgins.core import errors, resources
from higgins.core.defaults import HOST_DOWN_AFTER_S
from higgins.store import hosts
from higgins.store.claims import Ratios
from higgins.store.hosts import Host
from higgins.store.session import Database
from higgins.wire.hints import Hints
from higgins.wire.pulse import Pulse

LOG = logging.getLogger(__name__)

_TRIES = 4
_OUR_TRAITS = ("CUSTOM_HIGGINS_", "HW_ARCH_")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What of each host Placement gives to nobody: the host's own needs, or another service's share."""

    cpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A host as Placement shall know it."""

    name: str
    inventories: Mapping[str, Inventory]
    traits: frozenset[str]


def provider_name(installation: str, hostname: str) -> str:
    """What our provider of a host is called: never like Nova's, which is the bare hostname, nor like another installation's."""
    return f"higgins:{installation[:8]}:{hostname}"[:200]


def published(host: Host, installation: str, ratios: Ratios, reserved: Reserved, *, is_up: bool) -> Published | None:
    """How a host shall be known; ``None`` before its agent has told what it has."""
    facts = host.facts
    if facts is None or host.cpus <= 0 or host.memory_mib <= 0:
        return None
    whole = {
        resources.VCPU: (host.cpus - host.dedicated_cpus, reserved.cpus, ratios.cpu),
        resources.PCPU: (host.dedicated_cpus, 0, 1.0),
        resources.MEMORY_MB: (host.memory_mib, reserved.memory_mib, ratios.memory),
        resources.DISK_GB: (host.disk_gib, reserved.disk_gib, ratios.disk),
    }
    traits = {
        resources.trait(installation),
        resources.trait("ENGINE", facts.engine),
        *(resources.trait("ABILITY", name) for name in facts.abilities),
        *(resources.trait("RUNTIME", name) for name in facts.runtimes),
    }
    if facts.architecture:
        traits.add(resources.architecture(facts.architecture))
    if host.disabled or not is_up or not facts.engine_up:
        traits.add(resources.DISABLED)
    return Published(
        name=provider_name(installation, host.hostname),
        inventories={
            name: Inventory(total=total, reserved=min(kept, total), allocation_ratio=ratio)
            for name, (total, kept, ratio) in whole.items()
            if total > 0
        },
        traits=frozenset(traits),
    )


class Publisher:
    """Keeps Placement told on a thread of its own; what it sent last is compared with Placement again after ``verify_s``."""

    def __init__(
        self,
        db: Database,
        own_hints: Hints,
        placement: Placement,
        installation: str,
        *,
        ratios: Ratios | None = None,
        reserved: Reserved | None = None,
        interval_s: float = 5.0,
        down_after_s: float = HOST_DOWN_AFTER_S,
        verify_s: float = 300.0,
    ) -> None:
        self._db = db
        self._placement = placement
        self._installation = installation
        self._ratios = ratios or Ratios()
        self._reserved = reserved or Reserved()
        self._down_after_s, self._verify_s = down_after_s, verify_s
        self._sent: dict[str, Published] = {}
        self._traits: set[str] = set()
        self._verified_at: float | None = None
        self._pulse = Pulse("inventories", self.run_once, own_hints, (), interval_s=interval_s)

    def start(self) -> None:
        """Begin."""
        self._pulse.start()

    def stop(self) -> None:
        """End after the pass that is going on."""
        self._pulse.stop()

    def run_once(self) -> float | None:
        """One pass over all hosts. Raises the first error after all hosts were tried."""
        if self._verified_at is None or time.monotonic() - self._verified_at > self._verify_s:
            self._sent, self._verified_at = dict.fromkeys(self._ours(), _UNKNOWN), time.monotonic()
        # After Placement was asked: a host whose provider another replica has just made would look removed otherwise.
        with self._db.read() as tx:
            every = hosts.list(tx)
        now = self._db.now()
        failed: list[errors.HigginsError] = []
        for uuid in self._sent.keys() - {host.uuid for host in every}:
            self._try(uuid, None, failed)
        for host in every:
            wanted = published(
                host, self._installation, self._ratios, self._reserved, is_up=host.is_up(now, self._down_after_s)
            )
            if wanted is not None and self._sent.get(host.uuid) != wanted:
                self._try(host.uuid, wanted, failed)
        if failed:
            raise failed[0]
        return None

    def _ours(self) -> list[str]:
        found = self._placement.providers(required=(resources.trait(self._installation),))
        return [one.uuid for one in found]

    def _try(self, uuid: str, wanted: Published | None, failed: list[errors.HigginsError]) -> None:
        try:
            if wanted is None:
                self._remove(uuid)
                self._sent.pop(uuid, None)
            else:
                self._publish(uuid, wanted)
                self._sent[uuid] = wanted
        except errors.HigginsError as error:
            self._traits.clear()
            failed.append(error)

    def _publish(self, uuid: str, wanted: Published) -> None:
        """Make Placement's provider as wanted, from whatever it is now; what is so already is not sent."""
        there = self._placement.provider(uuid)
        if there is None:
            LOG.info("Placement gets the provider %s", wanted.name)
            self._placement.create_provider(uuid, wanted.name)
        elif there.name != wanted.name:
            self._placement.rename_provider(uuid, wanted.name)
        for attempt in range(1, _TRIES + 1):
            try:
                self._set_inventories(uuid, wanted, keep=attempt > 1)
                self._set_traits(uuid, wanted)
            except errors.Conflict:  # another replica, or a claim, was first; or a class that goes is taken of
                if attempt == _TRIES:
                    raise
            else:
                return

    def _set_inventories(self, uuid: str, wanted: Published, *, keep: bool) -> None:
        generation, there = self._placement.inventories(uuid)
        inventories = dict(wanted.inventories)
        if keep:
            going = {name: one for name, one in there.items() if name not in inventories}
            inventories |= {name: dataclasses.replace(one, reserved=one.total) for name, one in going.items()}
        if inventories != there:
            self._placement.set_inventories(uuid, generation, inventories)

    def _set_traits(self, uuid: str, wanted: Published) -> None:
        generation, there = self._placement.traits(uuid)
        others = {one for one in there if not one.startswith(_OUR_TRAITS) and one != resources.DISABLED}
        if there == others | wanted.traits:
            return
        for name in sorted(wanted.traits - there - self._traits):
            if name.startswith("CUSTOM_"):
                self._placement.make_trait(name)
        self._traits |= wanted.traits
        self._placement.set_traits(uuid, generation, others | wanted.traits)

    def _remove(self, uuid: str) -> None:
        """Have no provider of a host that is no more. No pod is on it, so what is taken of it was left behind."""
        LOG.info("Placement loses the provider %s: its host was removed", uuid)
        try:
            self._placement.delete_provider(uuid)
        except errors.Conflict:
            for consumer in self._placement.taken_of(uuid):
                self._placement.give_back(consumer)
            self._placement.delete_provider(uuid)


_UNKNOWN = Published(name="", inventories={}, traits=frozenset())
