"""Live questions over the real live server and its client, answered by the fake engine."""

import contextlib
import dataclasses
import io
import socket
import stat
import tarfile

import pytest

from higgins.agent.live import answers
from higgins.agent.live.server import THREADS
from higgins.core import errors
from higgins.core.phase import Desired, EngineState, Phase, Wish
from higgins.wire import contract
from higgins.wire.client import LiveClient, WireClient
from tests.host.controller_double import assignment, container, until
from tests.host.house import QUICK
from tests.tars import tar_of


@pytest.fixture
def live(house):
    house.start(timings=dataclasses.replace(QUICK, orphan_grace_s=3600))
    house.controller.wish(assignment("c1", container("c1", environment={"FAKE_LOG": "hello"}, memory_mib=64)))
    house.controller.wait_for("c1", Phase.RUNNING)
    client = LiveClient(house.live, "live-token")
    yield client
    client.close()


def test_logs_exec_top_and_stats(live):
    assert live.ask("c1", "c1", "logs", contract.LogsQuestion(), contract.TextAnswer).text == "hello\n"
    done = live.ask("c1", "c1", "exec", contract.ExecQuestion(command=("echo", "hi")), contract.ExecAnswer)
    assert (done.output, done.exit_code) == ("hi\n", 0)
    assert live.ask("c1", "c1", "top", contract.TopQuestion(), contract.TopAnswer).titles == ("PID", "USER", "COMMAND")
    used = live.ask("c1", "c1", "stats", contract.Nothing(), contract.StatsAnswer)
    assert used.memory_limit_bytes == 64 << 20
    assert 0 < used.cpu_percent < 100


def test_a_command_that_takes_too_long(live):
    question = contract.ExecQuestion(command=("sleep", "9"), timeout_s=0.05)
    with pytest.raises(errors.Timeout, match="was killed"):
        live.ask("c1", "c1", "exec", question, contract.ExecAnswer)


def test_a_signal_ends_it(live, house):
    live.ask("c1", "c1", "signal", contract.SignalQuestion(signal="SIGINT"), contract.Nothing)
    assert house.controller.wait_for("c1", Phase.STOPPED).containers[0].exit_code == 130
    with pytest.raises(errors.Conflict):
        live.ask("c1", "c1", "signal", contract.SignalQuestion(signal="SIGINT"), contract.Nothing)


def test_terminal_and_commit(live):
    with pytest.raises(errors.Conflict, match="tty"):
        live.ask("c1", "c1", "resize_terminal", contract.TerminalQuestion(height=1, width=1), contract.Nothing)
    question = contract.CommitQuestion(project="project-1", repository="mine", tag="1")
    assert live.ask("c1", "c1", "commit", question, contract.CommitAnswer).digest.startswith("sha256:")


def test_files_both_ways(live):
    big = bytes(300_000)
    tar = tar_of(a=b"one", b=big)
    live.put_archive("c1", "c1", "/tmp", (tar[at : at + 7000] for at in range(0, len(tar), 7000)))
    with live.get_archive("c1", "c1", "/tmp/a") as (found, chunks):
        assert (found.name, found.size) == ("a", 3)
        got = io.BytesIO(b"".join(chunks))
    with tarfile.open(fileobj=got) as archive:
        assert archive.extractfile("a").read() == b"one"


def test_files_to_and_from_where_nothing_is(live):
    with pytest.raises(errors.NotFound), live.get_archive("c1", "c1", "/no/such"):
        pass
    with pytest.raises(errors.NotFound):
        live.put_archive("c1", "c1", "/no/such", iter([tar_of(a=bytes(2_000_000))]))


def test_who_may_ask(live, house):
    stranger = LiveClient(house.live, "guess")
    with pytest.raises(errors.Unavailable, match="just starting"):
        stranger.ask("c1", "c1", "stats", contract.Nothing(), contract.StatsAnswer)
    with pytest.raises(errors.Unavailable, match="just starting"), stranger.get_archive("c1", "c1", "/"):
        pass
    stranger.close()
    mode = (house.root / "live").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_what_is_not_here(live):
    for pod, container_uuid in (("c1", "c9"), ("c9", "c1")):
        with pytest.raises(errors.NotFound):
            live.ask(pod, container_uuid, "stats", contract.Nothing(), contract.StatsAnswer)
    with pytest.raises(errors.NotFound):
        live.ask("c1", "c1", "riddle", contract.Nothing(), contract.Nothing)
    with pytest.raises(errors.Invalid):
        live.ask("c1", "c1", "exec", contract.Nothing(), contract.Nothing)


