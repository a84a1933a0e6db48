"""Golden plans: what a host is told to do, and why, in the words that its user sees."""

import dataclasses

from higgins.agent.plan import Have, plan, waiting
from higgins.core.model import ContainerSpec, Mount, RestartPolicy, VolumeGrant
from higgins.core.phase import Desired, EngineState, PullPolicy
from tests.host.plans import SPEC, facts, have, printed, want


def test_a_new_container():
    spec = dataclasses.replace(
        SPEC,
        pull_policy=PullPolicy.ALWAYS,
        mounts=(Mount(destination="/d", volume="v1"), Mount(destination="/f", kind="file", content=b"x")),
    )
    grant = VolumeGrant(uuid="v1", name="higgins-v1")
    assert (
        printed(want(spec, volumes=(grant,)), have())
        == """\
pull nginx: pull policy is always
create_volume higgins-v1: no such volume
write_files c1: not written yet
create c1: no such container
start c1: run 1 was asked for"""
    )


def test_an_image_that_may_be_here_is_not_asked_for():
    assert printed(want(), have()) == "create c1: no such container\nstart c1: run 1 was asked for"


def test_an_image_that_is_not_here_is_pulled():
    assert plan(want(), have(absent=frozenset({"nginx"})))[0].why == "image is not on this host"


def test_an_image_that_is_never_pulled():
    never = dataclasses.replace(SPEC, pull_policy=PullPolicy.NEVER)
    assert [step.verb for step in plan(want(never), have(absent=frozenset({"nginx"})))] == ["create", "start"]


def test_a_tag_is_resolved_once_for_a_build():
    always = dataclasses.replace(SPEC, pull_policy=PullPolicy.ALWAYS)
    assert "pull" not in printed(want(always, digests={"nginx": "sha256:1"}), have())
    assert "pull" not in printed(want(always), have(resolved=frozenset({"nginx"})))


def test_a_container_that_ended_by_itself_is_left_alone():
    assert plan(want(), have(facts(EngineState.STOPPED), run=1)) == []


def test_start_of_an_ended_container():
    assert printed(want(run=2), have(facts(EngineState.STOPPED), run=1)) == "start c1: run 2 was asked for"


def test_restart():
    assert (
        printed(want(run=2), have(facts(EngineState.RUNNING), run=1))
        == "stop c1: run 2 was asked for\nstart c1: run 2 was asked for"
    )


def test_stop():
    assert printed(want(desired=Desired.STOPPED), have(facts(EngineState.RUNNING), run=1)) == "stop c1: it is running"


def test_stop_of_a_paused_container():
    assert (
        printed(want(desired=Desired.STOPPED), have(facts(EngineState.PAUSED), run=1))
        == "unpause c1: it is paused\nstop c1: it is running"
    )


def test_stop_of_a_stopped_container():
    assert plan(want(desired=Desired.STOPPED), have(facts(EngineState.STOPPED), run=1)) == []


def test_pause_and_unpause():
    running, paused = have(facts(EngineState.RUNNING), run=1), have(facts(EngineState.PAUSED), run=1)
    assert printed(want(desired=Desired.PAUSED), running) == "pause c1: it is running"
    assert printed(want(), paused) == "unpause c1: it is paused"


def test_resize_in_place():
    spec = dataclasses.replace(SPEC, cpus=2.0, memory_mib=512)
    found = have(facts(EngineState.RUNNING, cpus=1.0, memory_mib=None), run=1)
    assert printed(want(spec), found) == "resize c1: cpus 1 -> 2, memory unlimited -> 512 MiB"


def test_an_engine_that_forgets_limits_is_told_them_just_before_a_start():
    spec = dataclasses.replace(SPEC, memory_mib=512)
    ended = have(facts(EngineState.STOPPED, memory_mib=64, keeps_limits=False), run=1)
    assert plan(want(spec, desired=Desired.STOPPED), ended) == []
    assert printed(want(spec, run=2), ended) == "resize c1: memory 64 -> 512 MiB\nstart c1: run 2 was asked for"
    running = have(facts(EngineState.RUNNING, memory_mib=512, keeps_limits=False), run=1)
    assert printed(want(spec, run=2), running) == "stop c1: run 2 was asked for"


def test_no_resize_to_a_limit_that_the_engine_cannot_hold():
    spec = dataclasses.replace(SPEC, cpus=2.0, memory_mib=512)
    unlimited = have(facts(EngineState.RUNNING, cannot_limit=("cpus", "memory_mib")), run=1)
    assert plan(want(spec), unlimited) == []
    without_cpus = have(facts(EngineState.RUNNING, cannot_limit=("cpus",)), run=1)
    assert printed(want(spec), without_cpus) == "resize c1: memory unlimited -> 512 MiB"
    ended = have(facts(EngineState.STOPPED, cannot_limit=("cpus", "memory_mib"), keeps_limits=False), run=1)
    assert printed(want(spec, run=2), ended) == "start c1: run 2 was asked for"


def test_rebuild_pulls_first_and_keeps_volumes_and_files():
    spec = dataclasses.replace(
        SPEC,
        pull_policy=PullPolicy.ALWAYS,
        mounts=(Mount(destination="/d", volume="v1"), Mount(destination="/f", kind="file")),
    )
    wanted = want(spec, build=2, run=2, volumes=(VolumeGrant(uuid="v1", name="vol", auto_remove=True),))
    found = have(facts(EngineState.RUNNING), run=1, volumes=frozenset({"vol"}), files=frozenset({"c1"}))
    assert (
        printed(wanted, found)
        == """\
pull nginx: pull policy is always
stop c1: build 2 was asked for
remove c1: build 2 was asked for
create c1: build 2 was asked for
start c1: run 2 was asked for"""
    )


