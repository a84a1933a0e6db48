"""The whole agent with real threads, the fake engine and a small controller: what a user would see, and what it cost."""

import dataclasses
import errno
import os
import pathlib
import threading

import pytest

from higgins.core import errors, model
from higgins.core.phase import Desired, EngineState, Phase, PullPolicy, Wish
from tests.host.controller_double import assignment, container
from tests.host.house import QUICK


def test_create_and_start_is_one_report_and_three_calls(house):
    house.start()
    house.controller.wait(lambda: house.controller.greeted)
    house.controller.wish(assignment("c1"))
    status = house.controller.wait_for("c1", Phase.RUNNING)
    assert status.observed_run == 1
    assert status.addresses[0].addr
    assert status.containers[0].state is EngineState.RUNNING
    assert house.controller.history["c1"] == [status]
    assert house.engine.asked("c1") == ["create", "start", "inspect"]
    assert house.controller.verbs("c1") == [("create", "Success"), ("start", "Success")]


def test_delete_is_one_call(house):
    house.start()
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.controller.change("c1", desired=Desired.STOPPED, wish=Wish.STOP)
    house.controller.wait_for("c1", Phase.STOPPED)
    before = len(house.engine.asked("c1"))
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.GONE)
    assert house.engine.asked("c1")[before:] == ["remove"]
    assert list(house.store.all()) == []


def test_processors_that_a_container_has_for_itself_go_to_the_next_when_it_is_gone(house):
    every = os.sched_getaffinity(0)
    if len(every) == 1:
        pytest.skip("processors can be set aside on a machine with several")
    last, talk = max(every), house.controller
    house.start(dedicated_cpus=frozenset({last}))
    talk.wait(lambda: talk.hellos)
    assert (talk.hellos[-1].facts.cpus, talk.hellos[-1].facts.dedicated_cpus) == (len(every), 1)
    talk.wish(assignment("c1", container("c1", cpus=1, cpu_policy="dedicated")))
    talk.wait_for("c1", Phase.RUNNING)
    assert house.engine.inspect("c1").processors == str(last)
    talk.wish(assignment("c2", container("c2", cpus=1, cpu_policy="dedicated")))
    talk.wait(lambda: "0 of the 1 processors" in str([event.detail for event in talk.events.values()]))
    talk.wish(assignment("c3", container("c3")))
    talk.wait_for("c3", Phase.RUNNING)
    assert str(last) not in house.store.all()["c3"].creation.processors.split(",")
    talk.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    talk.wait_for("c2", Phase.RUNNING)
    assert house.engine.inspect("c2").processors == str(last)


def test_every_verb_of_a_life(house):
    house.start()
    talk = house.controller
    talk.wish(assignment("c1"))
    talk.wait_for("c1", Phase.RUNNING)
    talk.change("c1", desired=Desired.PAUSED, wish=Wish.PAUSE)
    talk.wait_for("c1", Phase.PAUSED)
    talk.change("c1", desired=Desired.RUNNING, wish=Wish.UNPAUSE)
    talk.wait_for("c1", Phase.RUNNING)
    began = talk.status["c1"].containers[0].started_at
    talk.change("c1", run=2, wish=Wish.REBOOT)
    status = talk.wait_for("c1", Phase.RUNNING)
    assert status.containers[0].started_at > began
    assert status.observed_run == 2
    talk.change("c1", desired=Desired.STOPPED, wish=Wish.STOP)
    assert talk.wait_for("c1", Phase.STOPPED).containers[0].exit_code == 143
    talk.change("c1", desired=Desired.STOPPED, wish=Wish.STOP)
    talk.wait_for("c1", Phase.STOPPED)
    talk.change("c1", desired=Desired.RUNNING, run=3, wish=Wish.START)
    talk.wait_for("c1", Phase.RUNNING)
    talk.change("c1", desired=Desired.STOPPED, wish=Wish.KILL, stop_signal="SIGKILL", stop_timeout_s=0)
    assert talk.wait_for("c1", Phase.STOPPED).containers[0].exit_code == 137
    talk.change("c1", desired=Desired.RUNNING, run=4, build=2, wish=Wish.REBUILD, stop_signal=None)
    assert talk.wait_for("c1", Phase.RUNNING).containers[0].build == 2
    spec = dataclasses.replace(talk.wants["c1"][1].spec.containers[0], memory_mib=64, cpus=0.5)
    talk.change("c1", spec=model.PodSpec(containers=(spec,)), wish=Wish.UPDATE)
    talk.wait_for("c1", Phase.RUNNING)
    assert house.engine.inspect("c1").memory_mib == 64
    talk.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    talk.wait(lambda: talk.status["c1"].phase is Phase.GONE)
    assert list(house.store.all()) == []