def test_audit_and_repair(live, house):
    assert [found.uuid for found in live.audit().containers] == ["c1"]
    assert live.repair().containers == ()
    lost = assignment("c2")
    house.controller.wish(lost)
    house.controller.wait_for("c2", Phase.RUNNING)
    with house.agent._loop._lock:
        del house.agent._loop._pods["c2"]
    assert [found.uuid for found in live.repair().containers] == ["c2"]
    assert [found.uuid for found in live.audit().containers] == ["c1"]


def test_what_the_engine_made_by_half_is_audited_and_repaired(live, house):
    house.store.put("c2", dataclasses.replace(house.store.get("c1"), half=True))
    states = {found.uuid: found.state for found in live.audit().containers}
    assert states == {"c1": EngineState.RUNNING, "c2": EngineState.DEAD}
    assert [found.uuid for found in live.repair().containers] == ["c2"]
    assert [found.uuid for found in live.audit().containers] == ["c1"]


def test_an_agent_that_is_not_there(tmp_path):
    client = LiveClient(f"unix:{tmp_path}/none", "token")
    with pytest.raises(errors.Unavailable, match="cannot be reached"):
        client.audit()
    with pytest.raises(errors.Invalid, match="neither"):
        LiveClient("http://localhost:1", "token").audit()


def test_a_controller_that_never_answers(tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "wire"))
        silent.listen()
        client = WireClient(f"unix:{tmp_path}/wire", "token", timeout_s=0.05)
        with pytest.raises(errors.Timeout):
            client.assignments(0, 0)


def test_a_kept_connection_that_broke_is_opened_anew(house):
    client = WireClient(house.address, "host-token")
    house.controller.greeted = True
    assert client.assignments(0, 0).full
    house.close_wire()
    house.open_wire()
    assert client.assignments(0, 0).full
    client.close()
    with pytest.raises(errors.Unavailable):
        client.assignments(0, 0)


def test_a_stopped_agent_leaves_no_socket(live, house):
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.GONE)
    house.stop()
    until(lambda: not (house.root / "live").exists(), "the socket to be gone")


def test_of_a_long_log_the_newest_lines_come_and_that_is_said(live, monkeypatch, house):
    house.controller.wish(assignment("c2", container("c2", environment={"FAKE_LOG": "\n".join("abcdefgh")})))
    house.controller.wait_for("c2", Phase.RUNNING)
    monkeypatch.setattr(answers, "MOST_LOG_BYTES", 5)
    said, *lines = live.ask("c2", "c2", "logs", contract.LogsQuestion(), contract.TextAnswer).text.splitlines()
    assert "newest" in said
    assert lines == ["g", "h"]
    assert live.ask("c2", "c2", "logs", contract.LogsQuestion(tail=1), contract.TextAnswer).text == "h\n"


def test_questions_about_one_pod_leave_room_for_others(live, house):
    house.controller.wish(assignment("c2", container("c2", environment={"FAKE_LOG": "other"})))
    house.controller.wait_for("c2", Phase.RUNNING)
    live.put_archive("c1", "c1", "/tmp", [tar_of(a=bytes(3_000_000))])
    with contextlib.ExitStack() as held:
        for _ in range(THREADS // 2):
            held.enter_context(live.get_archive("c1", "c1", "/tmp/a"))
        with pytest.raises(errors.Busy, match="Try again"):
            live.ask("c1", "c1", "logs", contract.LogsQuestion(), contract.TextAnswer)
        assert live.ask("c2", "c2", "logs", contract.LogsQuestion(), contract.TextAnswer).text == "other\n"
    until(lambda: answered(live), "the readers have gone")


def answered(live):
    """Whether a question about the busy pod is answered: the server sees a moment later that its readers have gone."""
    try:
        return bool(live.ask("c1", "c1", "logs", contract.LogsQuestion(), contract.TextAnswer).text)
    except errors.Busy:
        return False


def test_headers_without_end_are_refused(live, house):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(house.live.removeprefix("unix:"))
        sock.sendall(b"GET /live/v1/audit HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n")
        assert sock.recv(100).split()[1] == b"413"
