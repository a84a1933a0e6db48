"""Does a plan's steps with the ledger around each: written before the outside is asked, struck after the thing is gone.

A crash between any two lines leaves an entry, and the next pass plans from the entries: nothing outside is ever forgotten.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from higgins.core import errors
from higgins.provision.kinds import Kind
from higgins.provision.plan import Have, Step
from higgins.store.loops import ledger
from higgins.store.pods import Pod
from higgins.store.session import Database

LOG = logging.getLogger(__name__)


def haves(entries: Iterable[ledger.Entry]) -> list[Have]:
    """What a pod has, for the planner."""
    return [
        Have(kind=entry.kind, key=entry.key, made=entry.made_at is not None, external_id=entry.external_id)
        for entry in entries
    ]


class Executor:
    """Does steps, one after another."""

    def __init__(self, db: Database, kinds: Mapping[str, Kind]) -> None:
        self._db = db
        self._kinds = kinds

    def do(self, pod: Pod, step: Step) -> None:
        """Do one step; raises what the outside answered, with the entry left for the next pass."""
        LOG.info("Pod %s: %s", pod.uuid, step)
        kind = self._kinds.get(step.kind)
        if kind is None:
            raise errors.NotReady(f"This controller cannot handle a {step.kind}. Run one that is configured for it.")
        if step.verb == "make":
            self._make(kind, pod, step)
        else:
            kind.take_back(pod, step.key, step.external_id)
            with self._db.write() as tx:
                ledger.strike(tx, pod.uuid, step.kind, step.key)

    def _make(self, kind: Kind, pod: Pod, step: Step) -> None:
        with self._db.write() as tx:
            ledger.ask(tx, pod.uuid, step.kind, step.key, host_id=pod.host_id)
        external_id = kind.make(pod, step.key)
        with self._db.write() as tx:
            ledger.made(tx, pod.uuid, step.kind, step.key, external_id)
