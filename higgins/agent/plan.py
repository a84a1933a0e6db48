"""Decide what a host must do for one pod. Pure: no I/O, no clock, no config.

``plan`` compares an assignment with what the host has and names the next steps, each with its reason. It is asked again after
they ran, so a step that failed, or that an agent died before, is simply planned again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from higgins.agent import plan_network, plan_volumes
from higgins.agent.steps import ALIVE, ENDED, Have, Step, Verb, members
from higgins.core import model
from higgins.core.phase import Desired, EngineState, PullPolicy

__all__ = ["ALIVE", "ENDED", "Have", "Step", "Verb", "ended_for_good", "members", "plan", "waiting"]


def plan(want: model.Assignment, have: Have) -> list[Step]:
    """Name the steps from ``have`` to ``want``; an empty list means that nothing can or need be done now."""
    if want.desired is Desired.DELETED:
        return list(_teardown(want, have, "the user deleted it"))
    if ended_for_good(want, have):
        return list(_teardown(want, have, "its run has ended and auto_remove is set"))
    lost = list(_lost(want, have))
    if lost:
        return lost
    make = {spec.uuid: _why_make(want, have, spec.uuid) for spec in members(want)}
    make = {uuid: why for uuid, why in make.items() if why}
    steps: list[Step] = [
        *plan_network.before(want, have),
        *_prepare(want, have, make),
        *_drop(want, have, make),
        *_create(make),
        *plan_network.changes(want, have, make),
        *_live(want, have, make),
    ]
    steps = plan_network.until_it_is_there(steps, want, have)
    return list(plan_volumes.before_use(steps, want, have))


def waiting(want: model.Assignment, have: Have) -> str:
    """What the pod waits for although no step is due: an init container that still runs; empty when nothing."""
    if want.desired in (Desired.RUNNING, Desired.PAUSED):
        for spec in want.spec.init_containers:
            if have.state(spec.uuid) in ALIVE:
                return f"init container {spec.name} has not ended yet"
    return ""


def ended_for_good(want: model.Assignment, have: Have) -> bool:
    """Whether an auto_remove pod has ended, so that nothing of it is to be kept."""
    if not want.spec.auto_remove or want.desired is Desired.CREATED:
        return False
    return all(_ended_for_good(want, have, spec) for spec in want.spec.containers)


def _ended_for_good(want: model.Assignment, have: Have, spec: model.ContainerSpec) -> bool:
    facts, run = have.containers.get(spec.uuid), have.runs.get(spec.uuid, 0)
    stays_down = want.desired is Desired.STOPPED or (run >= want.run and spec.restart_policy.name == "no")
    if not stays_down or run < 1:
        return False
    if facts is None:
        return have.builds.get(spec.uuid) == want.build
    return facts.state in ENDED and facts.build == want.build


def _run_due(want: model.Assignment, have: Have, uuid: str) -> bool:
    return want.desired in (Desired.RUNNING, Desired.PAUSED) and want.run > have.runs.get(uuid, 0)


def _lost(want: model.Assignment, have: Have) -> Iterator[Step]:
    """Containers that somebody else removed, where nobody asked for them to be made again."""
    if want.spec.auto_heal:
        return
    for spec in members(want):
        vanished = spec.uuid not in have.containers and have.builds.get(spec.uuid) == want.build
        if vanished and not _run_due(want, have, spec.uuid):
            yield Step(
                Verb.FAIL,
                spec.uuid,
                "the container was removed from the engine by something else; rebuild or delete it",
            )


def _why_make(want: model.Assignment, have: Have, uuid: str) -> str:
    facts = have.containers.get(uuid)
    if facts is None:
        return "it vanished from the engine" if have.builds.get(uuid) == want.build else "no such container"
    if facts.build != want.build:
        return f"build {want.build} was asked for"
    if facts.state is EngineState.DEAD and _run_due(want, have, uuid):
        return "the engine can only remove it"
    return ""


def _prepare(want: model.Assignment, have: Have, make: Mapping[str, str]) -> Iterator[Step]:
    seen: set[str] = set()
    for spec in members(want):
        why = _why_pull(want, have, spec)
        if spec.uuid in make and why and spec.image not in seen:
            seen.add(spec.image)
            yield Step(Verb.PULL, spec.image, why)
    mounted = {mount.volume for spec in members(want) if spec.uuid in make for mount in spec.mounts}
    for grant in want.volumes:
        if grant.driver == "local" and grant.uuid in mounted and grant.name not in have.volumes:
            yield Step(Verb.CREATE_VOLUME, grant.name, "no such volume")
    for spec in members(want):
        injected = any(mount.kind == "file" for mount in spec.mounts)
        if spec.uuid in make and injected and spec.uuid not in have.files:
            yield Step(Verb.WRITE_FILES, spec.uuid, "not written yet")


def _why_pull(want: model.Assignment, have: Have, spec: model.ContainerSpec) -> str:
    if spec.pull_policy is PullPolicy.NEVER:
        return ""
    if spec.image in have.absent:
        return "image is not on this host"
    named = spec.image in have.resolved or spec.image in want.digests
    return "" if named or spec.pull_policy is PullPolicy.IF_NOT_PRESENT else "pull policy is always"


def _drop(want: model.Assignment, have: Have, make: Mapping[str, str]) -> Iterator[Step]:
    """Take away what another build left, last started first, asking it to end before."""
    known = [spec.uuid for spec in members(want)]
    strangers = sorted(set(have.containers) - set(known))
    for uuid in [*strangers, *reversed(known)]:
        facts = have.containers.get(uuid)
        if facts is None or (uuid in known and uuid not in make):
            continue
        why = make.get(uuid, "no longer part of the pod")
        if facts.state is EngineState.PAUSED:
            yield Step(Verb.UNPAUSE, uuid, why)
        if facts.state in ALIVE:
            yield Step(Verb.STOP, uuid, why)
        yield Step(Verb.REMOVE, uuid, why)


def _create(make: Mapping[str, str]) -> Iterator[Step]:
    for uuid, why in make.items():
        yield Step(Verb.CREATE, uuid, why)


def _live(want: model.Assignment, have: Have, make: Mapping[str, str]) -> Iterator[Step]:
    states = {spec.uuid: EngineState.CREATED if spec.uuid in make else have.state(spec.uuid) for spec in members(want)}
    yield from _quieten(want, have, states)
    yield from _resize(want, have, states, make)
    if want.desired not in (Desired.RUNNING, Desired.PAUSED) or _hides_limits(have, states):
        return
    first = list(_start_init(want, have, states, make))
    yield from first
    if first or any(states[spec.uuid] in ALIVE for spec in want.spec.init_containers):
        return
    for spec in want.spec.containers:
        why = _why_start(want, have, spec, states)
        if why:
            yield from _start(spec, why, have, make)
            states[spec.uuid] = EngineState.RUNNING
    for spec in want.spec.containers:
        if want.desired is Desired.PAUSED and states[spec.uuid] is EngineState.RUNNING:
            yield Step(Verb.PAUSE, spec.uuid, "it is running")


def _start(spec: model.ContainerSpec, why: str, have: Have, make: Mapping[str, str]) -> Iterator[Step]:
    facts = have.containers.get(spec.uuid)
    if facts and spec.uuid not in make and not facts.keeps_limits and (changes := _changes(spec, facts)):
        yield Step(Verb.RESIZE, spec.uuid, changes)
    yield Step(Verb.START, spec.uuid, why)


def _start_init(
    want: model.Assignment, have: Have, states: Mapping[str, EngineState | None], make: Mapping[str, str]
) -> Iterator[Step]:
    """The next init container to start, or why the pod cannot go on; nothing when all have ended or one still runs."""
    due = any(_run_due(want, have, spec.uuid) for spec in want.spec.containers)
    for spec in want.spec.init_containers:
        why = _why_start(want, have, spec, states)
        if due and not why and states[spec.uuid] is EngineState.CREATED:
            why = "it was made again and comes before the others"
        if why:
            yield from _start(spec, why, have, make)
        if why or states[spec.uuid] in ALIVE:
            return
        facts = have.containers.get(spec.uuid)
        if facts and facts.state in ENDED and facts.exit_code:
            yield Step(
                Verb.FAIL, spec.uuid, f"init container {spec.name} ended with exit code {facts.exit_code}; see its logs"
            )
            return


def _quieten(want: model.Assignment, have: Have, states: dict[str, EngineState | None]) -> Iterator[Step]:
    for spec in members(want):
        thaw = want.desired in (Desired.RUNNING, Desired.STOPPED) or _run_due(want, have, spec.uuid)
        thaw = thaw or (want.desired is Desired.PAUSED and spec in want.spec.init_containers)
        if states[spec.uuid] is EngineState.PAUSED and thaw:
            yield Step(Verb.UNPAUSE, spec.uuid, "it is paused")
            states[spec.uuid] = EngineState.RUNNING
    for spec in reversed(members(want)):
        due = _run_due(want, have, spec.uuid)
        if states[spec.uuid] is EngineState.RUNNING and (due or want.desired is Desired.STOPPED):
            yield Step(Verb.STOP, spec.uuid, f"run {want.run} was asked for" if due else "it is running")
            states[spec.uuid] = EngineState.STOPPED


def _hides_limits(have: Have, states: Mapping[str, EngineState | None]) -> bool:
    """Whether a container is about to end of which only its end shows the limits that the engine would start it with."""
    return any(
        facts.state in ALIVE and not facts.keeps_limits and states.get(uuid) is EngineState.STOPPED
        for uuid, facts in have.containers.items()
    )


def _resize(
    want: model.Assignment, have: Have, states: Mapping[str, EngineState | None], make: Mapping[str, str]
) -> Iterator[Step]:
    for spec in members(want):
        facts = have.containers.get(spec.uuid)
        if facts is None or spec.uuid in make or facts.state is EngineState.DEAD:
            continue
        changeable = facts.keeps_limits or states[spec.uuid] in ALIVE
        if changeable and (changes := _changes(spec, facts)):
            yield Step(Verb.RESIZE, spec.uuid, changes)


def _changes(spec: model.ContainerSpec, facts: model.ContainerFacts) -> str:
    changes = []
    cpus = None if "cpus" in facts.cannot_limit else spec.cpus
    memory_mib = None if "memory_mib" in facts.cannot_limit else spec.memory_mib
    if cpus is not None and (facts.cpus is None or abs(facts.cpus - cpus) >= 0.01):
        changes.append(f"cpus {_limit(facts.cpus)} -> {cpus:g}")
    if memory_mib is not None and facts.memory_mib != memory_mib:
        changes.append(f"memory {_limit(facts.memory_mib)} -> {memory_mib} MiB")
    return ", ".join(changes)


def _limit(value: float | None) -> str:
    return "unlimited" if value is None else f"{value:g}"


def _why_start(
    want: model.Assignment, have: Have, spec: model.ContainerSpec, states: Mapping[str, EngineState | None]
) -> str:
    # A container that ended by itself is left alone: only a new run starts it again, or what took it down from outside.
    state = states[spec.uuid]
    if state not in (EngineState.CREATED, EngineState.STOPPED):
        return ""
    if _run_due(want, have, spec.uuid):
        return f"run {want.run} was asked for"
    if spec.uuid in have.interrupted:
        return f"the host was restarted and its restart policy is {spec.restart_policy.name}"
    if state is EngineState.CREATED and want.spec.auto_heal:
        return "it was made again after it vanished"
    return ""


def _teardown(want: model.Assignment, have: Have, why: str) -> Iterator[Step]:
    order = {spec.uuid: place for place, spec in enumerate(members(want))}
    asked_to_end = want.desired is Desired.DELETED and want.stop_timeout_s > 0
    for uuid in sorted(have.containers, key=lambda uuid: order.get(uuid, -1), reverse=True):
        if asked_to_end and have.state(uuid) is EngineState.RUNNING:
            yield Step(Verb.STOP, uuid, why)
        yield Step(Verb.REMOVE, uuid, why)
    for name in _own_volumes(want.volumes, have.volumes):
        yield Step(Verb.REMOVE_VOLUME, name, why)
    if have.files:
        yield Step(Verb.REMOVE_FILES, want.uuid, why)
    yield from plan_network.after(want, have, why)
    yield from plan_volumes.after(have, why)


def _own_volumes(grants: Iterable[model.VolumeGrant], present: frozenset[str]) -> list[str]:
    return sorted(grant.name for grant in grants if grant.auto_remove and grant.name in present)
