"""The scheduler's loop: all pods that wait for a host, in one pass, on a thread of its own. Several replicas may run: claims are guarded."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence

from higgins.core.defaults import HOST_DOWN_AFTER_S
from higgins.core.model import ContainerSpec, HostFacts, PodSpec
from higgins.core.phase import Desired
from higgins.scheduler import claims
from higgins.scheduler.choose import Ask, Option, Refused, choose
from higgins.scheduler.claims import Claims, EmbeddedClaims
from higgins.store import hosts as host_rows
from higgins.store.claims import Ratios
from higgins.store.hosts import Host
from higgins.store.loops import scheduling
from higgins.store.loops.holds import Holder
from higgins.store.loops.scheduling import Placement, Use
from higgins.store.pods import Pod
from higgins.store.records import volumes
from higgins.store.session import Database
from higgins.threads.pauses import Pauses
from higgins.wire import hints
from higgins.wire.pulse import Pulse

LOG = logging.getLogger(__name__)

_WHILE_WAITING_S = 1.0
_ATTACHING = "volumes of Cinder"
"""What a host can whose agent has told what Cinder must know of it."""


class Scheduler:
    """Gives waiting pods their hosts.

    ``first_host_s`` is how long a pod waits for a host that would suit but is not up yet, counted from its wish. The hosts read last are used
    again for ``hosts_kept_s``: a claim is guarded by what the database says, and nothing is refused on an old reading. ``keeper`` keeps count of
    room, as ``holder`` where he asks others for it; our own table when none is given.
    """

    def __init__(
        self,
        db: Database,
        own_hints: hints.Hints,
        *,
        ratios: Ratios | None = None,
        interval_s: float = 5.0,
        down_after_s: float = HOST_DOWN_AFTER_S,
        first_host_s: float = 300.0,
        hosts_kept_s: float = 10.0,
        keeper: Claims | None = None,
        holder: Holder | None = None,
    ) -> None:
        self._db = db
        self._hints = own_hints
        self._ratios = ratios or Ratios()
        self._claims = keeper or EmbeddedClaims(db, self._ratios)
        self._holder = holder or Holder()
        self._down_after_s = down_after_s
        self._first_host_s = first_host_s
        self._hosts_kept_s = hosts_kept_s
        self._passed_over = Pauses(longest_s=0.0)
        self._options: dict[int, Option] = {}
        self._read_at: float | None = None
        self._pulse = Pulse("scheduler", self.run_once, own_hints, (hints.SCHEDULE,), interval_s=interval_s)
        self._refresh_after_s = max(0.0, hosts_kept_s - 1.5 * interval_s)

    def start(self) -> None:
        """Begin."""
        self._pulse.start()

    def stop(self) -> None:
        """End after the pass that is going on."""
        self._pulse.stop()

    def run_once(self) -> float | None:
        """One pass; gives after how many seconds it should look again because pods wait for a first host."""
        with self._db.read() as tx:
            found = self._passed_over.let_through(
                scheduling.waiting(tx, self._holder, self._passed_over.room()), lambda pod: pod
            )
            waiting = [pod for pod in found if pod.desired is not Desired.DELETED]
            uses = scheduling.uses(tx, waiting)
        for pod in found:
            if pod.desired is Desired.DELETED:
                self._passed_over.put_off(pod)
        if len(waiting) < len(found):
            self._hints.nudge(hints.TAKE_BACK)
        # Read while nobody waits, so that the next pod need not.
        self._read_hosts(older_than_s=self._hosts_kept_s if waiting else self._refresh_after_s)
        asks = {pod.uuid: _ask_of(pod) for pod in waiting}
        placed: set[str] = set()
        try:
            placed |= self._place(waiting, asks, uses)
            left = [pod for pod in waiting if pod.uuid not in placed]
            if not left:
                return None
            self._claims.undo(left)
            self._read_hosts(older_than_s=0.0)
            placed |= self._place(left, asks, uses)
            asks = {uuid: ask.at_home(uses) for uuid, ask in asks.items()}
            return self._refuse([pod for pod in left if pod.uuid not in placed], asks)
        except claims.Silent as error:
            silent = Refused(f"No host can be chosen: {error.message}", may_come_up=True)
            return self._answer(((pod, silent) for pod in waiting if pod.uuid not in placed), "Higgins keeps trying.")

    def _read_hosts(self, *, older_than_s: float) -> None:
        if self._read_at is not None and time.monotonic() - self._read_at <= older_than_s:
            return
        with self._db.read() as tx:
            found = host_rows.list(tx)
        self._options = {host.id: self._option(host) for host in found}
        self._read_at = time.monotonic()

    def _place(self, waiting: Sequence[Pod], asks: dict[str, Ask], uses: dict[str, frozenset[Use]]) -> set[str]:
        """Chooses for all and claims; gives the uuids of the pods that have a host now, and notes in ``uses`` what they use there."""
        wanted, options, then = [], dict(self._options), dict(uses)
        self._claims.look_anew()
        for pod in waiting:
            ask = asks[pod.uuid].at_home(then)
            chosen = choose(ask, self._claims.seen(ask, options.values()))
            if isinstance(chosen, Option):
                options[chosen.host_id] = chosen.with_claim(ask)
                wanted.append(Placement(pod, chosen.host_id))
                _use(then, ask, chosen.host_id)
        held = self._claims.claim(wanted, heard_after=self._heard_after())
        for pod, host_id in held:
            self._options[host_id] = self._options[host_id].with_claim(asks[pod.uuid])
            _use(uses, asks[pod.uuid], host_id)
            LOG.info("Pod %s goes to host %s", pod.uuid, self._options[host_id].hostname)
        if held:
            self._hints.nudge(hints.PROVISION)
        return {pod.uuid for pod, _ in held}

    def _refuse(self, left: Collection[Pod], asks: dict[str, Ask]) -> float | None:
        """Gives up on the pods that no host can take; gives when to look again at those that wait for a host to come up."""
        self._claims.look_anew()
        options = self._options.values()
        seen = {pod.uuid: self._claims.seen(asks[pod.uuid], options, explain=True) for pod in left}
        return self._answer((pod, choose(asks[pod.uuid], seen[pod.uuid])) for pod in left)

    def _answer(
        self, answers: Iterable[tuple[Pod, Option | Refused]], then: str = "It goes on as soon as one is."
    ) -> float | None:
        again_s = None
        now = self._db.now()
        for pod, answer in answers:
            # Less than nothing: the clock of the API's machine is ahead of ours.
            waited_s = abs((now - pod.wished_at).total_seconds())
            if isinstance(answer, Refused) and not (answer.may_come_up and waited_s < self._first_host_s):
                self._give_up(pod, answer)
                continue
            again_s = _WHILE_WAITING_S
            self._passed_over.put_off(pod)
            if isinstance(answer, Refused):
                self._wait(pod, f"{answer.reason} {then}")
        return again_s

    def _give_up(self, pod: Pod, answer: Refused) -> None:
        LOG.info("Pod %s has no host: %s", pod.uuid, answer.reason)
        with self._db.write() as tx:
            is_left = scheduling.give_up(tx, pod, answer.reason, self._holder)
        if is_left:
            self._hints.nudge(hints.TAKE_BACK)

    def _wait(self, pod: Pod, reason: str) -> None:
        if pod.schedule_reason != reason:
            with self._db.write() as tx:
                scheduling.wait(tx, pod, reason)

    def _heard_after(self) -> datetime.datetime:
        return self._db.now() - datetime.timedelta(seconds=self._down_after_s)

    def _option(self, host: Host) -> Option:
        shared_cpus = host.cpus - host.dedicated_cpus
        room = self._ratios.room(cpus=shared_cpus, memory_mib=host.memory_mib, disk_gib=host.disk_gib)
        shared_claimed_milli = host.cpu_milli_claimed - 1000 * host.dedicated_cpus_claimed
        facts = host.facts
        return Option(
            host_id=host.id,
            hostname=host.hostname,
            uuid=host.uuid,
            zone=host.availability_zone,
            up=facts is not None and host.is_up(self._db.now(), self._down_after_s),
            enabled=not host.disabled,
            engine_up=facts is not None and facts.engine_up,
            room=(room["cpu_milli"], room["memory_mib"], room["disk_gib"], host.dedicated_cpus),
            claimed=(
                shared_claimed_milli,
                host.memory_mib_claimed,
                host.disk_gib_claimed,
                host.dedicated_cpus_claimed,
            ),
            pods=host.pods_claimed,
            labels={} if facts is None else facts.labels,
            runtimes=frozenset(() if facts is None else facts.runtimes),
            abilities=frozenset(() if facts is None else _abilities(facts)),
        )


def _use(uses: dict[str, frozenset[Use]], ask: Ask, host_id: int) -> None:
    for volume, writes in ask.volumes.items():
        uses[volume] = uses.get(volume, frozenset()) | {Use(host_id, writes)}


def _ask_of(pod: Pod) -> Ask:
    spec = pod.spec
    every: tuple[ContainerSpec, ...] = (*spec.init_containers, *spec.containers)
    return Ask(
        cpu_milli=pod.cpu_milli,
        memory_mib=pod.memory_mib,
        disk_gib=pod.disk_gib,
        dedicated_cpus=pod.dedicated_cpus,
        availability_zone=spec.availability_zone,
        requested_host=spec.requested_host,
        labels=spec.hints,
        runtimes=frozenset(one.runtime for one in every if one.runtime is not None),
        abilities=frozenset(_needs(spec)),
        volumes=volumes.shared_by(spec),
    )


def _abilities(facts: HostFacts) -> Iterator[str]:
    yield from facts.abilities
    if facts.connector:
        yield _ATTACHING


def _needs(spec: PodSpec) -> Iterator[str]:
    if volumes.mounted_by(spec):
        yield "volumes"
    if any(mount.driver == "cinder" for one in (*spec.init_containers, *spec.containers) for mount in one.mounts):
        yield _ATTACHING
