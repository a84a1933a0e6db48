"""From anywhere, with a crash after any step, the planner's steps lead to what the user is owed, and then to none.

``meets`` says what the user is owed without the planner: the oracle must not be the thing tested.
"""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from higgins.agent.plan import Have, Step, plan, waiting
from higgins.core import model
from higgins.core.model import ContainerFacts, ContainerSpec, Mount, Plug, PodSpec, RestartPolicy, VolumeGrant
from higgins.core.phase import Desired, EngineState, PullPolicy, Wish

C, R, P, S, D = (
    EngineState.CREATED,
    EngineState.RUNNING,
    EngineState.PAUSED,
    EngineState.STOPPED,
    EngineState.DEAD,
)
VOLUMES = (VolumeGrant(uuid="v1", name="own", auto_remove=True), VolumeGrant(uuid="v2", name="lent"))
PLUGS = tuple(Plug(port=port, network=port, mac="fa:16:3e:00:00:01", mtu=1442) for port in ("p1", "p2"))
PORTS = ("p1", "p2", "old")
MOUNTS = (
    Mount(destination="/a", volume="v1"),
    Mount(destination="/b", volume="v2"),
    Mount(destination="/f", kind="file", content=b""),
)


def spec(uuid, policy, restart, mounts, memory_mib):
    return ContainerSpec(
        uuid=uuid,
        name=uuid,
        image=f"image-{uuid}",
        pull_policy=policy,
        mounts=mounts,
        memory_mib=memory_mib,
        restart_policy=RestartPolicy(name=restart),
    )


def specs(*names):
    each = st.tuples(
        st.sampled_from([PullPolicy.ALWAYS, PullPolicy.IF_NOT_PRESENT]),
        st.sampled_from(["no", "always"]),
        st.lists(st.sampled_from(MOUNTS), unique_by=lambda mount: mount.destination).map(tuple),
        st.sampled_from([None, 64, 128]),
    )
    return st.lists(each, min_size=0 if names[0] == "i1" else 1, max_size=len(names)).map(
        lambda all_: tuple(spec(name, *one) for name, one in zip(names, all_, strict=False))
    )


wants = st.builds(
    lambda containers, init, auto_remove, auto_heal, desired, run, build, plugs: model.Assignment(
        uuid="pod",
        project_id="p",
        name="n",
        generation=1,
        wish=Wish.CREATE,
        request_id=None,
        desired=desired,
        run=run,
        build=build,
        volumes=VOLUMES,
        plugs=tuple(plugs or ()),
        spec=PodSpec(
            containers=containers,
            init_containers=init,
            auto_remove=auto_remove,
            auto_heal=auto_heal,
            network_driver="bridge" if plugs is None else "neutron",
        ),
    ),
    specs("c1", "c2", "c3"),
    specs("i1", "i2"),
    st.booleans(),
    st.booleans(),
    st.sampled_from(Desired),
    st.integers(0, 3),
    st.integers(1, 2),
    st.none() | st.lists(st.sampled_from(PLUGS), unique=True),
)


@st.composite
def cases(draw):
    want = draw(wants)
    names = [each.uuid for each in want.spec.init_containers + want.spec.containers]
    containers, runs, builds = {}, {}, {}
    on_ports = want.spec.network_driver == "neutron"
    joins = on_ports and draw(st.booleans())  # the engine joins a namespace of ours, or makes its own and takes ports
    for name in [*names, "stranger"]:
        state = draw(st.sampled_from([None, C, R, P, S, D]))
        run = draw(st.integers(0, 3))
        if state is not None:
            build = draw(st.integers(1, want.build))
            if state in (R, P, S):
                run = max(run, 1)
            containers[name] = ContainerFacts(
                uuid=name,
                pod="pod",
                state=state,
                build=build,
                exit_code=draw(st.sampled_from([0, 1])) if state is S else None,
                memory_mib=draw(st.sampled_from([None, 64])),
                keeps_limits=keeps_limits(name),
                ports=None if joins or not on_ports else draw(ports_of(name)),
            )
            builds[name] = build
        elif draw(st.booleans()):
            builds[name] = draw(st.integers(1, want.build))
        runs[name] = min(run, want.run)
    have = Have(
        containers=containers,
        runs=runs,
        builds=builds,
        volumes=draw(st.frozensets(st.sampled_from(["own", "lent"]))),
        files=draw(st.frozensets(st.sampled_from(names))),
        absent=draw(st.frozensets(st.sampled_from([f"image-{name}" for name in names]))),
        namespace=draw(st.booleans()) if joins else None,
        plugs=draw(st.dictionaries(st.sampled_from(PORTS), st.booleans())) if on_ports else {},
    )
    return want, have


def ports_of(name):
    """Containers after the first share what the first is on."""
    shares = name in ("c2", "c3", "stranger")
    return st.just(()) if shares else st.lists(st.sampled_from(PORTS), unique=True).map(tuple)


