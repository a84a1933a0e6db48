"""Live questions: who may ask, when, and what the agent is asked."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Iterator

import pytest

from higgins.core import errors
from higgins.core.phase import Phase, Wish
from higgins.wire import contract
from tests.contract.control.control_plane import ControlPlane, caller, planes


def test_questions_reach_the_hosts_agent_with_its_own_token(plane: ControlPlane) -> None:
    pod, live = plane.made(), plane.control.live
    plane.agent.answers = {
        "logs": contract.TextAnswer(text="hello"),
        "exec": contract.ExecAnswer(output="out", exit_code=3),
        "top": contract.TopAnswer(titles=("PID",), rows=(("1",),)),
    }
    since = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - without a zone is UTC
    assert live.logs(caller("reader"), pod.uuid, tail=5, since=since) == "hello"
    assert live.execute(caller(), pod.uuid, ("ls",), timeout_s=7).exit_code == 3
    assert live.top(caller("reader"), pod.name).titles == ("PID",)
    with live.get_archive(caller(), pod.uuid, "/etc") as (stat, tar):
        assert (stat.name, b"".join(tar)) == ("x", b"tar")
    live.put_archive(caller(), pod.uuid, "/tmp", iter([b"t", b"ar"]))
    assert {asked[:2] for asked in plane.agent.asked} == {("unix:/live", "live-token")}
    assert [asked[2:] for asked in plane.agent.asked] == [
        ("logs", contract.LogsQuestion(tail=5, since_s=1767225600.0)),
        ("exec", contract.ExecQuestion(command=("ls",), timeout_s=7)),
        ("top", contract.TopQuestion()),
        ("get_archive", "/etc"),
        ("put_archive", ("/tmp", b"tar")),
    ]


@pytest.mark.parametrize(("given", "sent"), [("HUP", "SIGHUP"), ("sigusr1", "SIGUSR1"), ("15", "SIGTERM")])
def test_signals_other_than_kill_are_sent_at_once(plane: ControlPlane, given: str, sent: str) -> None:
    pod, who = plane.made(), caller()
    assert plane.control.containers.kill(who, pod.uuid, signal=given) == pod
    assert plane.agent.asked[-1][2:] == ("signal", contract.SignalQuestion(signal=sent))
    action, _ = plane.control.actions.get(who, pod.uuid, who.request_id)
    assert (action.action, action.message, action.finished_at is None) == ("kill", None, False)
    assert plane.row(pod.uuid) == pod


def test_a_signal_that_is_none_is_refused(plane: ControlPlane) -> None:
    pod = plane.made()
    with pytest.raises(errors.Invalid, match="SIGNOPE"):
        plane.control.containers.kill(caller(), pod.uuid, signal="SIGNOPE")
    with pytest.raises(errors.Forbidden):
        plane.control.containers.kill(caller("reader"), pod.uuid, signal="SIGNOPE")


def test_commit_is_an_action_that_ends_with_what_came_of_it(plane: ControlPlane) -> None:
    pod = plane.made(phase=Phase.STOPPED)
    made = contract.CommitAnswer(image_id="i", digest="sha256:1", size_bytes=1)
    for answer, message in ((made, None), (errors.Unavailable("The engine is away."), "Error")):
        plane.agent.answers["commit"] = answer
        who = caller()
        try:
            assert plane.control.live.commit(who, pod.uuid, repository="team/web", tag=None) == made
        except errors.Unavailable:
            assert message == "Error"
        action, _ = plane.control.actions.get(who, pod.uuid, who.request_id)
        assert (action.action, action.message, action.finished_at is None) == (Wish.COMMIT, message, False)
    assert plane.agent.asked[-1][3] == contract.CommitQuestion(project="project-1", repository="team/web", tag="latest")
    for repository, tag in (("Bad Name", None), ("web", "no tag"), ("web:1", "2"), ("web@sha256:" + "a" * 64, None)):
        with pytest.raises(errors.Invalid):
            plane.control.live.commit(caller(), pod.uuid, repository=repository, tag=tag)


def test_states_and_policies_hold_for_questions(plane: ControlPlane) -> None:
    pod, live = plane.made(phase=Phase.STOPPED), plane.control.live
    for ask in (live.stats, live.top):
        with pytest.raises(errors.IllegalState, match="Cannot"):
            ask(caller(), pod.uuid)
    with pytest.raises(errors.IllegalState, match=f"Cannot execute container {pod.uuid} in Stopped state"):
        live.execute(caller(), pod.uuid, ("ls",))
    with pytest.raises(errors.Forbidden):
        live.execute(caller("reader"), pod.uuid, ("ls",))
    with pytest.raises(errors.NotFound):
        live.logs(caller(project="project-2"), pod.uuid)
    with pytest.raises(errors.Invalid, match="no terminal"):
        live.resize_terminal(caller(), plane.made().uuid, height=10, width=10)
    assert plane.agent.asked == []


def test_a_host_that_is_down_or_not_there_is_said(plane: ControlPlane) -> None:
    pod, live = plane.made(), plane.control.live
    plane.time += datetime.timedelta(seconds=61)
    with pytest.raises(errors.Unavailable, match="down"):
        live.logs(caller(), pod.uuid)
    with pytest.raises(errors.Unavailable, match="down"):
        plane.control.containers.kill(caller(), pod.uuid, signal="HUP")
    assert plane.control.containers.stop(caller(), pod.uuid).wish is Wish.STOP, "a wish needs no host that is up"
    lost = plane.create()
    plane.place()
    with pytest.raises(errors.Conflict, match="no host"):
        live.logs(caller(), lost.uuid)


@pytest.fixture
def two_threads(tmp_path: pathlib.Path) -> Iterator[ControlPlane]:
    yield from planes(tmp_path, threads=2)


def test_questions_that_wait_leave_threads_to_others(two_threads: ControlPlane) -> None:
    plane = two_threads
    mine, others = plane.made(), plane.made(caller(project="project-2"))
    live = plane.control.live
    plane.agent.answers["logs"] = contract.TextAnswer(text="hello")
    with live.get_archive(caller(), mine.uuid, "/etc"):
        for ask in (lambda: live.logs(caller(), mine.uuid), lambda: live.put_archive(caller(), mine.uuid, "/", ())):
            with pytest.raises(errors.Busy, match="Try again"):
                ask()
        assert live.logs(caller(project="project-2"), others.uuid) == "hello"
    assert live.logs(caller(), mine.uuid) == "hello"
