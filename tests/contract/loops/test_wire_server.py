"""The wire's server over a unix socket, asked by the agent's real client: credentials, waits, wake-ups, numbered reports."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import pathlib
import select
import socket
import stat
import threading
from collections.abc import Collection, Iterator, Mapping

import msgspec
import pytest

from higgins.core import errors, model
from higgins.core.phase import Phase
from higgins.scheduler.loop import Scheduler
from higgins.store.agents import reports
from higgins.store.agents.assignments import HostAssignments
from higgins.store.agents.desk import Desk
from higgins.store.loops import provisioning
from higgins.store.loops.holds import Holder
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.store.tables import hosts
from higgins.wire import contract, hints
from higgins.wire.client import WireClient
from higgins.wire.server import Server
from tests.contract.store_rows import Counter, Rows, status, until


@pytest.fixture
def told() -> hints.LocalHints:
    return hints.LocalHints()


@pytest.fixture
def server(db: Database, sealer: Sealer, told: hints.LocalHints, tmp_path: pathlib.Path) -> Iterator[Server]:
    made = Server(
        Desk(db, sealer), told, f"unix:{tmp_path}/wire.sock", sweep_s=3600, seen_every_s=0, credential_kept_s=3600
    )
    made.start()
    yield made
    made.stop()


def client(tmp_path: pathlib.Path, token: str = "token of host1") -> WireClient:
    return WireClient(f"unix:{tmp_path}/wire.sock", token)


def hello(rows: Rows) -> contract.Hello:
    return contract.Hello(facts=rows.facts(), live_address="unix:/live", live_token="secret")


class Asking(threading.Thread):
    """Asks for assignments on a thread of its own."""

    def __init__(self, wire: WireClient, since: int, wait_s: float = 20) -> None:
        super().__init__(daemon=True)
        self._wire, self._since, self._wait_s = wire, since, wait_s
        self.answer: contract.Assignments | None = None
        self.error: errors.HigginsError | None = None
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        """Until there is something; a wait ends by itself after a while."""
        try:
            while self.answer is None or not (self.answer.pods or self.over.is_set()):
                self.answer = self._wire.assignments(self._since, self._wait_s)
        except errors.HigginsError as error:
            self.error = error


def hand_out(rows: Rows) -> None:
    with rows.db.write() as tx:
        provisioning.done(tx, [one.pod for one in provisioning.due(tx, Holder())], Holder())


def test_the_socket_is_its_owners_alone(server: Server, tmp_path: pathlib.Path) -> None:
    assert stat.S_IMODE((tmp_path / "wire.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_stranger_learns_nothing(server: Server, rows: Rows, tmp_path: pathlib.Path, token: str) -> None:
    rows.host()
    wire = client(tmp_path, token)
    for ask in (
        lambda: wire.hello(hello(rows)),
        lambda: wire.assignments(0, 0),
        lambda: wire.report(contract.Report(number=1)),
    ):
        with pytest.raises(errors.Unauthorized):
            ask()
    assert rows.host_row().report_number == 0


def test_an_agent_greets_and_is_told_where_it_stands(server: Server, rows: Rows, tmp_path: pathlib.Path) -> None:
    rows.host(up=False)
    wire = client(tmp_path)
    welcome = wire.hello(hello(rows))
    assert welcome == contract.Welcome(host_uuid=rows.host_row().uuid, report_number=0)
    assert rows.host_row().facts == rows.facts()
    assert rows.host_row().is_up(rows.db.now())
    first = wire.assignments(0, 0)
    assert (first.full, first.pods) == (True, ())
    assert first.revision > 0


def test_a_wait_ends_when_its_host_is_nudged(
    server: Server, told: hints.LocalHints, rows: Rows, tmp_path: pathlib.Path
) -> None:
    host_id = rows.host()
    revision = client(tmp_path).assignments(0, 0).revision
    asking = Asking(client(tmp_path), revision)
    until(server._waker.waiting, "the agent waits")
    pod = rows.pod("web")
    Scheduler(rows.db, hints.LocalHints()).run_once()
    hand_out(rows)
    assert asking.is_alive()
    told.nudge(hints.host_topic(host_id))
    asking.join(120)
    assert asking.answer is not None
    assert [one.uuid for one in asking.answer.pods] == [pod.uuid]
    assert asking.answer.revision > revision


def test_a_nudge_for_nothing_leaves_the_wait_alone(
    server: Server, told: hints.LocalHints, rows: Rows, tmp_path: pathlib.Path, counter: Counter
) -> None:
    host_id = rows.host()
    revision = client(tmp_path).assignments(0, 0).revision
    asking = Asking(client(tmp_path), revision)
    until(server._waker.waiting, "the agent waits")
    counter.reset()
    told.nudge(hints.host_topic(host_id))
    told.nudge(hints.host_topic(host_id + 1))
    until(lambda: counter.statements, "the database is asked once more")
    assert asking.is_alive()
    asking.over.set()
    server.stop()
    asking.join(120)
    assert asking.answer is None or asking.answer.pods == ()


def test_a_lost_nudge_is_made_good_by_the_sweep(
    db: Database, sealer: Sealer, rows: Rows, told: hints.LocalHints, tmp_path: pathlib.Path
) -> None:
    rows.host()
    server = Server(Desk(db, sealer), told, f"unix:{tmp_path}/wire.sock", sweep_s=0.02)
    server.start()
    try:
        revision = client(tmp_path).assignments(0, 0).revision
        asking = Asking(client(tmp_path), revision)
        until(server._waker.waiting, "the agent waits")
        rows.pod("web")
        Scheduler(rows.db, hints.LocalHints()).run_once()
        hand_out(rows)
        asking.join(120)
        assert asking.answer is not None
        assert len(asking.answer.pods) == 1
    finally:
        server.stop()


def test_what_could_not_be_read_is_read_at_the_next_question(
    db: Database, sealer: Sealer, rows: Rows, told: hints.LocalHints, tmp_path: pathlib.Path
) -> None:
    class Away(Desk):
        def assignments(self, host_id: int, since: int) -> HostAssignments:
            if away:
                raise errors.Unavailable(away.pop())
            return super().assignments(host_id, since)

    away, host_id = list[str](), rows.host()
    server = Server(Away(db, sealer), told, f"unix:{tmp_path}/wire.sock", sweep_s=3600)
    server.start()
    try:
        revision = client(tmp_path).assignments(0, 0).revision
        rows.pod("web")
        Scheduler(rows.db, hints.LocalHints()).run_once()
        hand_out(rows)
        away.append("The database does not answer.")
        told.nudge(hints.host_topic(host_id))
        with pytest.raises(errors.Unavailable, match="The database does not answer"):
            client(tmp_path).assignments(revision, 20)
        assert len(client(tmp_path).assignments(revision, 20).pods) == 1
    finally:
        server.stop()


def test_a_wait_that_is_over_has_the_same_revision_and_no_pods(
    server: Server, rows: Rows, tmp_path: pathlib.Path
) -> None:
    rows.host()
    wire = client(tmp_path)
    revision = wire.assignments(0, 0).revision
    assert wire.assignments(revision, 0.05) == contract.Assignments(revision=revision, full=False)


def test_an_idle_wait_costs_no_statement(server: Server, rows: Rows, tmp_path: pathlib.Path, counter: Counter) -> None:
    rows.host()
    wire = client(tmp_path)
    revision = wire.assignments(0, 0).revision
    counter.reset()
    for _ in range(3):
        wire.assignments(revision, 0)
    assert counter.statements == []


def test_an_answer_that_was_lost_is_given_again(server: Server, rows: Rows, tmp_path: pathlib.Path) -> None:
    rows.host()
    wire = client(tmp_path)
    revision = wire.assignments(0, 0).revision
    rows.pod("web")
    Scheduler(rows.db, hints.LocalHints()).run_once()
    hand_out(rows)
    server._hear(hints.host_topic(rows.host_row().id))
    lost = until(lambda: wire.assignments(revision, 0).pods, "the pod is handed out")
    assert wire.assignments(revision, 0).pods == lost


def test_reports_are_taken_in_order(server: Server, told: hints.LocalHints, rows: Rows, tmp_path: pathlib.Path) -> None:
    rows.host()
    pod = rows.pod("web")
    Scheduler(rows.db, hints.LocalHints()).run_once()
    topics: list[str] = []
    told.listen(topics.append)
    wire = client(tmp_path)

    def report(number: int, phase: Phase) -> bool:
        one = contract.PodReport(uuid=pod.uuid, status=status(phase, 1))
        return wire.report(contract.Report(number=number, pods=(one,))).taken

    assert report(1, Phase.RUNNING)
    assert not report(1, Phase.FAILED)
    assert rows.again(pod).phase is Phase.RUNNING
    assert topics == []
    assert report(2, Phase.GONE)
    assert topics == [hints.TAKE_BACK]
    rows.delete(pod)
    assert not report(2, Phase.GONE)
    assert rows.exists(pod)
    assert report(3, Phase.GONE)
    assert not rows.exists(pod)
    assert topics == [hints.TAKE_BACK]
    assert wire.hello(hello(rows)).report_number == 3


def test_nonsense_is_answered_and_survived(server: Server, rows: Rows, tmp_path: pathlib.Path) -> None:
    rows.host()
    wire = client(tmp_path)
    for method, path, body in (
        ("GET", "assignments?since=x", None),
        ("GET", "assignments?since=0&wait_s=x", None),
        ("PUT", "report", b'{"number": "1"}'),
        ("POST", "hello", b"{"),
    ):
        with pytest.raises(errors.Invalid, match="not what the wire speaks"):
            wire._transport.ask(method, f"/wire/v1/{path}", body, contract.Nothing, timeout_s=60)
    nan = "/wire/v1/assignments?since=0&wait_s=nan"
    assert wire._transport.ask("GET", nan, None, contract.Assignments, timeout_s=60).full


@contextlib.contextmanager
def looking_round(desk: Desk, rows: Rows, told: hints.LocalHints, tmp_path: pathlib.Path) -> Iterator[None]:
    """A server that looks round all the time, and a host that nobody has heard of yet."""
    rows.host()
    with rows.db.write() as tx:
        tx.change(hosts.update().values(last_seen_at=None))
    server = Server(desk, told, f"unix:{tmp_path}/wire.sock", sweep_s=0.02, seen_every_s=0)
    server.start()
    try:
        yield
    finally:
        server.stop()


def test_a_host_that_waits_again_is_heard_of(
    db: Database, sealer: Sealer, rows: Rows, told: hints.LocalHints, tmp_path: pathlib.Path
) -> None:
    with looking_round(Desk(db, sealer), rows, told, tmp_path):
        topics: list[str] = []
        told.listen(topics.append)
        client(tmp_path).assignments(0, 0)
        until(lambda: rows.host_row().last_seen_at, "the host is heard of")
        until(lambda: hints.SCHEDULE in topics, "the scheduler is told")


def test_the_rounds_of_a_server_go_on_after_whatever_one_of_them_meets(
    db: Database, sealer: Sealer, rows: Rows, told: hints.LocalHints, tmp_path: pathlib.Path
) -> None:
    class Failing(Desk):
        failures = 0

        def seen(self, host_ids: Collection[int]) -> None:
            if not self.failures:
                self.failures += 1
                raise RuntimeError("something that nobody foresaw")
            super().seen(host_ids)

    desk = Failing(db, sealer)
    with looking_round(desk, rows, told, tmp_path):
        client(tmp_path).assignments(0, 0)
        until(lambda: rows.host_row().last_seen_at, "the host is heard of")
    assert desk.failures == 1


def test_a_server_that_cannot_listen_says_so(db: Database, sealer: Sealer, told: hints.LocalHints) -> None:
    with pytest.raises(errors.Invalid, match="certificate"):
        Server(Desk(db, sealer), told, "https://127.0.0.1:0").start()
    with pytest.raises(OSError, match="No such file"):
        Server(Desk(db, sealer), told, "unix:/nowhere/at/all.sock").start()


class ManyHosts:
    """A desk of as many hosts as ask, each with nothing to do until its version is raised."""

    def __init__(self) -> None:
        self.raised: dict[int, int] = {}

    def authenticate(self, credential_hash: str) -> int | None:
        return int(credential_hash[:12], 16)

    def hello(self, host_id: int, facts: model.HostFacts, live_address: str, live_token: str) -> tuple[str, int]:
        return "", 0

    def assignments(self, host_id: int, since: int) -> HostAssignments:
        version = self.raised.get(host_id, 1)
        wish = model.ImageWish(uuid="u", image="i", generation=version)
        return HostAssignments(revision=version, full=False, images=(wish,) if version > since else ())

    def report(self, host_id: int, report: contract.Report) -> reports.Taken:
        return reports.Taken(leaves_gone=False)

    def versions(self, host_ids: Collection[int]) -> Mapping[int, int]:
        return {host_id: self.raised.get(host_id, 1) for host_id in host_ids}

    def seen(self, host_ids: Collection[int]) -> None:
        """Nobody asks."""


class Waiting:
    """A host that waits for assignments on no thread of its own, and waits anew when that ended with nothing."""

    def __init__(self, path: pathlib.Path, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = socket.socket(socket.AF_UNIX)
        self._connection.sock.connect(str(path))
        self._arrived = select.poll()
        self._arrived.register(self._connection.sock, select.POLLIN)
        self._ask()

    def _ask(self) -> None:
        self._connection.request("GET", "/wire/v1/assignments?since=1&wait_s=20", headers=self._headers)

    def told(self) -> contract.Assignments | None:
        """What it was told, if anything."""
        if not self._arrived.poll(0):
            return None
        answer = msgspec.json.decode(self._connection.getresponse().read(), type=contract.Assignments)
        if answer.images:
            return answer
        self._ask()
        return None

    def close(self) -> None:
        self._connection.close()


def test_hundreds_wait_without_a_thread_each_and_only_the_right_one_is_woken(tmp_path: pathlib.Path) -> None:
    desk, told = ManyHosts(), hints.LocalHints()
    server = Server(desk, told, f"unix:{tmp_path}/wire.sock", sweep_s=60)
    server.start()
    waiting: list[Waiting] = []

    def all_wait(hosts: Collection[Waiting]) -> bool:
        told = [host.told() for host in hosts]
        return not any(told) and sum(seat.waiting for seat in list(server._waker._seats.values())) == len(hosts)

    try:
        before = threading.active_count()
        waiting.extend(Waiting(tmp_path / "wire.sock", str(number)) for number in range(300))
        until(lambda: all_wait(waiting), "all wait")
        assert threading.active_count() - before <= 4
        host_id = int(hashlib.sha256(b"7").hexdigest()[:12], 16)
        desk.raised[host_id] = 2
        told.nudge(hints.host_topic(host_id))
        answer = until(waiting[7].told, "the right one is woken")
        assert (answer.revision, len(answer.images)) == (2, 1)
        others = [host for host in waiting if host is not waiting[7]]
        until(lambda: all_wait(others), "the others wait on")
    finally:
        for host in waiting:
            host.close()
        server.stop()
