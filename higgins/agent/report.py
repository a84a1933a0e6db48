"""Tell the control plane what is: numbered reports, one on its way at a time, what is due within a moment in one of them.

What could not be sent is kept: of each pod the latest status, of each event its latest words. It knows the wire's types and
nothing of the engine.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from higgins.agent.journal import PodEntry
from higgins.agent.plan import ENDED, Have, Verb, ended_for_good, members
from higgins.core import errors, model
from higgins.core.phase import Desired, EngineState, Phase
from higgins.wire.contract import ImageReport, PodReport, Report, ReportAnswer

LOG = logging.getLogger(__name__)
MOST_EVENTS = 10_000
EVENTS_AT_ONCE = 500
KILLED = 137
HARMLESS = frozenset(verb.value for verb in Verb if verb.traits.harmless)
NOTHING_KNOWN = model.PodStatus(phase=Phase.UNKNOWN, observed_generation=0, partial=True)


class TakesReports(Protocol):
    """The part of the wire that takes reports."""

    def report(self, report: Report) -> ReportAnswer:
        """Hand a report in."""
        ...


def phase_of(want: model.Assignment, have: Have) -> Phase:
    """Where a pod is by what its host has, when nothing has failed."""
    if not have.containers:
        gone = want.desired is Desired.DELETED or ended_for_good(want, have)
        left = have.files or have.plugs or have.namespace or have.held
        return Phase.GONE if gone and not left else Phase.PREPARING
    states = [have.state(spec.uuid) for spec in want.spec.containers]
    if any(state is None for state in states):
        return Phase.PREPARING
    if any(have.state(spec.uuid) is EngineState.RUNNING for spec in want.spec.init_containers):
        return Phase.PREPARING
    for state, phase in (
        (EngineState.RUNNING, Phase.RUNNING),
        (EngineState.PAUSED, Phase.PAUSED),
        (EngineState.STOPPED, Phase.STOPPED),
        (EngineState.DEAD, Phase.STOPPED),
    ):
        if state in states:
            return phase
    return Phase.CREATED


def status_of(
    want: model.Assignment, have: Have, entry: PodEntry, *, phase: Phase | None = None, reason: str = ""
) -> model.PodStatus:
    """The status to report; ``phase`` instead of the one that the facts say."""
    failed = entry.observed_generation == entry.failed_generation != 0
    refused = _refused(want, have, entry)
    ports = tuple(plug for plug in want.plugs if plug.port not in refused and _is_plugged(want, have, entry, plug))
    containers = []
    for spec in members(want):
        facts = have.containers.get(spec.uuid)
        if facts:
            containers.append(_container_status(facts))
    owner = have.containers.get(want.spec.containers[0].uuid)
    return model.PodStatus(
        phase=phase or phase_of(want, have),
        observed_generation=entry.observed_generation,
        observed_run=min((have.runs.get(spec.uuid, 0) for spec in want.spec.containers), default=0),
        reason=reason or _reason(want, have),
        containers=tuple(containers),
        addresses=_plugged(ports) if want.plugs else _addresses(want, owner.addresses if owner else ()),
        ports=tuple(model.PluggedPort(port=plug.port, network=plug.network, given=plug.given) for plug in ports),
        failed=failed,
        refused=refused,
    )


def in_trouble(
    want: model.Assignment, have: Have | None, last: model.PodStatus | None, entry: PodEntry, reason: str
) -> model.PodStatus:
    """The status of a pod of which something just went wrong: the last reported if any, else as much as is known.

    ``have`` may be what was there before the step that failed, and is ``None`` when that could not be seen.
    """
    if (last is None or last.partial) and have is not None:
        last = dataclasses.replace(status_of(want, have, entry), partial=True)
    last = last or NOTHING_KNOWN
    last = dataclasses.replace(last, observed_generation=entry.observed_generation, reason=reason)
    if want.desired is Desired.DELETED or entry.failed_generation != want.generation:
        return last
    last = dataclasses.replace(last, failed=True, reason=entry.failed_reason)
    ended = last.phase is Phase.PREPARING or (entry.failed_verb and entry.failed_verb not in HARMLESS)
    return dataclasses.replace(last, phase=Phase.FAILED) if ended else last


def _refused(want: model.Assignment, have: Have, entry: PodEntry) -> tuple[str, ...]:
    """The port at which the observed wish failed; none once that wish was fulfilled, whatever was lost since."""
    if (
        entry.failed_generation in (0, entry.fulfilled_generation)
        or entry.failed_generation != entry.observed_generation
    ):
        return ()
    if entry.failed_verb == Verb.PLUG:
        ports = [plug.port for plug in want.plugs if plug.port == entry.failed_target]
        missing = [port for port in ports if not have.plugs.get(port)]
    elif entry.failed_verb == Verb.CONNECT and (facts := have.containers.get(entry.failed_target)):
        missing = [plug.port for plug in want.plugs if facts.ports is not None and plug.port not in facts.ports]
    else:
        missing = []
    return tuple(missing[:1])  # those after it were not tried


def _is_plugged(want: model.Assignment, have: Have, entry: PodEntry, plug: model.Plug) -> bool:
    """Whether a port is in the pod, whatever state the containers are in. What a fulfilled wish gave the pod and the host lost is put back."""
    if entry.fulfilled_generation == want.generation:
        return True
    owner = have.containers.get(want.spec.containers[0].uuid)
    taken = owner is None or owner.ports is None or plug.port in owner.ports
    return taken and have.plugs.get(plug.port, False)


def _plugged(plugs: Iterable[model.Plug]) -> tuple[model.Address, ...]:
    return tuple(
        model.Address(
            network=plug.network,
            addr=fixed.addr,
            version=fixed.version,
            port=plug.port,
            subnet=fixed.subnet,
            preserve_on_delete=plug.given,
        )
        for plug in plugs
        for fixed in plug.fixed_ips
    )


def _addresses(want: model.Assignment, found: tuple[model.Address, ...]) -> tuple[model.Address, ...]:
    """Addresses by the networks' ids: the engine's own network is the first that the pod is to be on."""
    if not want.spec.networks:
        return found
    network = want.spec.networks[0].network
    own = model.ENGINE_NETWORK
    return tuple(dataclasses.replace(one, network=network) if one.network == own else one for one in found)


def _container_status(facts: model.ContainerFacts) -> model.ContainerStatus:
    return model.ContainerStatus(
        uuid=facts.uuid,
        state=facts.state,
        exit_code=facts.exit_code,
        started_at=facts.started_at,
        finished_at=facts.finished_at,
        health=facts.health,
        image_digest=facts.image_digest,
        exposed_ports=facts.exposed_ports,
        oom_killed=facts.oom_killed,
        build=facts.build,
    )


def _reason(want: model.Assignment, have: Have) -> str:
    for spec in want.spec.containers:
        facts = have.containers.get(spec.uuid)
        if facts and facts.state in ENDED:
            if facts.oom_killed:
                limit = f"{spec.memory_mib} MiB" if spec.memory_mib else "the host's memory"
                return f"The container used more than {limit} and was killed; give it more memory."
            if facts.error:
                return facts.error
            if spec.memory_mib and facts.exit_code == KILLED and _wants_to_run(want, have, spec.uuid):
                # Not every engine tells that the kernel killed for memory; nobody else is known to have.
                return (
                    f"The container was killed (137), most likely because it used more than its {spec.memory_mib} MiB; "
                    "give it more memory."
                )
    return ""


def _wants_to_run(want: model.Assignment, have: Have, uuid: str) -> bool:
    """Whether its last run was to go on, so that no stop of ours ended it."""
    return want.desired is Desired.RUNNING and have.runs.get(uuid, 0) >= want.run


class Reporter:
    """Sends reports from a thread of its own; every other method may be called from any thread and returns at once."""

    def __init__(
        self,
        wire: TakesReports,
        number: Callable[[], int],
        *,
        refused: Callable[[], None],
        taken: Callable[[tuple[PodReport, ...]], None],
        coalesce_s: float = 0.005,
        retry_s: tuple[float, float] = (0.1, 5.0),
    ) -> None:
        self._wire, self._number, self._refused, self._taken = wire, number, refused, taken
        self._coalesce_s, self._retry_s = coalesce_s, retry_s
        self._condition = threading.Condition()
        self._latest: dict[str, model.PodStatus] = {}
        self._pods: dict[str, None] = {}
        self._images: dict[str, ImageReport] = {}
        self._unsent_images: dict[str, None] = {}
        self._events: dict[tuple[str, str], model.StepEvent] = {}
        self._facts: model.HostFacts | None = None
        self._awake = self._open = self._stopped = False

    def pod(self, uuid: str, status: model.PodStatus) -> None:
        """A pod's status now; nothing is sent when it is what was last said, unless events wait."""
        with self._condition:
            events = any(event.pod == uuid for event in self._events.values())
            if self._latest.get(uuid) == status and not events:
                return
            self._latest[uuid] = status
            self._pods[uuid] = None
            self._wake()

    def event(self, event: model.StepEvent, *, now: bool = False) -> None:
        """A step done; it goes with the pod's next status, or ``now``."""
        with self._condition:
            key = (event.pod, event.key)
            self._events.pop(key, None)
            self._events[key] = event
            while len(self._events) > MOST_EVENTS:
                del self._events[next(iter(self._events))]
            if now:
                self._wake()

    def image(self, image: ImageReport) -> None:
        """A wanted image's state now."""
        with self._condition:
            if self._images.get(image.uuid) != image:
                self._images[image.uuid] = image
                self._unsent_images[image.uuid] = None
                self._wake()

    def latest_image(self, uuid: str) -> ImageReport | None:
        """What was last said of an image."""
        with self._condition:
            return self._images.get(uuid)

    def facts(self, facts: model.HostFacts) -> None:
        """The host's inventory now."""
        with self._condition:
            self._facts = facts
            self._wake()

    def latest(self, uuid: str) -> model.PodStatus | None:
        """What was last said of a pod."""
        with self._condition:
            return self._latest.get(uuid)

    def forget(self, uuid: str) -> None:
        """Say no more of a pod."""
        with self._condition:
            self._latest.pop(uuid, None)
            self._pods.pop(uuid, None)

    def forget_image(self, uuid: str) -> None:
        """Say no more of an image."""
        with self._condition:
            self._images.pop(uuid, None)
            self._unsent_images.pop(uuid, None)

    def everything(self) -> None:
        """Say all there is again, and from now on send: the control plane has welcomed us."""
        with self._condition:
            self._pods = dict.fromkeys(self._latest)
            self._unsent_images = dict.fromkeys(self._images)
            self._open = True
            self._wake()

    def stop(self) -> None:
        """Let the sending thread end; what is unsent stays unsent."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def _wake(self) -> None:
        self._awake = True
        self._condition.notify_all()

    def run(self) -> None:
        """Send until ``stop``."""
        failures = 0
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopped or (self._awake and self._open))
                if not self._stopped:
                    self._condition.wait_for(lambda: self._stopped, self._coalesce_s)
                if self._stopped:
                    return
            failures = 0 if self._sent() else failures + 1
            if failures:
                first_s, most_s = self._retry_s
                pause_s = min(most_s, first_s * 2 ** min(failures, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
                with self._condition:
                    self._condition.wait_for(lambda: self._stopped, pause_s)

    def _sent(self) -> bool:
        try:
            return self._send()
        except errors.HigginsError as error:
            LOG.warning("A report could not be sent and is kept: %s", error.message)
        except Exception:
            LOG.exception("Reporting broke and is tried again")
        return False

    def _send(self) -> bool:
        report = self._take()
        try:
            taken = self._wire.report(report).taken
        except BaseException:
            self._give_back(report)
            raise
        if taken:
            self._taken(report.pods)
        else:
            with self._condition:
                self._open = False
            self._give_back(report)
            self._refused()
        return True

    def _take(self) -> Report:
        number = self._number()
        with self._condition:
            events = tuple(list(self._events.values())[:EVENTS_AT_ONCE])
            report = Report(
                number=number,
                pods=tuple(PodReport(uuid=uuid, status=self._latest[uuid]) for uuid in self._pods),
                images=tuple(self._images[uuid] for uuid in self._unsent_images),
                events=events,
                facts=self._facts,
            )
            self._pods, self._unsent_images, self._facts = {}, {}, None
            for event in events:
                del self._events[event.pod, event.key]
            self._awake = bool(self._events)
        return report

    def _give_back(self, report: Report) -> None:
        with self._condition:
            self._pods = {pod.uuid: None for pod in report.pods if pod.uuid in self._latest} | self._pods
            self._unsent_images = {
                image.uuid: None for image in report.images if image.uuid in self._images
            } | self._unsent_images
            old = {(event.pod, event.key): event for event in report.events}
            self._events = old | self._events
            self._facts = self._facts or report.facts
            self._awake = True
