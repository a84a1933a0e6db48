"""The agent when things go wrong: nothing lost, nothing stuck, and a reason that its user can act on."""

import dataclasses
import datetime
import threading
import time

import pytest

from higgins.core import errors, model
from higgins.core.phase import Desired, EngineState, Phase, PullPolicy, Wish
from higgins.engine.api import PullProgress
from tests.host.controller_double import assignment, container, until
from tests.host.house import QUICK

ALWAYS = PullPolicy.ALWAYS
SOON_UNKNOWN = dataclasses.replace(QUICK, unknown_after_s=0.5)


def test_unknown_image(house):
    house.start()
    house.controller.wish(assignment("c1", container("c1", image="missing")))
    assert "Check its name and tag" in house.controller.wait_for("c1", Phase.FAILED).reason
    assert [event.result for event in house.controller.results("c1", "pull")] == ["Error"]
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.GONE)


def test_an_image_that_must_not_be_pulled(house):
    house.start()
    house.controller.wish(assignment("c1", container("c1", image="nginx", pull_policy=PullPolicy.NEVER)))
    assert "pull policy is never" in house.controller.wait_for("c1", Phase.FAILED).reason


def test_unreachable_registry_fails_before_the_wish_does(house):
    house.start(timings=dataclasses.replace(QUICK, pull_deadline_s=4))
    house.controller.wish(assignment("c1", container("c1", image="unreachable", pull_policy=ALWAYS)))
    assert "does not answer" in house.controller.wait_for("c1", Phase.FAILED).reason
    assert any("tried again" in status.reason for status in house.controller.history["c1"])
    assert house.engine.asked("unreachable").count("pull") > 1


def test_a_pull_that_falls_silent_is_given_up(house):
    engine = house.new_engine()

    def falls_silent(reference, *, cancelled, **words):
        until(cancelled, "it is given up")
        raise errors.Conflict(f"Pulling {reference} was cancelled.")

    engine.pull = falls_silent
    house.start(engine=engine, timings=dataclasses.replace(QUICK, wish_deadline_s=0.2))
    house.controller.wish(assignment("c1", container("c1", pull_policy=ALWAYS)))
    assert "got no further" in house.controller.wait_for("c1", Phase.FAILED).reason


def test_a_pull_that_goes_on_may_take_longer_than_a_wish(house):
    engine, deadline_s = house.new_engine(), 1.0
    pull = engine.pull

    def goes_on(reference, *, progress, cancelled, **words):
        """For one and a half times as long; each look whether it goes on comes right after a sign of that."""
        began, done = time.monotonic(), 0
        while time.monotonic() < began + 1.5 * deadline_s:
            done += 1
            progress(PullProgress(done_bytes=done, total_bytes=1 << 20))
            assert not cancelled()
            threading.Event().wait(0.05)
        return pull(reference, progress=progress, cancelled=lambda: False, **words)

    engine.pull = goes_on
    house.start(engine=engine, timings=dataclasses.replace(QUICK, wish_deadline_s=deadline_s))
    house.controller.wish(assignment("c1", container("c1", pull_policy=ALWAYS)))
    house.controller.wait_for("c1", Phase.RUNNING)


def test_a_failed_pod_is_tried_again_by_a_newer_wish_only(house):
    house.start()
    spec = container("c1", environment={"FAKE_START_ERROR": "Invalid: No such program.", "FAKE_START_ERROR_TIMES": "1"})
    house.controller.wish(assignment("c1", spec))
    assert house.controller.wait_for("c1", Phase.FAILED).reason == "No such program."
    house.stop()
    house.start()
    house.controller.wait(lambda: len(house.controller.hellos) == 2 and len(house.controller.history["c1"]) >= 2)
    assert house.controller.status["c1"].phase is Phase.FAILED
    assert "start" not in house.engine.asked("c1")
    house.controller.change("c1", run=2, wish=Wish.START)
    house.controller.wait_for("c1", Phase.RUNNING)


def test_retryable_errors_are_tried_again(house):
    house.start()
    environment = {"FAKE_CREATE_ERROR": "Unavailable: Not now.", "FAKE_CREATE_ERROR_TIMES": "3"}
    house.controller.wish(assignment("c1", container("c1", environment=environment)))
    house.controller.wait_for("c1", Phase.RUNNING)
    assert house.engine.asked("c1").count("create") == 4
    assert house.controller.status["c1"].reason == ""


def test_a_wish_that_cannot_be_met_in_time_fails(house):
    house.start(timings=dataclasses.replace(QUICK, wish_deadline_s=0.3))
    house.controller.wish(assignment("c1", container("c1", environment={"FAKE_CREATE_ERROR": "Unavailable: Not now."})))
    assert house.controller.wait_for("c1", Phase.FAILED).reason == "Not now."


