"""Look after one pod at a time: observe, plan, do, report; again until nothing is left to do or nothing more can be done.

Retryable errors are tried again later, others end in FAILED for that generation, and every wish has a deadline; a delete
never gives up. It knows neither threads' making nor sockets: who calls it is ``service``.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterable

from higgins.agent.execute import Executor, InProgress, Replan
from higgins.agent.journal import Journal, PodEntry
from higgins.agent.observe import Observer
from higgins.agent.plan import Have, Step, Verb, plan, waiting
from higgins.agent.pod import Pod
from higgins.agent.queue import WorkQueue
from higgins.agent.report import NOTHING_KNOWN, Reporter, in_trouble, status_of
from higgins.core import errors, model
from higgins.core.phase import Desired, Phase

LOG = logging.getLogger(__name__)
MOST_REPLANS = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Every interval of the agent, in seconds."""

    wish_deadline_s: float = 600.0
    pull_deadline_s: float = 120.0
    backoff_first_s: float = 1.0
    backoff_most_s: float = 300.0
    orphan_grace_s: float = 60.0
    image_unused_s: float = 3600.0
    unknown_after_s: float = 10.0
    inventory_s: float = 60.0
    poll_wait_s: float = 30.0
    resync_s: float = 600.0
    reconnect_most_s: float = 2.0
    tick_s: float = 1.0
    coalesce_s: float = 0.001
    preparing_after_s: float = 0.3