def test_a_container_that_ends_is_seen_and_left_alone(house):
    house.start()
    house.controller.wish(assignment("c1", container("c1", command=("sh", "-c", "sleep 0.1; exit 3"))))
    status = house.controller.wait_for("c1", Phase.STOPPED)
    assert status.containers[0].exit_code == 3
    assert house.engine.asked("c1").count("start") == 1


def test_auto_remove(house):
    house.start()
    pod = model.PodSpec(containers=(container("c1", command=("true",)),), auto_remove=True)
    house.controller.drop_gone = False
    house.controller.wish(assignment("c1", pod=pod))
    house.controller.wait(lambda: (s := house.controller.status.get("c1")) and s.phase is Phase.GONE)
    house.stop()
    house.start()
    house.controller.wait(lambda: len(house.controller.hellos) == 2 and len(house.controller.history["c1"]) >= 2)
    assert house.controller.status["c1"].phase is Phase.GONE
    assert "create" not in house.engine.asked("c1")


def test_auto_heal_and_its_absence(house):
    house.start()
    for uuid, heal in (("c1", True), ("c2", False)):
        house.controller.wish(assignment(uuid, pod=model.PodSpec(containers=(container(uuid),), auto_heal=heal)))
        house.controller.wait_for(uuid, Phase.RUNNING)
    began = house.controller.status["c1"].containers[0].started_at
    house.new_engine().remove("c1")
    house.new_engine().remove("c2")
    failed = house.controller.wait_for("c2", Phase.FAILED)
    assert "removed from the engine by something else" in failed.reason
    house.controller.wait(lambda: (c := house.controller.status["c1"].containers) and c[0].started_at > began, "healed")
    assert house.controller.status["c1"].phase is Phase.RUNNING


def test_restart_after_the_host_was_restarted(house):
    house.start()
    policy = model.RestartPolicy(name="always")
    house.controller.wish(assignment("c1", container("c1", restart_policy=policy)))
    house.controller.wish(assignment("c2"))
    for uuid in ("c1", "c2"):
        house.controller.wait_for(uuid, Phase.RUNNING)
    house.stop()
    for record in house.store.all().values():
        record.state, record.exit_code, record.ends_at = EngineState.STOPPED, 0, None
    house.start(boot="boot-2")
    house.controller.wait(lambda: house.controller.status["c2"].phase is Phase.STOPPED, "c2 left alone")
    house.controller.wait(
        lambda: len(house.engine.asked("c1")) >= 2 and house.controller.status["c1"].phase is Phase.RUNNING
    )
    assert "start" in house.engine.asked("c1")
    assert "start" not in house.engine.asked("c2")


def test_a_pod_of_several(house):
    house.start()
    init = container("i1", command=("sh", "-c", "sleep 0.05; exit 0"))
    house.controller.wish(
        assignment("pod", pod=model.PodSpec(containers=(container("a"), container("b")), init_containers=(init,)))
    )
    status = house.controller.wait_for("pod", Phase.RUNNING)
    assert {each.uuid: each.state for each in status.containers} == {
        "i1": EngineState.STOPPED,
        "a": EngineState.RUNNING,
        "b": EngineState.RUNNING,
    }
    assert house.store.get("b").creation.network == "container:a"
    house.controller.change("pod", run=2, wish=Wish.REBOOT)
    house.controller.wait_for("pod", Phase.RUNNING)
    assert house.engine.asked("i1").count("start") == 2


def test_an_init_container_that_fails(house):
    house.start()
    init = container("i1", command=("sh", "-c", "exit 4"))
    house.controller.wish(assignment("pod", pod=model.PodSpec(containers=(container("a"),), init_containers=(init,))))
    assert "exit code 4" in house.controller.wait_for("pod", Phase.FAILED).reason


def test_files_and_volumes(house):
    house.start()
    mounts = (
        model.Mount(destination="/etc/motd", kind="file", content=b"hello"),
        model.Mount(destination="/data", volume="v1", read_only=True),
    )
    grant = model.VolumeGrant(uuid="v1", name="higgins-v1", auto_remove=True)
    house.controller.wish(assignment("c1", container("c1", mounts=mounts), volumes=(grant,)))
    house.controller.wait_for("c1", Phase.RUNNING)
    file, data = house.store.get("c1").creation.binds
    assert pathlib.Path(file.source).read_bytes() == b"hello"
    assert (data.source, data.read_only) == ("higgins-v1", True)
    house.controller.change("c1", build=2, run=2, wish=Wish.REBUILD)
    house.controller.wait_for("c1", Phase.RUNNING)
    assert pathlib.Path(file.source).read_bytes() == b"hello"
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.GONE)
    assert list(house.engine.volumes()) == []
    assert not (house.root / "state" / "files" / "c1").exists()