def test_a_delete_never_gives_up(house):
    house.start(timings=dataclasses.replace(QUICK, wish_deadline_s=0.1))
    environment = {"FAKE_REMOVE_ERROR": "Invalid: Not this way.", "FAKE_REMOVE_ERROR_TIMES": "6"}
    house.controller.wish(assignment("c1", container("c1", environment=environment)))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE, stop_timeout_s=0)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.GONE)
    assert house.engine.asked("c1").count("remove") == 7


def test_a_start_whose_answer_was_lost_is_not_done_twice(house):
    house.start()
    spec = container("c1", command=("true",), environment={"FAKE_START_LOST": "1"})
    house.controller.wish(assignment("c1", spec))
    assert house.controller.wait_for("c1", Phase.STOPPED).observed_run == 1
    assert house.engine.asked("c1").count("start") == 1


def test_a_limit_that_cannot_be_set_leaves_the_container_running(house):
    house.start()
    spec = container("c1", memory_mib=128, environment={"FAKE_MEMORY_MIB": "100"})
    house.controller.wish(assignment("c1", spec))
    house.controller.wait_for("c1", Phase.RUNNING)
    smaller = model.PodSpec(containers=(dataclasses.replace(spec, memory_mib=64),))
    house.controller.change("c1", spec=smaller, wish=Wish.UPDATE)
    status = house.controller.wait_for("c1", Phase.RUNNING)
    assert "uses 100 MiB" in status.reason
    house.controller.change("c1", spec=model.PodSpec(containers=(spec,)), wish=Wish.UPDATE)
    assert house.controller.wait_for("c1", Phase.RUNNING).reason == ""


def test_engine_away_at_start(house):
    house.store.down = True
    house.start(timings=SOON_UNKNOWN)
    house.controller.wish(assignment("c1"))
    house.controller.wait(lambda: (s := house.controller.status.get("c1")) and s.phase is Phase.UNKNOWN, "UNKNOWN")
    assert "does not answer" in house.controller.status["c1"].reason
    assert not house.controller.hellos[0].facts.engine_up
    assert house.controller.hellos[0].facts.engine_error
    house.store.down = False
    assert house.controller.wait_for("c1", Phase.RUNNING).reason == ""
    house.controller.wait(lambda: house.controller.facts[-1].engine_up)


def test_an_engine_that_stays_away_is_told_in_the_log_once(house, caplog):
    engine, tries = house.new_engine(), []
    events = engine.events

    def counted(connected):
        tries.append(connected)
        return events(connected)

    engine.events = counted
    house.store.down = True
    house.start(engine=engine, timings=dataclasses.replace(QUICK, reconnect_most_s=30.0))
    until(lambda: len(tries) >= 4, "it is asked again")
    assert caplog.text.count("Pods are left as they are until the engine answers") == 1
    house.store.down = False
    house.controller.wait(lambda: house.controller.facts[-1].engine_up)


def test_engine_killed_and_back(house):
    house.start(timings=SOON_UNKNOWN)
    house.controller.wish(assignment("c1", container("c1", command=("sh", "-c", "sleep 600; exit 7"))))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.store.down = True
    with house.store.changed:
        record = house.store.get("c1")
        record.ends_at = record.started_at
        house.store.changed.notify_all()
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.UNKNOWN)
    house.controller.wait(lambda: not house.controller.facts[-1].engine_up)
    house.controller.change("c1", desired=Desired.STOPPED, wish=Wish.STOP)
    house.controller.wish(assignment("c2"))
    house.store.down = False
    assert house.controller.wait_for("c1", Phase.STOPPED).containers[0].exit_code == 7
    house.controller.wait_for("c2", Phase.RUNNING)


def test_controller_away_and_back(house):
    house.start()
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.close_wire()
    house.engine.stop("c1", timeout_s=0)
    house.open_wire()
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.STOPPED)
    house.controller.change("c1", run=2, wish=Wish.START)
    house.controller.wait_for("c1", Phase.RUNNING)


def test_controller_that_lost_its_memory_is_told_everything(house):
    house.start()
    for uuid in ("c1", "c2"):
        house.controller.wish(assignment(uuid))
        house.controller.wait_for(uuid, Phase.RUNNING)
    with house.controller.changed:
        house.controller.status.clear()
        house.controller.number += 5000
    house.engine.stop("c1", timeout_s=0)
    house.controller.wait_for("c1", Phase.STOPPED)
    house.controller.wait_for("c2", Phase.RUNNING)
    assert len(house.controller.hellos) == 2


def test_what_stands_is_looked_after_before_the_controller_answers(house):
    house.start()
    house.controller.wish(assignment("c1", container("c1", restart_policy=model.RestartPolicy(name="always"))))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.stop()
    house.close_wire()
    for record in house.store.all().values():
        record.state, record.exit_code = EngineState.STOPPED, 0
    house.start(boot="boot-2")
    until(lambda: house.engine.inspect("c1").state is EngineState.RUNNING, "the restart")
    house.open_wire()
    house.controller.wait_for("c1", Phase.RUNNING)