def keeps_limits(name: str) -> bool:
    """Engines of two kinds: some make each process anew with the limits of the creation."""
    return name not in ("c2", "i1")


def created(name: str, have: Have, want: model.Assignment) -> ContainerFacts:
    """What an engine makes, once all that it needs is there."""
    made = next(each for each in want.spec.init_containers + want.spec.containers if each.uuid == name)
    assert made.image not in have.absent
    assert made.pull_policy is PullPolicy.IF_NOT_PRESENT or made.image in have.resolved
    for mount in made.mounts:
        assert {"v1": "own", "v2": "lent"}.get(mount.volume, "own") in have.volumes or mount.kind == "file"
        assert name in have.files or mount.kind == "volume"
    limits = {"memory_mib": made.memory_mib, "keeps_limits": keeps_limits(name)}
    ports = None
    if want.spec.network_driver == "neutron":
        networks_are_there(have, want)
        if have.namespace is None:
            ports = () if name in ("c2", "c3") else tuple(plug.port for plug in want.plugs)
    return ContainerFacts(uuid=name, pod="pod", state=C, build=want.build, ports=ports, **limits)


def networks_are_there(have: Have, want: model.Assignment) -> None:
    """Nothing begins where its network is not; but for a pod that runs on in a namespace whose name somebody took away."""
    if want.spec.network_driver == "neutron" and not (have.namespace is False and any_alive(have, want)):
        assert have.namespace is not False
        assert all(have.plugs.get(plug.port) for plug in want.plugs)


def any_alive(have: Have, want: model.Assignment) -> bool:
    return any(have.state(each.uuid) in (R, P) for each in want.spec.init_containers + want.spec.containers)


def apply_network(step: Step, have: Have, want: model.Assignment) -> Have | None:
    """The host's part of networks; what is in use is not taken away."""
    new, wanted = dataclasses.replace, {plug.port for plug in want.plugs}
    found = have.containers.get(step.target)
    used = {port for each in have.containers.values() if each.state is not D for port in each.ports or ()}
    match step.verb:
        case "make_network":
            assert have.namespace is False
            assert not any_alive(have, want)
            # Links went with the last namespace.
            return new(have, namespace=True, plugs={port: False for port in have.plugs if port in wanted})
        case "plug":
            assert step.target in wanted
            assert have.namespace is not False
            return new(have, plugs={**have.plugs, step.target: True})
        case "unplug":
            assert want.desired is Desired.DELETED or step.target not in wanted or want.spec.auto_remove
            assert step.target not in used
            return new(have, plugs={port: whole for port, whole in have.plugs.items() if port != step.target})
        case "remove_network":
            assert not have.containers
            return new(have, namespace=False)
        case "connect" | "disconnect":
            kept = wanted & set(found.ports) if step.verb == "disconnect" else wanted | set(found.ports)
            assert all(have.plugs.get(port) for port in wanted)
            facts = new(found, ports=tuple(sorted(kept)))
            return new(have, containers={**have.containers, step.target: facts})
    return None


def resized(found: ContainerFacts, want: model.Assignment) -> ContainerFacts:
    """The limits that were asked for; an engine that forgets limits prepares a process that has them."""
    if not found.keeps_limits and found.state is S:
        assert want.desired in (Desired.RUNNING, Desired.PAUSED)
        found = dataclasses.replace(found, state=C, exit_code=None)
    made = next(each for each in want.spec.init_containers + want.spec.containers if each.uuid == found.uuid)
    return dataclasses.replace(found, memory_mib=made.memory_mib)


def apply_things(step: Step, have: Have) -> Have | None:
    """Volumes and files: there before who uses them, gone after."""
    new = dataclasses.replace
    match step.verb:
        case "create_volume":
            assert step.target not in have.volumes
            return new(have, volumes=have.volumes | {step.target})
        case "remove_volume":
            assert not have.containers
            return new(have, volumes=have.volumes - {step.target})
        case "write_files":
            return new(have, files=have.files | {step.target})
        case "remove_files":
            assert not have.containers
            return new(have, files=frozenset())
    return None


def apply(step: Step, have: Have, want: model.Assignment) -> Have:  # noqa: C901
    """The engine's part, with its own rules: what may not be done in a state is a planner's mistake."""
    new = dataclasses.replace
    found = have.containers.get(step.target)

    if changed := apply_network(step, have, want) or apply_things(step, have):
        return changed

    def put(facts, run=None):
        runs = have.runs if run is None else {**have.runs, step.target: run}
        return new(have, containers={**have.containers, step.target: facts}, runs=runs)

    match step.verb:
        case "pull":
            return new(have, resolved=have.resolved | {step.target}, absent=have.absent - {step.target})
        case "create":
            assert found is None
            have = new(have, builds={**have.builds, step.target: want.build})
            return put(created(step.target, have, want))
        case "start":
            assert found.state in (C, S)
            networks_are_there(have, want)
            if step.target.startswith("c"):
                assert all(have.state(each.uuid) in (S, D) for each in want.spec.init_containers)
            return put(new(found, state=R, exit_code=None), max(want.run, have.runs.get(step.target, 0)))
        case "stop":
            assert found.state is R
            return put(new(found, state=S, exit_code=143, memory_mib=found.memory_mib if found.keeps_limits else 32))
        case "pause":
            assert found.state is R
            return put(new(found, state=P))
        case "unpause":
            assert found.state is P
            return put(new(found, state=R))
        case "resize":
            assert found.state is not D
            return put(resized(found, want))
        case "remove":
            torn_down = want.desired is Desired.DELETED or want.spec.auto_remove
            assert torn_down or found.state not in (R, P)
            return new(have, containers={name: each for name, each in have.containers.items() if name != step.target})
    raise AssertionError(step)


