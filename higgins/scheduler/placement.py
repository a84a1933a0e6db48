"""Claims room at Placement, beside our own table: who could give it is asked once a kind of pod, and each pod takes it as a consumer of its own.

The ledger has the entry before Placement is asked, under a hold, so that whatever breaks off is found and finished or given back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from higgins.cloud import placement as cloud
from higgins.control.container.room import allocation_of
from higgins.core import errors, resources
from higgins.scheduler.choose import Ask, Option
from higgins.scheduler.claims import Silent, claim
from higgins.store.claims import Ratios
from higgins.store.loops import scheduling
from higgins.store.loops.holds import Holder
from higgins.store.loops.scheduling import Placement
from higgins.store.pods import Pod
from higgins.store.session import Database

LOG = logging.getLogger(__name__)

_AT_ONCE = 50


class PlacementClaims:
    """Keeps count of room at Placement. ``installation`` is our own uuid: only providers of ours are offered."""

    def __init__(
        self, db: Database, ratios: Ratios, placement: cloud.Placement, installation: str, holder: Holder
    ) -> None:
        self._db = db
        self._ratios = ratios
        self._placement = placement
        self._required = (resources.trait(installation),)
        self._holder = holder
        self._offers: dict[str, frozenset[str]] = {}
        self._known: frozenset[str] | None = None
        self._uuids: dict[int, str] = {}

    def look_anew(self) -> None:
        """See ``Claims``."""
        self._offers, self._known = {}, None

    def seen(self, ask: Ask, options: Iterable[Option], *, explain: bool = False) -> Iterable[Option]:
        """See ``Claims``. One question for all pods that take the same; others only to explain."""
        taken = resources.amounts(ask)
        every = list(options)
        self._uuids |= {option.host_id: option.uuid for option in every}
        if not taken:
            return every
        offered = self._offered(taken)
        if not explain:
            return [option for option in every if option.uuid in offered]
        return [option if option.uuid in offered else self._explained(option, taken) for option in every]

    def claim(self, placements: Sequence[Placement], *, heard_after: datetime.datetime) -> list[Placement]:
        """See ``Claims``."""
        begun = [one for one in placements if self._holder.begin(one.pod.uuid, self)]
        try:
            unsized = [one for one in begun if not resources.amounts(one.pod)]
            noted = self._noted([one for one in begun if resources.amounts(one.pod)])
            taken = self._taken(noted)
            held = claim(
                self._db,
                [*taken, *unsized],
                self._ratios,
                heard_after=heard_after,
                allocated={one.pod.uuid for one in taken},
            )
            there = {one.pod.uuid for one in held}
            self._undo(self._regained([one.pod for one in noted if one.pod.uuid not in there]))
            return held
        finally:
            for one in begun:
                self._holder.end(one.pod.uuid)

    def undo(self, unplaced: Sequence[Pod]) -> None:
        """See ``Claims``. Placement counts what a pod has taken against that pod too."""
        with self._db.read() as tx:
            noted = scheduling.claimed_for(tx, unplaced)
        begun = [pod for pod in noted if self._holder.begin(pod.uuid, self)]
        try:
            held: list[Pod] = []
            if begun:
                with self._db.write() as tx:
                    held = scheduling.hold(tx, begun, self._holder)
            if self._undo(held) < len(noted):
                raise Silent("What an earlier try took at Placement is not given back yet.")
        finally:
            for pod in begun:
                self._holder.end(pod.uuid)
        if noted:
            self.look_anew()

    def _offered(self, taken: Mapping[str, int]) -> frozenset[str]:
        key = resources.shape(taken)
        if key not in self._offers:
            with _or_silent():
                self._offers[key] = self._placement.candidates(
                    taken, required=self._required, forbidden=(resources.DISABLED,)
                )
        return self._offers[key]

    def _explained(self, option: Option, taken: Mapping[str, int]) -> Option:
        if option.uuid not in self._ready():
            return dataclasses.replace(option, refused="that Placement does not know yet", awaited=True)
        lacking = {name for name, amount in taken.items() if option.uuid not in self._offered({name: amount})}
        if not lacking:
            return dataclasses.replace(option, refused="whose room others were taking at that moment", awaited=True)
        return dataclasses.replace(option, refused=f"without enough {resources.words(lacking)} at Placement")

    def _ready(self) -> frozenset[str]:
        if self._known is None:
            with _or_silent():
                found = self._placement.providers(required=self._required, forbidden=(resources.DISABLED,))
            self._known = frozenset(one.uuid for one in found)
        return self._known

    def _noted(self, placements: Sequence[Placement]) -> list[Placement]:
        """Those that are in the ledger now, and held; the others were changed meanwhile."""
        if not placements:
            return []
        if self._note(placements):
            return list(placements)
        return [one for one in placements if len(placements) > 1 and self._note((one,))]

    def _note(self, placements: Sequence[Placement]) -> bool:
        shapes = {pod.uuid: resources.shape(resources.amounts(pod)) for pod, _ in placements}
        try:
            with self._db.write() as tx:
                scheduling.note(tx, placements, shapes, self._holder)
        except errors.Conflict:
            return False
        return True

    def _taken(self, placements: Sequence[Placement]) -> list[Placement]:
        """Those to whom Placement gives what they take."""
        taken: list[Placement] = []
        for start in range(0, len(placements), _AT_ONCE):
            some = placements[start : start + _AT_ONCE]
            taken += some if self._take_all(some) else [one for one in some if self._take(one)]
        return taken

    def _take_all(self, placements: Sequence[Placement]) -> bool:
        if len(placements) < 2:
            return False
        try:
            with _or_silent():
                self._placement.allocate_new([allocation_of(pod, self._uuids[host_id]) for pod, host_id in placements])
        except (errors.Conflict, errors.Invalid, cloud.Full):
            return False
        return True

    def _take(self, one: Placement) -> bool:
        try:
            with _or_silent():
                self._placement.allocate(allocation_of(one.pod, self._uuids[one.host_id]))
        except (errors.Conflict, errors.Invalid, cloud.Full) as error:
            LOG.info("Pod %s gets no room on host %s: %s", one.pod.uuid, self._uuids[one.host_id], error.message)
            return False
        return True

    def _regained(self, pods: Sequence[Pod]) -> list[Pod]:
        """Those of the pods whose allocation is not another controller's by now."""
        if not pods:
            return []
        with self._db.write() as tx:
            return scheduling.regain(tx, pods, self._holder)

    def _undo(self, pods: Sequence[Pod]) -> int:
        """Give back what pods have got that have no host all the same; what cannot be given back now stays in the ledger. Gives of how many."""
        given_back = []
        for pod in pods:
            try:
                with _or_silent():
                    self._placement.give_back(pod.uuid)
                given_back.append(pod)
            except errors.HigginsError as error:
                LOG.warning("The allocation of pod %s is given back later: %s", pod.uuid, error.message)
        if pods:
            with self._db.write() as tx:
                scheduling.forget(tx, pods, given_back, self._holder)
        return len(given_back)


@contextlib.contextmanager
def _or_silent() -> Iterator[None]:
    try:
        yield
    except (errors.Conflict, errors.Invalid, cloud.Full):
        raise
    except errors.HigginsError as error:
        raise Silent(error.message) from error