def test_secrets_are_not_in_the_journal(house):
    house.start()
    mounts = (model.Mount(destination="/f", kind="file", content=b"canary-file"),)
    spec = container("c1", environment={"A": "canary-environment"}, mounts=mounts, registry="r1")
    login = model.RegistryLogin(domain="docker.io", username="u", password="canary-password")
    house.controller.wish(assignment("c1", spec, registries={"r1": login}))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.stop()
    for path in (house.root / "state").glob("journal*"):
        assert b"canary" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("domain", "phase"), [("corp.example", Phase.RUNNING), ("moved.example", Phase.FAILED)])
def test_a_login_is_shown_to_its_own_registry_only(house, domain, phase):
    house.start()
    spec = container("c1", image="corp.example/forbidden", registry="r1")
    login = model.RegistryLogin(domain=domain, username="u", password="p")
    house.controller.wish(assignment("c1", spec, registries={"r1": login}))
    house.controller.wait_for("c1", phase)


def test_disk_full_for_the_journal(house):
    house.start()
    journal = house.agent._journal
    real, tried = journal._write, threading.Event()

    def full(*, durable):
        tried.set()
        raise errors.Unavailable("The agent cannot write its journal (disk is full).")

    journal._write = full
    house.controller.wish(assignment("c1"))
    assert tried.wait(120)
    journal._write = real
    house.controller.wait_for("c1", Phase.RUNNING)


def test_a_deleted_pod_is_forgotten_once_there_is_room_for_that(house):
    house.start()
    for uuid in ("c1", "c2"):
        house.controller.wish(assignment(uuid))
        house.controller.wait_for(uuid, Phase.RUNNING)
    journal, tried = house.agent._journal, threading.Event()

    def full(pod):
        tried.set()
        raise errors.Unavailable("The agent cannot write its journal (disk is full).")

    journal.forget = full
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    assert tried.wait(120)
    house.controller.change("c2", desired=Desired.STOPPED, wish=Wish.STOP)
    house.controller.wait_for("c2", Phase.STOPPED)
    assert "c1" in journal.pods()
    del journal.forget
    until(lambda: "c1" not in journal.pods(), "the pod to be forgotten")


def test_reports_go_on_whatever_became_of_one(house):
    house.start()
    house.agent._reporter._taken = None  # calling it is an error that nobody foresaw
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.controller.change("c1", desired=Desired.STOPPED, wish=Wish.STOP)
    house.controller.wait_for("c1", Phase.STOPPED)


def test_a_report_that_breaks_on_its_way_is_sent_again(house):
    house.start()
    wire, broke = house.agent._reporter._wire, threading.Event()
    report = wire.report

    def broken(told):
        if told.pods and not broke.is_set():
            broke.set()
            raise KeyError("unforeseen")
        return report(told)

    wire.report = broken
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    assert broke.is_set()


def test_disk_full_for_files(house):
    (house.root / "state" / "files").mkdir(parents=True)
    house.start(timings=dataclasses.replace(SOON_UNKNOWN, wish_deadline_s=0.2))
    (house.root / "state" / "files" / "c1").write_text("in the way")
    mounts = (model.Mount(destination="/f", kind="file", content=b"x"),)
    house.controller.wish(assignment("c1", container("c1", mounts=mounts)))
    house.controller.wait(lambda: (s := house.controller.status.get("c1")) and "on the host" in s.reason, "a reason")


def test_an_event_that_was_lost_is_made_up_for(house):
    house.start(timings=dataclasses.replace(QUICK, resync_s=0.05))
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    record = house.store.get("c1")  # changed without a word to those who follow events
    record.state, record.exit_code, record.ends_at = EngineState.STOPPED, 5, None
    assert house.controller.wait_for("c1", Phase.STOPPED).containers[0].exit_code == 5


def test_the_clock_going_back_changes_nothing(house):
    now = [datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC).timestamp()]
    engine = house.new_engine()
    engine._clock = lambda: now[0]
    house.start(engine=engine)
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    now[0] -= 365 * 24 * 3600
    house.controller.change("c1", run=2, wish=Wish.REBOOT)
    assert house.controller.wait_for("c1", Phase.RUNNING).observed_run == 2
    assert house.engine.asked("c1").count("start") == 2
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.GONE)


def test_many_at_once(house):
    house.start()
    names = [f"c{place}" for place in range(32)]
    for name in names:
        house.controller.wish(assignment(name))
    for name in names:
        house.controller.wait_for(name, Phase.RUNNING)
    for name in names:
        house.controller.change(name, desired=Desired.DELETED, wish=Wish.DELETE, stop_timeout_s=0)
    house.controller.wait(lambda: all(house.controller.status[name].phase is Phase.GONE for name in names))
    assert list(house.store.all()) == []
    until(lambda: house.agent._journal.pods() == frozenset(), "the journal to be empty")