class Loop:
    """The pods of this host; a pod is looked after by one thread at a time, which the work queue sees to."""

    def __init__(
        self,
        observer: Observer,
        executor: Executor,
        journal: Journal,
        reporter: Reporter,
        queue: WorkQueue,
        timings: Timings,
        *,
        looked_after: Callable[[model.Assignment, Have], None] = lambda want, have: None,
    ) -> None:
        self._observer, self._executor, self._journal = observer, executor, journal
        self._reporter, self._queue, self._timings, self._looked_after = reporter, queue, timings, looked_after
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._held: frozenset[str] = frozenset()
        self._unforgotten: set[str] = set()  # pods of which the journal could not be cleared yet
        self._down: tuple[float, str] | None = (time.monotonic(), "The container engine was not asked yet.")

    def remember(self) -> None:
        """Take up what the last agent was asked to look after, until the controller answers."""
        with self._lock:
            for want in self._journal.assignments():
                self._pods[want.uuid] = Pod(want, True)

    def assign(self, wants: Iterable[model.Assignment], *, full: bool, held: Iterable[str] = ()) -> None:
        """Take assignments from the controller; when they are ``full``, what is neither among them nor ``held`` is nobody's."""
        wants = tuple(wants)
        with self._lock:
            changed = [want for want in wants if self._is_news(want)]
        if changed:
            self._journal.keep(changed)
        with self._lock:
            for want in changed:
                self._take(want)
            if full:
                self._held = frozenset(held)
            kept = self._held | {want.uuid for want in wants}
            gone = sorted((set(self._pods) | self._journal.pods()) - kept) if full else []
            for uuid in gone:
                self._pods.pop(uuid, None)
        for uuid in gone:
            self._drop(uuid)
        for want in wants if full else changed:
            self._queue.add(want.uuid)

    def _is_news(self, want: model.Assignment) -> bool:
        known = self._pods.get(want.uuid)
        return known is None or known.remembered or known.want != want

    def _take(self, want: model.Assignment) -> None:
        known = self._pods.setdefault(want.uuid, Pod(want, False))
        if known.want.generation != want.generation:
            known.attempts, known.since, known.began = 0, None, {}
        known.want, known.remembered = want, False
        self._unforgotten.discard(want.uuid)

    def _drop(self, uuid: str) -> None:
        self._executor.forget(uuid)
        self._reporter.forget(uuid)
        self._observer.forget(uuid)
        try:
            self._journal.forget(uuid)
        except errors.Unavailable as error:
            LOG.warning("Pod %s is gone, and forgotten later: %s", uuid, error.message)
            with self._lock:
                if uuid not in self._pods:
                    self._unforgotten.add(uuid)

    def write(self) -> None:
        """Write what the journal was only told of, and forget what could not be forgotten; ``Unavailable`` while it cannot be written."""
        self._journal.flush(durable=False)
        with self._lock:
            due = sorted(self._unforgotten)
        for uuid in due:
            self._journal.forget(uuid)
            with self._lock:
                self._unforgotten.discard(uuid)

    def taken(self, uuid: str, status: model.PodStatus) -> None:
        """The controller has taken a status: what is deleted and gone need not be remembered."""
        with self._lock:
            pod = self._pods.get(uuid)
            if status.phase is not Phase.GONE or pod is None or pod.want.desired is not Desired.DELETED:
                return
            del self._pods[uuid]
        self._drop(uuid)

    def wants(self) -> tuple[model.Assignment, ...]:
        """The assignments of this host."""
        with self._lock:
            return tuple(pod.want for pod in self._pods.values())

    def knows(self, uuid: str) -> bool:
        """Whether a pod is assigned to this host."""
        with self._lock:
            return uuid in self._pods or uuid in self._held

    def engine_up(self) -> None:
        """The engine answers and its facts are fresh: look at every pod, and let no deadline have run meanwhile."""
        with self._lock:
            self._down = None
            uuids = list(self._pods)
            for pod in self._pods.values():
                pod.since, pod.attempts = None, 0
        for uuid in uuids:
            self._queue.add(uuid)

    def engine_down(self, reason: str) -> None:
        """The engine does not answer, for a reason that is a sentence; pods are left as they are until it does."""
        with self._lock:
            self._down = (self._down[0] if self._down else time.monotonic(), reason)

    def tick(self) -> None:
        """Say UNKNOWN of every pod once the engine has been away for long."""
        with self._lock:
            if self._down is None or time.monotonic() - self._down[0] < self._timings.unknown_after_s:
                return
            for uuid in self._pods:
                last = self._reporter.latest(uuid) or NOTHING_KNOWN
                if last.phase is not Phase.GONE:
                    self._reporter.pod(uuid, dataclasses.replace(last, phase=Phase.UNKNOWN, reason=self._down[1]))

    def look_after(self, uuid: str) -> None:
        """Bring one pod as near to what is wanted as can be now, and report it."""
        with self._lock:
            pod = self._pods.get(uuid)
            if pod is None or self._down is not None:
                return
        pod.step = pod.have = None
        pod.waited_s()
        try:
            self._converge(pod)
        except errors.HigginsError as error:
            self._trouble(pod, error)
        pod.have = None

    def broken(self, uuid: str, error: Exception) -> None:
        """Looking after a pod failed in a way that nobody foresaw: try it again until its deadline."""
        with self._lock:
            pod = self._pods.get(uuid)
        if pod:
            self._trouble(pod, errors.NotReady(f"The agent failed ({type(error).__name__}); its log says where."))

    def _converge(self, pod: Pod) -> None:
        replans, last = 0, None
        while True:
            want = pod.converging = pod.want
            pod.step = None
            have = pod.have = self._observer.have(want)
            steps = plan(want, have)
            if not any(step.verb is Verb.PULL for step in steps):
                self._executor.leave_pulls(want.uuid)
            if pod.remembered and any(step.verb.traits.needs_all for step in steps):
                return
            if not steps or self._has_failed(want):
                self._settle(pod, want, have, steps)
                return
            if steps == last:
                replans += 1
            if replans > MOST_REPLANS:
                raise errors.NotReady(f"The engine accepted to {steps[0].verb} {steps[0].target}, but nothing changed.")
            last = steps
            try:
                self._do_all(pod, want, steps)
            except InProgress:
                self._preparing(pod, want, have)
                return
            except Replan as wrong:
                replans += 1
                if replans > MOST_REPLANS or (_verb(pod) is Verb.RESIZE and isinstance(wrong.cause, errors.Conflict)):
                    raise wrong.cause from wrong

    def _has_failed(self, want: model.Assignment) -> bool:
        failed = self._journal.pod(want.uuid).failed_generation == want.generation
        return failed and want.desired is not Desired.DELETED

    def _do_all(self, pod: Pod, want: model.Assignment, steps: list[Step]) -> None:
        held_up: errors.HigginsError | None = None
        for step in steps:
            if pod.want is not want or not self.knows(want.uuid):
                return
            if held_up is not None and not step.verb.traits.apart:
                continue
            pod.step = step
            try:
                self._do(pod, want, step)
            except errors.HigginsError as error:
                if not step.verb.traits.apart:
                    raise
                held_up = held_up or error
        if held_up is not None:
            raise held_up

    def _do(self, pod: Pod, want: model.Assignment, step: Step) -> None:
        started_at, began = pod.began.setdefault(str(step), (_now(), time.monotonic()))
        event = model.StepEvent(
            key=f"{want.generation}-{step.verb}-{hashlib.sha256(step.target.encode()).hexdigest()[:12]}",
            pod=want.uuid,
            request_id=want.request_id,
            verb=step.verb,
            target=step.target,
            why=step.why,
            started_at=started_at,
        )

        def progress(text: str) -> None:
            pod.heard = time.monotonic()
            self._reporter.event(dataclasses.replace(event, detail=text), now=True)

        def over(result: model.StepEvent) -> None:
            pod.began.pop(str(step), None)
            self._reporter.event(dataclasses.replace(result, finished_at=_now()))

        try:
            self._executor.do(step, want, progress)
        except InProgress:
            raise
        except Replan:
            pod.began.pop(str(step), None)
            raise
        except errors.HigginsError as error:
            if step.verb is Verb.PULL:
                pod.pull_failed(began)
            over(dataclasses.replace(event, result="Error", detail=error.message))
            raise
        over(dataclasses.replace(event, result="Success"))
        if step.verb is Verb.PULL:
            # However long that took, it went on: what comes after it has the wish's whole time.
            pod.since, pod.attempts = None, 0

    def _settle(self, pod: Pod, want: model.Assignment, have: Have, steps: list[Step]) -> None:
        self._looked_after(want, have)
        entry = self._journal.pod(want.uuid)
        if steps:
            phase = None if all(step.verb.traits.harmless for step in steps) else Phase.FAILED
            entry = dataclasses.replace(entry, observed_generation=want.generation)
            self._say(want, have, entry, phase=phase, reason=entry.failed_reason)
            return
        reason = waiting(want, have)
        if reason:
            left_s = self._timings.wish_deadline_s - pod.waited_s()
            if left_s <= 0 and entry.observed_generation != want.generation:
                self._fail(pod, want, errors.Timeout(f"Gave up: {reason}; see its logs."))
                return
            self._queue.add(want.uuid, after_s=max(left_s, 1.0))
            self._say(want, have, entry, reason=reason)
            return
        pod.attempts, pod.since = 0, None
        if not pod.remembered:
            entry = PodEntry(observed_generation=want.generation, fulfilled_generation=want.generation)
            self._journal.note_pod(want.uuid, entry)
        self._say(want, have, entry)

    def _say(
        self, want: model.Assignment, have: Have, entry: PodEntry, *, phase: Phase | None = None, reason: str = ""
    ) -> None:
        self._tell(want.uuid, status_of(want, have, entry, phase=phase, reason=reason))

    def _tell(self, uuid: str, status: model.PodStatus) -> None:
        with self._lock:
            if uuid in self._pods:
                self._reporter.pod(uuid, status)

    def _preparing(self, pod: Pod, want: model.Assignment, have: Have) -> None:
        """An image is being pulled: say so once it takes long enough to be seen."""
        began = min((since for _, since in pod.began.values()), default=time.monotonic())
        left_s = began + self._timings.preparing_after_s - time.monotonic()
        if left_s > 0:
            self._queue.add(want.uuid, after_s=left_s)
            return
        self._say(want, have, self._journal.pod(want.uuid), reason="The image is being pulled.")

    def _trouble(self, pod: Pod, error: errors.HigginsError) -> None:
        want = pod.want
        if pod.converging is not want:
            self._queue.add(want.uuid)  # what went wrong was an older wish's
            return
        waited_s, deadline_s = pod.waited_s(), self._deadline_s(pod)
        ends = want.desired is not Desired.DELETED and not self._has_failed(want)
        # The first trouble may come late because the machine stood still.
        is_over = waited_s >= deadline_s and pod.attempts > 0
        if ends and (is_over or not error.retryable):
            self._fail(pod, want, error)
            return
        delay_s = self._timings.backoff_first_s * 2 ** min(pod.attempts, 20)
        delay_s = min(delay_s, self._timings.backoff_most_s) * random.uniform(0.75, 1.25)  # noqa: S311
        if ends:
            delay_s = min(delay_s, max(deadline_s - waited_s, 0.01))
        pod.attempts += 1
        self._queue.add(want.uuid, after_s=delay_s)
        with self._lock:
            if self._down is not None:
                return
        self._tell_trouble(pod, error, waited_s)

    def _deadline_s(self, pod: Pod) -> float:
        """How long what goes wrong now is tried again. What was fulfilled once and costs no container has no end: it is put back some time."""
        fulfilled = self._journal.pod(pod.want.uuid).fulfilled_generation == pod.want.generation
        if fulfilled and (pod.step is None or pod.step.verb.traits.harmless):
            return math.inf
        return self._timings.pull_deadline_s if _verb(pod) is Verb.PULL else self._timings.wish_deadline_s

    def _tell_trouble(self, pod: Pod, error: errors.HigginsError, waited_s: float) -> None:
        """Say what is wrong, once something is known of the pod or it has been unknown for long."""
        want, last = pod.want, self._reporter.latest(pod.want.uuid)
        if last is None and pod.have is None and waited_s < self._timings.unknown_after_s:
            return
        reason = f"{error.message} It is tried again."
        self._tell(want.uuid, in_trouble(want, pod.have, last, self._journal.pod(want.uuid), reason))

    def _fail(self, pod: Pod, want: model.Assignment, error: errors.HigginsError) -> None:
        reason = error.message or "It failed without saying why; see the agent's log."
        self._executor.leave_pulls(want.uuid)
        pod.began = {}
        self._journal.note_pod(
            want.uuid,
            dataclasses.replace(
                self._journal.pod(want.uuid),
                observed_generation=want.generation,
                failed_generation=want.generation,
                failed_reason=reason,
                failed_verb=pod.step.verb.value if pod.step else "",
                failed_target=pod.step.target if pod.step else "",
            ),
        )
        self._queue.add(want.uuid)


def _verb(pod: Pod) -> Verb | None:
    return pod.step.verb if pod.step else None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
