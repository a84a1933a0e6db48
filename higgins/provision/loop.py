"""Provisioning's two loops: what pods with a host need of the outside is made; of pods that are over it is taken back, and then their row.

Two threads find what is due, a crew each does it, so that a slow service holds up only the pods that need it. Replicas may run side by side:
every change is guarded and every step can be repeated.
"""

from __future__ import annotations

import datetime
import logging
import random
import threading
import time
from collections.abc import Collection, Mapping, Sequence

from higgins.core import errors
from higgins.provision import kinds as kinds_of
from higgins.provision.crew import Crew
from higgins.provision.ledger import Executor, Job, haves, is_final
from higgins.provision.plan import Want, plan, take_back
from higgins.store import hosts
from higgins.store.hosts import Host
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.provisioning import Standing
from higgins.store.pods import Pod
from higgins.store.seal import Sealer
from higgins.store.session import Database, Transaction
from higgins.wire import hints
from higgins.wire.pulse import Pulse

LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0


class Provisioner:
    """Hands pods to their hosts once the outside has given what they need, and takes rows away once it has everything back.

    ``at_once`` pods are made, and as many taken back, side by side; with 0 a pass does them itself, one after another. A wish for which the
    outside has not given its part ``deadline_s`` after it was made has failed.
    """

    def __init__(
        self,
        db: Database,
        own_hints: hints.Hints,
        kinds: Sequence[kinds_of.Kind],
        sealer: Sealer,
        *,
        interval_s: float = 5.0,
        at_once: int = 0,
        deadline_s: float = 600.0,
    ) -> None:
        self._db = db
        self._hints = own_hints
        self._kinds = tuple(kinds)
        self._deadline = datetime.timedelta(seconds=deadline_s)
        self._executor = Executor(db, kinds_of.by_name(kinds), sealer)
        self._making, self._taking = Pauses(), Pauses()
        self._makers = Crew("provision", lambda: own_hints.nudge(hints.PROVISION), at_once=at_once)
        self._takers = Crew("take-back", lambda: own_hints.nudge(hints.TAKE_BACK), at_once=at_once)
        self._pulses = (
            Pulse("provision", self.make_once, own_hints, (hints.PROVISION,), interval_s=interval_s),
            Pulse("take-back", self.take_back_once, own_hints, (hints.TAKE_BACK,), interval_s=interval_s),
        )

    def start(self) -> None:
        """Begin both loops."""
        for pulse in self._pulses:
            pulse.start()

    def stop(self) -> None:
        """End after the passes and the work that are going on."""
        for pulse in self._pulses:
            pulse.stop()
        self._makers.stop()
        self._takers.stop()

    def make_once(self) -> float | None:
        """One pass over pods with a new wish; gives after how many seconds a failed one is due again."""
        with self._db.read() as tx:
            due = self._making.let_through(provisioning.due(tx))
            has = ledger.of(tx, [one.pod.uuid for one in due if one.has_outside])
            wants = {one.pod.uuid: self._wants(one.pod) for one in due}
            steps = {uuid: plan(wants[uuid], haves(has.get(uuid, []))) for uuid in wants}
            places = _hosts_of(tx, [one.pod for one in due if steps[one.pod.uuid]])
        self._hand_over([one.pod for one in due if not steps[one.pod.uuid]])
        for pod in [one.pod for one in due if steps[one.pod.uuid]]:
            entries = has.get(pod.uuid, [])
            job = Job(pod=pod, host=places.get(pod.host_id), steps=steps[pod.uuid], entries=entries)
            self._makers.take(pod.uuid, pod.generation, lambda job=job: self._make(job))  # type: ignore[misc]
        return self._making.next_s()

    def take_back_once(self) -> float | None:
        """One pass over pods that are over, or whose host has left something; gives after how many seconds a failed one is due again."""
        with self._db.read() as tx:
            over = self._taking.let_through([*provisioning.over(tx), *provisioning.left(tx)])
            has = ledger.of(tx, [one.pod.uuid for one in over if one.has_outside])
            places = _hosts_of(tx, [one.pod for one in over if one.has_outside])
        for one in over:
            entries = has.get(one.pod.uuid, [])
            steps = take_back(haves(entries), observed=None if one.is_over else one.pod.observed_generation)
            job = Job(pod=one.pod, host=places.get(one.pod.host_id), steps=steps, entries=entries)
            work = self._end if one.is_over else self._take_back
            self._takers.take(one.pod.uuid, one.pod.generation, lambda job=job, work=work: work(job))  # type: ignore[misc]
        return self._taking.next_s()

    def _wants(self, pod: Pod) -> list[Want]:
        return [want for kind in self._kinds for want in kind.wanted_by(pod)]

    def _hand_over(self, ready: Sequence[Pod]) -> None:
        if ready:
            with self._db.write(durable=False) as tx:
                host_ids = provisioning.done(tx, ready)
            for pod in ready:
                self._making.forget(pod.uuid)
            for host_id in host_ids:
                self._hints.nudge(hints.host_topic(host_id))

    def _make(self, job: Job) -> None:
        """Have the outside give all that the pod wants, and hand it to its host."""
        try:
            self._executor.make(job, lambda tx: provisioning.done(tx, [job.pod]))
        except errors.HigginsError as error:
            if not is_final(error) and self._db.now() - job.pod.wished_at < self._deadline:
                self._making.failed(job.pod.uuid, error)
                self._explain(job.pod, error.message)
                self._hints.nudge(hints.PROVISION)
                return
            LOG.warning("Pod %s cannot be provisioned: %s", job.pod.uuid, error.message)
            with self._db.write() as tx:
                provisioning.failed(tx, job.pod, error.message)
            return
        self._making.forget(job.pod.uuid)
        if job.pod.host_id is not None:
            self._hints.nudge(hints.host_topic(job.pod.host_id))

    def _explain(self, pod: Pod, reason: str) -> None:
        with self._db.write(durable=False) as tx:
            provisioning.wait(tx, pod, reason)

    def _end(self, job: Job) -> None:
        try:
            self._executor.take_back(job, lambda tx: provisioning.remove(tx, job.pod))
        except errors.HigginsError as error:
            self._taking.failed(job.pod.uuid, error)
            self._hints.nudge(hints.TAKE_BACK)
            return
        LOG.info("Pod %s is gone", job.pod.uuid)
        self._taking.forget(job.pod.uuid)

    def _take_back(self, job: Job) -> None:
        try:
            self._executor.take_back(job, lambda _tx: None)
        except errors.HigginsError as error:
            self._taking.failed(job.pod.uuid, error)
            self._hints.nudge(hints.TAKE_BACK)
            return
        self._taking.forget(job.pod.uuid)


