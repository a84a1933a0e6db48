"""Chooses a host for a pod. Pure: knows neither store nor clock; whoever calls has looked at both.

A filter says why a host cannot take a pod; of the hosts that can, the one that is least filled afterwards is chosen, so that pods spread.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from higgins.core import resources

NO_HOST = "There are not enough hosts available."
"""How every refusal begins; clients of Zun look for it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a pod needs of its host. ``volumes`` are those that others may use too, each with whether the pod writes to it.

    ``homes`` are the ids of the hosts on which they have to be: empty when none of them has its place yet. ``dedicated_cpus`` of the processors
    it has for itself.
    """

    cpu_milli: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    dedicated_cpus: int = 0
    availability_zone: str | None = None
    requested_host: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    runtimes: frozenset[str] = frozenset()
    abilities: frozenset[str] = frozenset()
    volumes: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    homes: frozenset[int] = frozenset()

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """What it takes of each kind of room that an ``Option`` has."""
        return (resources.shared_cpu_milli(self), self.memory_mib, self.disk_gib, self.dedicated_cpus)

    def at_home(self, uses: Mapping[str, Collection[tuple[int, bool]]]) -> Ask:
        """The same where volumes are used so: on which hosts, and whether somebody there writes. What is only read may be used on several."""
        if not self.volumes:
            return self
        homes = {
            host_id
            for volume, writes in self.volumes.items()
            for host_id, _ in uses.get(volume, ())
            if writes or any(they_write for _, they_write in uses[volume])
        }
        return dataclasses.replace(self, homes=frozenset(homes))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A host as it was last read. ``room`` is all that may be claimed of it, ``claimed`` what is, both in (milli cpus, MiB, GiB, dedicated cpus).

    The first are of the processors that are shared.
    ``refused`` says why whoever else keeps count of room gives nothing there, as words that follow a number of hosts; ``awaited`` that he soon may.
    """

    host_id: int
    hostname: str
    uuid: str = ""
    zone: str = "nova"
    up: bool = True
    enabled: bool = True
    engine_up: bool = True
    room: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    claimed: tuple[int, int, int, int] = (0, 0, 0, 0)
    pods: int = 0
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    runtimes: frozenset[str] = frozenset()
    abilities: frozenset[str] = frozenset()
    refused: str | None = None
    awaited: bool = False

    def with_claim(self, ask: Ask) -> Option:
        """The same host after it has taken a pod."""
        cpu_milli, memory_mib, disk_gib, dedicated_cpus = self.claimed
        more = ask.sizes
        claimed = (cpu_milli + more[0], memory_mib + more[1], disk_gib + more[2], dedicated_cpus + more[3])
        return dataclasses.replace(self, claimed=claimed, pods=self.pods + 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """No host can take the pod. ``may_come_up`` says that one could if it only were up, so that waiting a while makes sense."""

    reason: str
    may_come_up: bool


_SIZES = ("processors", "memory", "disk space", "dedicated processors")

Filter = Callable[[Ask, Option], str | None]
"""Why a host cannot take a pod, as words that follow a number of hosts; ``None`` when it can."""


def _requested(ask: Ask, option: Option) -> str | None:
    if ask.requested_host in (None, option.hostname, option.uuid):
        return None
    return f"other than {ask.requested_host}, which was asked for"


def _home(ask: Ask, option: Option) -> str | None:
    if not ask.homes or ask.homes == {option.host_id}:
        return None
    return "without the volumes" if len(ask.homes) == 1 else "without all of the volumes, which are on different hosts"


def _zone(ask: Ask, option: Option) -> str | None:
    if ask.availability_zone in (None, option.zone):
        return None
    return f"outside the availability zone {ask.availability_zone}"


def _labels(ask: Ask, option: Option) -> str | None:
    missing = [f"{key}={value}" for key, value in sorted(ask.labels.items()) if option.labels.get(key) != value]
    return f"without the labels {', '.join(missing)}" if missing else None


def _enabled(ask: Ask, option: Option) -> str | None:
    return None if option.enabled else "disabled"


def _up(ask: Ask, option: Option) -> str | None:
    return None if option.up else "down"


def _engine_up(ask: Ask, option: Option) -> str | None:
    return None if option.engine_up else "with an engine that does not answer"


def _runtimes(ask: Ask, option: Option) -> str | None:
    missing = sorted(ask.runtimes - option.runtimes)
    return f"without the runtime {', '.join(missing)}" if missing else None


def _abilities(ask: Ask, option: Option) -> str | None:
    missing = sorted(ask.abilities - option.abilities)
    return f"with an engine that cannot do {', '.join(missing)}" if missing else None


def _room(ask: Ask, option: Option) -> str | None:
    missing = [
        size
        for size, more, claimed, room in zip(_SIZES, ask.sizes, option.claimed, option.room, strict=True)
        if more > 0 and claimed + more > room
    ]
    return f"without enough {' and '.join(missing)}" if missing else None


def _offered(ask: Ask, option: Option) -> str | None:
    return option.refused


FILTERS: tuple[Filter, ...] = (
    _requested,
    _home,
    _zone,
    _labels,
    _enabled,
    _up,
    _engine_up,
    _runtimes,
    _abilities,
    _room,
    _offered,
)
"""In this order; the first that objects names the reason."""

_PASSING: frozenset[Filter] = frozenset({_up, _engine_up, _runtimes, _abilities, _room, _offered})
"""What a host that has just started may still object to: it knows its room and its engine only when it is up."""


def objection(ask: Ask, option: Option) -> str | None:
    """Why a host cannot take a pod; ``None`` when it can."""
    return next((why for check in FILTERS if (why := check(ask, option)) is not None), None)


def choose(ask: Ask, options: Iterable[Option]) -> Option | Refused:
    """The host that a pod goes to, or why there is none."""
    objections: list[tuple[Option, str]] = []
    best: tuple[tuple[float, int, int], Option] | None = None
    for option in options:
        why = objection(ask, option)
        if why is not None:
            objections.append((option, why))
            continue
        weight = _weight(ask, option)
        if best is None or weight < best[0]:
            best = (weight, option)
    return _refuse(ask, objections) if best is None else best[1]


def _weight(ask: Ask, option: Option) -> tuple[float, int, int]:
    after = option.with_claim(ask)
    fullest = max(
        (claimed / room for claimed, room in zip(after.claimed, after.room, strict=True) if room > 0), default=0.0
    )
    return (fullest, option.pods, option.host_id)


def _refuse(ask: Ask, objections: Sequence[tuple[Option, str]]) -> Refused:
    if not objections:
        return Refused(f"{NO_HOST} No host has been enrolled yet.", False)
    counted = Counter(why for _, why in objections)
    total = len(objections)
    parts = [f"{count} {why}" for why, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]
    coming = (option for option, _ in objections if not option.up or not option.engine_up or option.awaited)
    may_come_up = any(_would_suit(ask, option) for option in coming)
    return Refused(f"{NO_HOST} Of {total} host{'' if total == 1 else 's'}: {', '.join(parts)}.", may_come_up)


def _would_suit(ask: Ask, option: Option) -> bool:
    return all(check in _PASSING or check(ask, option) is None for check in FILTERS)