def init_containers_end(have: Have, want: model.Assignment) -> Have:
    ended = {
        each.uuid: dataclasses.replace(have.containers[each.uuid], state=S, exit_code=0)
        for each in want.spec.init_containers
        if have.state(each.uuid) is R
    }
    return dataclasses.replace(have, containers={**have.containers, **ended})


def meets(want: model.Assignment, have: Have) -> bool:
    nothing = not have.containers and not have.files and "own" not in have.volumes and not have.plugs
    nothing = nothing and not have.namespace
    if want.desired is Desired.DELETED:
        return nothing
    if want.spec.auto_remove and nothing:
        may_end = want.desired is not Desired.CREATED
        ran = all(have.runs.get(each.uuid, 0) >= 1 for each in want.spec.containers)
        served = (
            all(have.runs[each.uuid] >= want.run for each in want.spec.containers) or want.desired is Desired.STOPPED
        )
        if may_end and ran and served:
            return True
    owed = {
        Desired.CREATED: {C, S, R, P, D},
        Desired.RUNNING: {R, S, D, C} if want.run == 0 else {R, S, D},
        Desired.PAUSED: {P, S, D, C} if want.run == 0 else {P, S, D},
        Desired.STOPPED: {C, S, D},
    }[want.desired]
    if set(have.containers) != {each.uuid for each in want.spec.init_containers + want.spec.containers}:
        return False
    if not networks_met(want, have):
        return False
    alive = want.desired in (Desired.RUNNING, Desired.PAUSED)
    for each in want.spec.containers:
        facts = have.containers[each.uuid]
        never_started = facts.state is C and have.runs.get(each.uuid, 0) >= want.run and not want.spec.auto_heal
        if facts.build != want.build or (facts.state not in owed and not never_started):
            return False
        if alive and have.runs.get(each.uuid, 0) < want.run:
            return False
        in_force = facts.state in (R, P) or (facts.keeps_limits and facts.state is not D)
        if in_force and each.memory_mib is not None and facts.memory_mib != each.memory_mib:
            return False
    return all(have.state(each.uuid) is not R for each in want.spec.init_containers) or want.desired is Desired.CREATED


def networks_met(want: model.Assignment, have: Have) -> bool:
    if want.spec.network_driver != "neutron":
        return not have.plugs
    wanted = {plug.port for plug in want.plugs}
    if have.namespace is False:
        return any_alive(have, want) and set(have.plugs) <= wanted
    first = have.containers[want.spec.containers[0].uuid]
    connected = first.ports is None or first.state is D or set(first.ports) == wanted
    return connected and have.plugs == dict.fromkeys(wanted, True)


@settings(max_examples=150)
@given(cases(), st.integers(0, 25))
def test_converges_and_then_stays(case, crash_after):
    want, have = case
    lent, done = "lent" in have.volumes, 0
    for _ in range(12):
        steps = plan(want, have)
        if not steps and not waiting(want, have):
            break
        for step in steps:
            if step.verb == "fail":
                return
            if done == crash_after:  # the agent dies here once; the next pass plans anew
                done += 1
                break
            have = apply(step, have, want)
            done += 1
        have = init_containers_end(have, want)
    assert plan(want, have) == []
    assert meets(want, have), have
    assert not lent or "lent" in have.volumes


@settings(max_examples=50)
@given(cases())
def test_a_run_that_was_had_is_not_had_again(case):
    want, have = case
    for step in plan(want, have):
        if step.verb == "start" and step.target.startswith("c") and not want.spec.auto_heal:
            assert have.runs.get(step.target, 0) < want.run


@settings(max_examples=50)
@given(cases())
def test_nothing_fails_that_nobody_else_broke(case):
    want, have = case
    if any(step.verb == "fail" for step in plan(want, have)):
        vanished = any(
            have.builds.get(each.uuid) == want.build and each.uuid not in have.containers
            for each in want.spec.init_containers + want.spec.containers
        )
        failed = any(
            (facts := have.containers.get(each.uuid)) and facts.exit_code for each in want.spec.init_containers
        )
        dead = any(have.state(each.uuid) is D for each in want.spec.init_containers)
        assert vanished or failed or dead
