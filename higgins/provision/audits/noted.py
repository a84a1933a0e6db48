"""The ledger against the pods that it is kept for: what is noted of nobody, and what stands unnoted or unconfirmed though nobody asks for it.

Knows no service: entries of nobody that hold something outside are taken back by the audit of the service that gave it.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator

from higgins.provision.audits.stray import Known, Stray, looked_at_again, of_nobody, stray
from higgins.store.loops.ledger import KindName
from higgins.store.session import Database
from higgins.store.upkeep.audit import never_confirmed

_NOTHING_OUTSIDE: Collection[str] = (KindName.IMAGE, KindName.VOLUME)
"""Leave to use an image, and a record of our own: with the entry all is gone."""


def strays(known: Known, db: Database) -> Iterator[Stray]:
    """All that is wrong in the ledger itself."""
    for one in known.unnoted:
        if one.settled:
            text = f"nothing is noted of its {one.kind} {one.key}, which it needs since {one.why}"
            yield stray("ledger", one.pod, text, functools.partial(looked_at_again, db, one.pod))
    for entry in known.entries:
        if entry.pod_uuid not in known.pods:
            if entry.kind in _NOTHING_OUTSIDE:
                yield of_nobody(db, entry, lambda: None)
        elif entry.made_at is None and entry.released_at is None and entry.pod_uuid in known.settled:
            text = never_confirmed(entry.kind, entry.key)
            yield stray("ledger", entry.pod_uuid, text, functools.partial(looked_at_again, db, entry.pod_uuid))