class Pauses:
    """When a pod that failed is due again: after a pause that doubles up to five minutes. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[str, tuple[float, int]] = {}

    def let_through(self, found: Sequence[Standing]) -> list[Standing]:
        """Those of the pods found that may be tried now; pods that are not found any more are forgotten."""
        now = time.monotonic()
        uuids = {one.pod.uuid for one in found}
        with self._lock:
            self._due = {uuid: due for uuid, due in self._due.items() if uuid in uuids}
            return [one for one in found if now >= self._due.get(one.pod.uuid, (0.0, 0))[0]]

    def failed(self, uuid: str, error: errors.HigginsError) -> None:
        """Put a pod off."""
        with self._lock:
            times = self._due.get(uuid, (0.0, 0))[1] + 1
            longest_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(times - 1, 20))
            pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311 - only spreads the replicas
            self._due[uuid] = (time.monotonic() + pause_s, times)
        LOG.warning("Pod %s is tried again in %.1f s: %s", uuid, pause_s, error.message)

    def forget(self, uuid: str) -> None:
        """A pod has succeeded."""
        with self._lock:
            self._due.pop(uuid, None)

    def next_s(self) -> float | None:
        """Seconds until the first pod that was put off is due."""
        with self._lock:
            due = [moment for moment, _ in self._due.values()]
        return max(0.0, min(due) - time.monotonic()) if due else None


def _hosts_of(tx: Transaction, pods: Collection[Pod]) -> Mapping[int | None, Host]:
    return hosts.by_ids(tx, {pod.host_id for pod in pods if pod.host_id is not None})
