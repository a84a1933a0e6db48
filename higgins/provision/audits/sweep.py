"""Takes away by itself what services have of ours that nobody needs: what a request made that was given up before it was carried out.

Only what two rounds in a row find goes, and only what was made for a pod that this database knows or remembers: with a database put back from
a backup, or two that share a service, everything stays until an operator has audited. Nothing is made anew here. Knows no service.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from higgins.core import errors
from higgins.provision.audits.stray import Audit, Stray, known, was_here
from higgins.store.session import Database
from higgins.store.upkeep.audit import Finding
from higgins.wire.hints import Hints
from higgins.wire.pulse import Pulse

LOG = logging.getLogger(__name__)


class Sweep:
    """Goes round every ``every_s``, on a thread of its own; several controllers may do so side by side."""

    def __init__(self, db: Database, own_hints: Hints, audits: Sequence[Audit], *, every_s: float) -> None:
        self._db, self._audits = db, tuple(audits)
        self._seen: dict[str, frozenset[Finding]] = {}
        self._pulse = Pulse("sweep", self.run_once, own_hints, (), interval_s=every_s)

    def start(self) -> None:
        """Begin."""
        self._pulse.start()

    def stop(self) -> None:
        """End after the round that is going on."""
        self._pulse.stop()

    def run_once(self) -> None:
        """One round; a service that does not answer is passed by, and what was seen there is still remembered."""
        for audit in self._audits:
            try:
                self._look(audit)
            except errors.HigginsError as error:
                LOG.warning("What %s has of ours is looked through later: %s", audit.title, error.message)

    def _look(self, audit: Audit) -> None:
        now = known(self._db, audit)
        found = {one.finding: one for one in audit.look(now) if one.left_by is not None}
        seen, self._seen[audit.title] = self._seen.get(audit.title, frozenset()), frozenset(found)
        for one in (one for finding, one in found.items() if finding in seen):
            if was_here(self._db, now, one.left_by or ""):
                _put_right(one)


def _put_right(one: Stray) -> None:
    what = f"{one.finding.kind} {one.finding.ident}: {one.finding.text}"
    try:
        if one.put_right is not None:
            one.put_right()
            LOG.warning("Taken away: %s", what)
    except errors.HigginsError as error:
        LOG.warning("To be taken away, which failed and is tried again (%s): %s", error.message, what)
