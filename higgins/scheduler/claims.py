"""Takes what was chosen: many pods in one transaction, and one by one where somebody else was first. Must not choose."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from higgins.core import errors
from higgins.store.claims import Ratios
from higgins.store.loops import scheduling
from higgins.store.loops.scheduling import Placement
from higgins.store.session import Database


def claim(
    db: Database, placements: Sequence[Placement], ratios: Ratios, *, heard_after: datetime.datetime
) -> list[Placement]:
    """Those of the placements that hold now; the others were in the way of somebody and are chosen for again."""
    if not placements:
        return []
    if _placed(db, placements, ratios, heard_after):
        return list(placements)
    if len(placements) == 1:
        return []
    return [one for one in placements if _placed(db, (one,), ratios, heard_after)]


def _placed(db: Database, placements: Sequence[Placement], ratios: Ratios, heard_after: datetime.datetime) -> bool:
    try:
        with db.write(durable=False) as tx:
            scheduling.place(tx, placements, ratios, heard_after=heard_after)
    except (errors.Conflict, errors.OutOfCapacity):
        return False
    return True
