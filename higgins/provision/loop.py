"""Provisioning's two loops: what pods with a host need of the outside is made; of pods that are over it is taken back, and then their row.

Two threads find what is due, a crew each does it, so that a slow service holds up only the pods that need it. Replicas may run side by side:
every change is guarded and every step can be repeated.
"""

from __future__ import annotations

import datetime
import functools
import logging
from collections.abc import Collection, Mapping, Sequence

from higgins.core import errors
from higgins.provision import kinds as kinds_of
from higgins.provision.crew import Crew
from higgins.provision.ledger import Executor, haves, is_final
from higgins.provision.plan import Want, plan
from higgins.provision.undo import undone
from higgins.store import hosts
from higgins.store.hosts import Host
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.holds import Holder
from higgins.store.loops.provisioning import Standing
from higgins.store.pods import Pod
from higgins.store.seal import Sealer
from higgins.store.session import Database, Transaction
from higgins.threads.pauses import Pauses
from higgins.wire import hints
from higgins.wire.pulse import Pulse

LOG = logging.getLogger(__name__)

_QUIET_LOOKS = 5


class Provisioner:
    """Hands pods to their hosts once the outside has given what they need, and takes rows away once it has everything back.

    ``at_once`` pods are made, and as many taken back, side by side; with 0 a pass does them itself, one after another. A wish for which the
    outside has not given its part ``deadline_s`` after it was made has failed. ``holder`` says as whom pods are held while that goes on.
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
        holder: Holder | None = None,
    ) -> None:
        self._db = db
        self._hints = own_hints
        self._kinds = tuple(kinds)
        self._sealer = sealer
        self._deadline = datetime.timedelta(seconds=deadline_s)
        self._holder = holder or Holder()
        self._executor = Executor(db, kinds_of.by_name(kinds), sealer, self._holder)
        self._making, self._taking = Pauses(), Pauses()
        self._makers = Crew("provision", self._holder, self._make_again, at_once=at_once)
        self._takers = Crew("take-back", self._holder, self._take_back_again, at_once=at_once)
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

    def _make_again(self) -> None:
        self._hints.nudge(hints.PROVISION)

    def _take_back_again(self) -> None:
        self._hints.nudge(hints.TAKE_BACK)

    def make_once(self) -> float | None:
        """One pass over pods with a new wish; gives after how many seconds a failed one is due again."""
        with self._db.read() as tx:
            due = self._making.let_through(provisioning.due(tx, self._holder, self._making.room()), _pod_of)
            has = ledger.of(tx, [one.pod.uuid for one in due if one.has_outside])
            wants = {one.pod.uuid: self._wants(one.pod) for one in due}
            ready = {uuid for uuid in wants if not plan(wants[uuid], haves(has.get(uuid, [])))}
            places = _hosts_of(tx, [one.pod for one in due if one.pod.uuid not in ready])
        self._hand_over([one.pod for one in due if one.pod.uuid in ready])
        for pod in [one.pod for one in due if one.pod.uuid not in ready]:
            work = functools.partial(self._make, pod, places.get(pod.host_id), wants[pod.uuid])
            self._makers.take(pod.uuid, pod.generation, work)
        return self._making.next_s()

    def take_back_once(self) -> float | None:
        """One pass over pods that are over, or whose host has left something; gives after how many seconds a failed one is due again."""
        with self._db.read() as tx:
            room = self._taking.room()
            found = [*provisioning.over(tx, self._holder, room), *provisioning.left(tx, self._holder, room)]
            over = self._taking.let_through(found, _pod_of)
            places = _hosts_of(tx, [one.pod for one in over if one.has_outside])
        for one in over:
            work = functools.partial(self._take_back, one, places.get(one.pod.host_id))
            self._takers.take(one.pod.uuid, one.pod.generation, work)
        return self._taking.next_s()

    def _wants(self, pod: Pod) -> list[Want]:
        return [want for kind in self._kinds for want in kind.wanted_by(pod)]

    def _hand_over(self, ready: Sequence[Pod]) -> None:
        """But for those for which something goes on: its hold must not end with that of this."""
        begun = [pod for pod in ready if self._holder.begin(pod.uuid, self._makers, pod.generation, self._make_again)]
        if not begun:
            return
        try:
            with self._db.write(durable=False) as tx:
                host_ids = provisioning.done(tx, begun, self._holder)
        finally:
            for pod in begun:
                self._holder.end(pod.uuid)
        for pod in begun:
            self._making.forget(pod.uuid)
        for host_id in host_ids:
            self._hints.nudge(hints.host_topic(host_id))

    def _make(self, pod: Pod, host: Host | None, wants: Sequence[Want]) -> None:
        """Have the outside give all that the pod wants, and hand it to its host."""
        overtaken = False

        def finish(tx: Transaction) -> None:
            nonlocal overtaken
            provisioning.done(tx, [pod], self._holder)
            overtaken = self._holder.let_go(tx, pod.id)

        try:
            if not self._executor.make(pod, host, wants, finish):
                return
        except errors.HigginsError as error:
            self._not_made(pod, error)
            return
        except Exception as error:  # the loop of a thread
            LOG.exception("Making what pod %s needs met something unforeseen", pod.uuid)
            self._not_made(pod, _unforeseen(error))
            return
        self._making.forget(pod.uuid)
        if overtaken:
            self._hints.nudge(hints.PROVISION)
            self._hints.nudge(hints.TAKE_BACK)
        elif pod.host_id is not None:
            self._hints.nudge(hints.host_topic(pod.host_id))

    def _not_made(self, pod: Pod, error: errors.HigginsError) -> None:
        # What the host has dealt with already is a wish that was granted; it does not fail because of what is put right afterwards.
        is_settled = pod.observed_generation >= pod.generation
        for_now = is_settled or (not is_final(error) and self._db.now() - pod.wished_at < self._deadline)
        if for_now:
            self._put_off(self._making, pod, error)
        else:
            self._making.forget(pod.uuid)
            LOG.warning("Pod %s cannot be provisioned: %s", pod.uuid, error.message)
        with self._db.write(durable=not for_now) as tx:
            if for_now:
                provisioning.wait(tx, pod, error.message)
            elif not undone(tx, pod, self._sealer, error.message):
                provisioning.failed(tx, pod, error.message)
            self._holder.let_go(tx, pod.id)
        self._hints.nudge(hints.PROVISION)
        self._hints.nudge(hints.TAKE_BACK)

    def _take_back(self, one: Standing, host: Host | None) -> None:
        """Give back what the pod needs no more; of one that is over the row goes with it."""
        pod = one.pod
        try:
            if not one.has_outside:
                with self._db.write(durable=False) as tx:
                    provisioning.remove(tx, pod)
            elif one.is_over:
                if not self._executor.take_back(pod, host, lambda tx: provisioning.remove(tx, pod), observed=None):
                    return
            elif not self._executor.take_back(
                pod, host, lambda tx: self._holder.let_go(tx, pod.id), observed=pod.observed_generation
            ):
                return
        except errors.HigginsError as error:
            self._not_taken_back(one, error)
            return
        except Exception as error:  # the loop of a thread
            LOG.exception("Taking back what pod %s had met something unforeseen", pod.uuid)
            self._not_taken_back(one, _unforeseen(error))
            return
        if one.is_over:
            LOG.info("Pod %s is gone", pod.uuid)
        self._taking.forget(pod.uuid)

    @staticmethod
    def _put_off(pauses: Pauses, pod: Pod, error: errors.HigginsError) -> int:
        """For the how manieth time in a row."""
        underway = isinstance(error, kinds_of.Underway)
        pause_s = pauses.put_off(pod, underway=underway)
        level = logging.INFO if underway else logging.WARNING
        LOG.log(level, "Pod %s is tried again in %.1f s: %s", pod.uuid, pause_s, error.message)
        return pauses.times(pod.uuid)

    def _not_taken_back(self, one: Standing, error: errors.HigginsError) -> None:
        times = self._put_off(self._taking, one.pod, error)
        is_news = not isinstance(error, kinds_of.Underway) or times > _QUIET_LOOKS
        with self._db.write(durable=False) as tx:
            if one.is_over and is_news:
                provisioning.held_up(tx, one.pod, error.message)
            self._holder.let_go(tx, one.pod.id)
        self._hints.nudge(hints.TAKE_BACK)
        self._hints.nudge(hints.PROVISION)


def _pod_of(one: Standing) -> Pod:
    return one.pod


def _unforeseen(error: Exception) -> errors.HigginsError:
    """What nobody foresaw, such as an answer that is not as it should be: tried again like a service that does not answer."""
    return errors.NotReady(f"The controller failed ({type(error).__name__}); its log says where. It is tried again.")


def _hosts_of(tx: Transaction, pods: Collection[Pod]) -> Mapping[int | None, Host]:
    return hosts.by_ids(tx, {pod.host_id for pod in pods if pod.host_id is not None})