def test_rebuild_of_a_stopped_container_does_not_start_it():
    wanted = want(build=2, desired=Desired.CREATED)
    assert [step.verb for step in plan(wanted, have(facts(EngineState.STOPPED), run=1))] == ["remove", "create"]


def test_delete_takes_all_that_is_the_pods_own():
    wanted = want(
        desired=Desired.DELETED,
        volumes=(VolumeGrant(uuid="v1", name="mine", auto_remove=True), VolumeGrant(uuid="v2", name="kept")),
    )
    found = have(facts(EngineState.RUNNING), volumes=frozenset({"mine", "kept"}), files=frozenset({"c1"}))
    assert (
        printed(wanted, found)
        == """\
stop c1: the user deleted it
remove c1: the user deleted it
remove_volume mine: the user deleted it
remove_files c1: the user deleted it"""
    )
    assert plan(wanted, have()) == []


def test_forced_delete_does_not_wait():
    wanted = want(desired=Desired.DELETED, stop_timeout_s=0)
    assert [step.verb for step in plan(wanted, have(facts(EngineState.RUNNING)))] == ["remove"]


def test_auto_remove_when_the_run_has_ended():
    ended = have(facts(EngineState.STOPPED), run=1)
    assert printed(want(auto_remove=True), ended) == "remove c1: its run has ended and auto_remove is set"
    assert plan(want(auto_remove=True), have(run=1, builds={"c1": 1})) == []
    assert [step.verb for step in plan(want(auto_remove=True, run=2), ended)] == ["start"]


def test_auto_remove_of_one_that_never_ran():
    assert plan(want(auto_remove=True, desired=Desired.CREATED, run=0), have(facts(EngineState.CREATED))) == []


def test_auto_remove_waits_for_every_container_and_for_a_run():
    half = have(facts(EngineState.STOPPED), facts(EngineState.RUNNING, "c2"), run=1)
    assert plan(want(others=(SIDE,), auto_remove=True), half) == []
    rebuilt = have(facts(EngineState.STOPPED), run=1)
    assert plan(want(auto_remove=True, desired=Desired.CREATED), rebuilt) == []


def test_rebuild_of_a_paused_container_thaws_it_to_end():
    wanted = want(build=2, desired=Desired.CREATED)
    verbs = [step.verb for step in plan(wanted, have(facts(EngineState.PAUSED), run=1))]
    assert verbs == ["unpause", "stop", "remove", "create"]


def test_a_vanished_container_is_made_again_only_with_auto_heal():
    gone = have(run=1, builds={"c1": 1})
    assert [step.verb for step in plan(want(), gone)] == ["fail"]
    assert (
        printed(want(auto_heal=True), gone)
        == "create c1: it vanished from the engine\nstart c1: it was made again after it vanished"
    )
    healed = have(facts(EngineState.CREATED), run=1)
    assert printed(want(auto_heal=True), healed) == "start c1: it was made again after it vanished"
    assert [step.verb for step in plan(want(run=2), gone)] == ["create", "start"]


def test_restart_policy_after_the_host_was_restarted():
    spec = dataclasses.replace(SPEC, restart_policy=RestartPolicy(name="always"))
    found = have(facts(EngineState.STOPPED), run=1, interrupted=frozenset({"c1"}))
    assert printed(want(spec), found) == "start c1: the host was restarted and its restart policy is always"


def test_a_dead_container_is_made_anew_only_when_it_must_run():
    dead = have(facts(EngineState.DEAD), run=1)
    assert plan(want(), dead) == []
    assert [step.verb for step in plan(want(run=2), dead)] == ["remove", "create", "start"]


INIT = ContainerSpec(uuid="i1", name="prepare", image="nginx", pull_policy=PullPolicy.IF_NOT_PRESENT)
SIDE = ContainerSpec(uuid="c2", name="side", image="redis", pull_policy=PullPolicy.IF_NOT_PRESENT)


def test_a_pod_starts_its_init_containers_first_and_waits():
    wanted = want(others=(SIDE,), init=(INIT,))
    assert (
        printed(wanted, have())
        == """\
create i1: no such container
create c1: no such container
create c2: no such container
start i1: run 1 was asked for"""
    )
    created = {uuid: facts(EngineState.CREATED, uuid) for uuid in ("c1", "c2")}
    runs = {"i1": 1, "c1": 0, "c2": 0}
    busy = Have(containers=created | {"i1": facts(EngineState.RUNNING, "i1")}, runs=runs)
    assert plan(wanted, busy) == []
    assert waiting(wanted, busy) == "init container prepare has not ended yet"
    done = Have(containers=created | {"i1": facts(EngineState.STOPPED, "i1", exit_code=0)}, runs=runs)
    assert printed(wanted, done) == "start c1: run 1 was asked for\nstart c2: run 1 was asked for"
    failed = Have(containers=created | {"i1": facts(EngineState.STOPPED, "i1", exit_code=3)}, runs=runs)
    assert printed(wanted, failed) == "fail i1: init container prepare ended with exit code 3; see its logs"


def test_a_pod_stops_in_the_other_order():
    found = have(facts(EngineState.RUNNING), facts(EngineState.RUNNING, "c2"), run=1)
    assert [step.target for step in plan(want(others=(SIDE,), desired=Desired.STOPPED), found)] == ["c2", "c1"]


def test_a_container_that_left_the_pod_is_taken_away():
    found = have(facts(EngineState.RUNNING), facts(EngineState.RUNNING, "old"), run=1)
    assert printed(want(), found) == "stop old: no longer part of the pod\nremove old: no longer part of the pod"
