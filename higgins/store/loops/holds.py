"""Lets one controller at a time ask the outside for a pod, so that a thing that is being made is never taken back at the same moment.

A hold stands in the pod's row until it is let go or its time is over; what its holder asked for stands in the ledger by then. Within a process
a hold is known in memory too: there the row cannot tell the process from what it was before it was killed.
"""

from __future__ import annotations

import datetime
import threading
import uuid as uuids
from collections.abc import Callable

import sqlalchemy as sa

from higgins.store.session import Transaction
from higgins.store.tables import pods

FREE = sa.or_(pods.c.held_by.is_(None), pods.c.held_by == sa.bindparam("me"), pods.c.held_until < sa.bindparam("now"))
"""In a query with the parameters of ``Holder.free_to``: the pods that no other controller holds."""


class Holder:
    """One controller, by a name that no other has at the same time and that it has again after a restart.

    Several threads may use it. A hold ends after ``held_for_s``: longer than a controller that lives asks for one pod.
    """

    def __init__(self, name: str | None = None, *, held_for_s: float = 300.0) -> None:
        self.name = name or str(uuids.uuid4())
        self._for = datetime.timedelta(seconds=held_for_s)
        self._lock = threading.Lock()
        self._busy: dict[str, tuple[object, int, set[Callable[[], None]]]] = {}

    def begin(self, uuid: str, who: object, generation: int = 0, again: Callable[[], None] | None = None) -> bool:
        """Whether nothing is being done for this pod in this process, so that ``who`` may.

        If not, ``again`` is called at the end of that, unless ``who`` himself is at it for a generation that is not older.
        """
        with self._lock:
            found = self._busy.get(uuid)
            if found is None:
                self._busy[uuid] = (who, generation, set())
            elif again is not None and (found[0] is not who or generation > found[1]):
                found[2].add(again)
            return found is None

    def end(self, uuid: str) -> None:
        """What was begun is over."""
        with self._lock:
            found = self._busy.pop(uuid, None)
        for again in found[2] if found is not None else ():
            again()

    def abandon(self, who: object) -> None:
        """Nothing that ``who`` has begun goes on."""
        with self._lock:
            self._busy = {uuid: found for uuid, found in self._busy.items() if found[0] is not who}

    def free_to(self, tx: Transaction) -> dict[str, object]:
        """The parameters of ``FREE``."""
        return {"me": self.name, "now": tx.now}

    def until(self, tx: Transaction) -> datetime.datetime:
        """When a hold that is taken now ends by itself."""
        return tx.now + self._for

    def take(self, tx: Transaction, pod_id: int, generation: int) -> bool:
        """Hold a pod, if its newest wish is this one and nobody else holds it; also holds it longer. Asking may begin after the commit."""
        update = pods.update().where(pods.c.id == pod_id, pods.c.generation == generation, FREE)
        held = {"held_by": self.name, "held_until": self.until(tx)}
        return tx.change(update.values(**held), self.free_to(tx)) == 1

    def let_go(self, tx: Transaction, pod_id: int) -> bool:
        """Hold a pod no longer, whatever was wished of it meanwhile; gives whether it was still held."""
        mine = (pods.c.id == pod_id, pods.c.held_by == self.name)
        return tx.change(pods.update().where(*mine).values(held_by=None, held_until=None)) == 1