def test_images_are_pulled_once_for_all_and_named_by_digest(house):
    asked = threading.Event()
    house.engine._wait = lambda _s: asked.wait(60)
    house.start()
    always = PullPolicy.ALWAYS
    for uuid in ("c1", "c2", "c3"):
        house.controller.wish(assignment(uuid, container(uuid, image="nginx", pull_policy=always)))
    phases = house.controller.status
    house.controller.wait(lambda: [phases[one].phase for one in sorted(phases)] == [Phase.PREPARING] * 3)
    asked.set()
    for uuid in ("c1", "c2", "c3"):
        status = house.controller.wait_for(uuid, Phase.RUNNING)
        assert status.containers[0].image_digest.startswith("sha256:")
        assert house.controller.history[uuid][0].phase is Phase.PREPARING
    assert house.engine.asked("nginx").count("pull") == 1
    house.controller.change("c1", run=2, wish=Wish.REBOOT)
    house.controller.wait_for("c1", Phase.RUNNING)
    assert house.engine.asked("nginx").count("pull") == 1
    house.controller.change("c1", run=3, build=2, wish=Wish.REBUILD)
    house.controller.wait_for("c1", Phase.RUNNING)
    assert house.engine.asked("nginx").count("pull") == 2


def test_progress_of_a_pull_is_told(house):
    told = threading.Event()
    house.engine._wait = lambda _s: told.wait(60)
    house.start()
    house.controller.wish(assignment("c1", container("c1", image="nginx", pull_policy=PullPolicy.ALWAYS)))
    house.controller.wait(
        lambda: any("0 of 1 layers" in event.detail for event in house.controller.results("c1", "pull")), "progress"
    )
    told.set()
    house.controller.wait_for("c1", Phase.RUNNING)
    (pulled,) = house.controller.results("c1", "pull")
    assert pulled.result == "Success"
    assert pulled.finished_at > pulled.started_at


def test_delete_while_pulling(house):
    house.start()
    house.controller.wish(assignment("c1", container("c1", image="slow-600s", pull_policy=PullPolicy.ALWAYS)))
    house.controller.wait(lambda: (s := house.controller.status.get("c1")) and s.phase is Phase.PREPARING)
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.GONE)
    assert list(house.store.all()) == []


def test_wished_images(house):
    house.start()
    house.controller.wish_image(model.ImageWish(uuid="i1", image="nginx", generation=1))
    house.controller.wish_image(model.ImageWish(uuid="i2", image="missing", generation=1))
    house.controller.wait(lambda: (i := house.controller.image_status.get("i1")) and i.phase == "ready")
    house.controller.wait(lambda: (i := house.controller.image_status.get("i2")) and i.phase == "failed")
    assert house.controller.image_status["i1"].image_id
    house.controller.wish_image(model.ImageWish(uuid="i1", image="nginx", generation=2, wanted=False))
    house.controller.wait(lambda: house.controller.image_status["i1"].phase == "gone")
    assert [facts.names for facts in house.engine.images()] == [("docker.io/library/busybox:latest",)]


def test_health_by_our_own_clock(house):
    house.start(engine=house.new_engine(health_clock="ours"))
    check = model.Healthcheck(command="true", interval_s=1)
    house.controller.wish(assignment("c1", container("c1", healthcheck=check)))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.controller.wait(lambda: house.controller.status["c1"].containers[0].health == "healthy")


def test_nothing_is_asked_of_the_engine_when_nothing_happens(house):
    house.start()
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    asked = len(house.engine.calls)
    house.controller.change("c1", name="renamed", wish=Wish.UPDATE)
    house.controller.wait_for("c1", Phase.RUNNING)
    assert len(house.engine.calls) == asked
    assert QUICK.tick_s < 1


def test_addresses_carry_the_id_of_the_pods_network(house):
    networks = (model.NetworkWish(network="net-id"),)
    house.start()
    house.controller.wish(assignment("c1", pod=model.PodSpec(containers=(container("c1"),), networks=networks)))
    status = house.controller.wait_for("c1", Phase.RUNNING)
    assert [one.network for one in status.addresses] == ["net-id"]


def test_an_engine_of_which_nothing_can_be_read_for_a_moment_is_followed_again(house):
    engine, asked, unreadable = house.new_engine(), [], threading.Event()
    events, info = engine.events, engine.info

    def away_at_first(connected):
        asked.append(connected)
        if len(asked) == 1:
            unreadable.set()
            raise errors.Unavailable("The engine does not answer.")
        unreadable.clear()
        return events(connected)

    def read():
        if unreadable.is_set():
            raise OSError(errno.EMFILE, "Too many open files")
        return info()

    engine.events, engine.info = away_at_first, read
    house.start(engine=engine)
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
