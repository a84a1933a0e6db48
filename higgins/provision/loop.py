"""Provisioning's two loops: what pods with a host need of the outside is made; of pods that are over it is taken back, and then their row.

Two threads, so that a slow making never holds up a taking back. Replicas may run side by side: every change is guarded and every step can be
repeated.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Collection, Sequence

from higgins.core import errors
from higgins.provision import kinds as kinds_of
from higgins.provision.ledger import Executor, haves
from higgins.provision.plan import Want, plan
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.provisioning import Standing
from higgins.store.pods import Pod
from higgins.store.session import Database
from higgins.wire import hints
from higgins.wire.pulse import Pulse

LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0


class Provisioner:
    """Hands pods to their hosts once the outside has given what they need, and takes rows away once it has everything back."""

    def __init__(
        self,
        db: Database,
        own_hints: hints.Hints,
        kinds: Sequence[kinds_of.Kind],
        *,
        interval_s: float = 5.0,
    ) -> None:
        self._db = db
        self._hints = own_hints
        self._kinds = tuple(kinds)
        self._executor = Executor(db, kinds_of.by_name(kinds))
        self._pauses = {"make": Pauses(), "take_back": Pauses()}
        self._pulses = (
            Pulse("provision", self.make_once, own_hints, (hints.PROVISION,), interval_s=interval_s),
            Pulse("take-back", self.take_back_once, own_hints, (hints.TAKE_BACK,), interval_s=interval_s),
        )

    def start(self) -> None:
        """Begin both loops."""
        for pulse in self._pulses:
            pulse.start()

    def stop(self) -> None:
        """End after the passes that are going on."""
        for pulse in self._pulses:
            pulse.stop()

    def make_once(self) -> float | None:
        """One pass over pods with a new wish; gives after how many seconds a failed one is due again."""
        pauses = self._pauses["make"]
        with self._db.read() as tx:
            due = pauses.let_through(provisioning.due(tx))
            has = ledger.of(tx, [one.pod.uuid for one in due if one.has_outside])
        ready = [one.pod for one in due if self._make(one.pod, has.get(one.pod.uuid, []))]
        if ready:
            with self._db.write(durable=False) as tx:
                host_ids = provisioning.done(tx, ready)
            for host_id in host_ids:
                self._hints.nudge(hints.host_topic(host_id))
        return pauses.next_s()

    def take_back_once(self) -> float | None:
        """One pass over pods that are over; gives after how many seconds a failed one is due again."""
        pauses = self._pauses["take_back"]
        with self._db.read() as tx:
            due = pauses.let_through(provisioning.over(tx))
            has = ledger.of(tx, [one.pod.uuid for one in due if one.has_outside])
        for one in due:
            self._take_back(one, has.get(one.pod.uuid, []))
        return pauses.next_s()

    def _wants(self, pod: Pod) -> list[Want]:
        return [want for kind in self._kinds for want in kind.wanted_by(pod)]

    def _make(self, pod: Pod, has: Collection[ledger.Entry]) -> bool:
        """Whether the outside now gives all that the pod wants."""
        try:
            for step in plan(self._wants(pod), haves(has)):
                self._executor.do(pod, step)
        except errors.HigginsError as error:
            if error.retryable or isinstance(error, errors.Conflict):
                self._pauses["make"].failed(pod.uuid, error)
                return False
            LOG.warning("Pod %s cannot be provisioned: %s", pod.uuid, error.message)
            with self._db.write() as tx:
                provisioning.failed(tx, pod, error.message)
            return False
        self._pauses["make"].forget(pod.uuid)
        return True

    def _take_back(self, one: Standing, has: Collection[ledger.Entry]) -> None:
        try:
            for step in plan((), haves(has)):
                self._executor.do(one.pod, step)
            with self._db.write(durable=False) as tx:
                provisioning.remove(tx, one.pod)
        except errors.HigginsError as error:
            self._pauses["take_back"].failed(one.pod.uuid, error)
            return
        LOG.info("Pod %s is gone", one.pod.uuid)
        self._pauses["take_back"].forget(one.pod.uuid)


class Pauses:
    """When a pod that failed is due again: after a pause that doubles up to five minutes. Belongs to one thread."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[float, int]] = {}

    def let_through(self, found: Sequence[Standing]) -> list[Standing]:
        """Those of the pods found that may be tried now; pods that are not found any more are forgotten."""
        now = time.monotonic()
        uuids = {one.pod.uuid for one in found}
        self._due = {uuid: due for uuid, due in self._due.items() if uuid in uuids}
        return [one for one in found if now >= self._due.get(one.pod.uuid, (0.0, 0))[0]]

    def failed(self, uuid: str, error: errors.HigginsError) -> None:
        """Put a pod off."""
        times = self._due.get(uuid, (0.0, 0))[1] + 1
        longest_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(times - 1, 20))
        pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311 - only spreads the replicas
        self._due[uuid] = (time.monotonic() + pause_s, times)
        LOG.warning("Pod %s is tried again in %.1f s: %s", uuid, pause_s, error.message)

    def forget(self, uuid: str) -> None:
        """A pod has succeeded."""
        self._due.pop(uuid, None)

    def next_s(self) -> float | None:
        """Seconds until the first pod that was put off is due."""
        return max(0.0, min(due for due, _ in self._due.values()) - time.monotonic()) if self._due else None
