"""Takes what was chosen: many pods in one transaction, and one by one where somebody else was first. Must not choose.

Room is claimed in our own table; ``scheduler.placement`` claims it at Placement as well.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from higgins.core import errors
from higgins.scheduler.choose import Ask, Option
from higgins.store.claims import Ratios
from higgins.store.loops import scheduling
from higgins.store.loops.scheduling import Placement
from higgins.store.pods import Pod
from higgins.store.session import Database


class Silent(errors.Unavailable):
    """Who keeps count of room does not answer, so that nobody can be placed now."""


class Claims(Protocol):
    """Who keeps count of room on hosts. Used by one thread; any of its calls may raise ``Silent``."""

    def look_anew(self) -> None:
        """Forget what was seen: others may have changed it."""
        ...

    def seen(self, ask: Ask, options: Iterable[Option], *, explain: bool = False) -> Iterable[Option]:
        """The hosts to choose from for a pod: those on which there is room, as seen since ``look_anew``.

        With ``explain`` all of them, the others with the reason why not.
        """
        ...

    def claim(self, placements: Sequence[Placement], *, heard_after: datetime.datetime) -> list[Placement]:
        """Those of the placements that hold now; the others were in the way of somebody and are chosen for again."""
        ...

    def undo(self, unplaced: Sequence[Pod]) -> None:
        """Have nobody hold room for these pods, who have no host: what a try that broke off may have taken would stand in their own way."""
        ...


class EmbeddedClaims:
    """Counts room in our own table alone."""

    def __init__(self, db: Database, ratios: Ratios) -> None:
        self._db = db
        self._ratios = ratios

    def look_anew(self) -> None:
        """Nothing is kept: hosts are read by the scheduler."""

    def seen(self, ask: Ask, options: Iterable[Option], *, explain: bool = False) -> Iterable[Option]:
        """All hosts: their room is in them."""
        return options

    def claim(self, placements: Sequence[Placement], *, heard_after: datetime.datetime) -> list[Placement]:
        """See ``Claims``."""
        return claim(self._db, placements, self._ratios, heard_after=heard_after)

    def undo(self, unplaced: Sequence[Pod]) -> None:
        """Nothing: who has no host has claimed nothing."""


def claim(
    db: Database,
    placements: Sequence[Placement],
    ratios: Ratios,
    *,
    heard_after: datetime.datetime,
    allocated: Collection[str] = (),
) -> list[Placement]:
    """Those of the placements that hold now. ``allocated`` are the uuids of pods whose entry in the ledger is confirmed with it."""
    if not placements:
        return []
    if _placed(db, placements, ratios, heard_after, allocated):
        return list(placements)
    if len(placements) == 1:
        return []
    return [one for one in placements if _placed(db, (one,), ratios, heard_after, allocated)]


def _placed(
    db: Database,
    placements: Sequence[Placement],
    ratios: Ratios,
    heard_after: datetime.datetime,
    allocated: Collection[str],
) -> bool:
    try:
        with db.write(durable=False) as tx:
            scheduling.place(tx, placements, ratios, heard_after=heard_after)
            scheduling.confirm(tx, [pod for pod, _ in placements if pod.uuid in allocated])
    except (errors.Conflict, errors.OutOfCapacity):
        return False
    return True
