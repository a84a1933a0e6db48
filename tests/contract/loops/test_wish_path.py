"""The path of a wish through all loops and the wire, with an agent that speaks the real wire but has no engine."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pathlib
import threading
from collections.abc import Iterator

import pytest

from higgins.core import errors
from higgins.core.model import PodStatus
from higgins.core.phase import Desired, Phase, Wish
from higgins.provision.loop import Provisioner
from higgins.provision.volumes import Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store.agents.desk import Desk
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire import contract, hints
from higgins.wire.client import WireClient
from higgins.wire.server import Server
from tests.contract.store_rows import Counter, Rows, until

_REACHED = {
    Desired.RUNNING: Phase.RUNNING,
    Desired.CREATED: Phase.CREATED,
    Desired.STOPPED: Phase.STOPPED,
    Desired.PAUSED: Phase.PAUSED,
    Desired.DELETED: Phase.GONE,
}


class Plane:
    """A controller without its process. Within an hour time alone has nothing read again, so that statements can be counted."""

    def __init__(self, db: Database, sealer: Sealer, socket: pathlib.Path) -> None:
        self.hints = hints.LocalHints()
        self.tell = hints.after_wish(self.hints)
        self.scheduler = Scheduler(db, self.hints, interval_s=60, hosts_kept_s=3600)
        self.provisioner = Provisioner(db, self.hints, [Volumes(db)], sealer, interval_s=60)
        self.server = Server(Desk(db, sealer), self.hints, f"unix:{socket}", sweep_s=3600, credential_kept_s=3600)

    def start(self) -> None:
        for part in (self.scheduler, self.provisioner, self.server):
            part.start()

    def stop(self) -> None:
        for part in (self.scheduler, self.provisioner, self.server):
            part.stop()


class Agent:
    """Says of every pod, in one report, that it is as was wished; asks again, as agents do, when the control plane cannot answer."""

    def __init__(self, rows: Rows, socket: pathlib.Path, hostname: str) -> None:
        self._wire = WireClient(f"unix:{socket}", f"token of {hostname}")
        hello = contract.Hello(facts=rows.facts(hostname), live_address="unix:/nowhere", live_token="live")
        self._number = self._wire.hello(hello).report_number
        self._ended = threading.Event()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "agent")
        self._life = self._thread.submit(self._run)

    def _run(self) -> None:
        since = 0
        while not self._ended.is_set():
            try:
                since = self._asked(since)
            except errors.NotReady:
                self._ended.wait(0.1)

    def _asked(self, since: int) -> int:
        told = self._wire.assignments(since, 20)
        pods = tuple(
            contract.PodReport(
                uuid=pod.uuid,
                status=PodStatus(phase=_REACHED[pod.desired], observed_generation=pod.generation, observed_run=pod.run),
            )
            for pod in told.pods
        )
        if pods:
            self._number += 1
            assert self._wire.report(contract.Report(number=self._number, pods=pods)).taken
        return told.revision

    def stop(self) -> None:
        """End; raises what it met and could not live with."""
        self._ended.set()
        self._wire.close()
        self._thread.shutdown()
        self._life.result()


def idle(server: Server, host_id: int) -> bool:
    """Whether a host's question waits and has nothing to look for, after all that this thread and those it joined have told the server."""

    async def waits() -> bool:
        seat = server._waker.seat(host_id)
        return seat.fresh and bool(seat.event._waiters)  # fresh alone is said before the database is read

    return asyncio.run_coroutine_threadsafe(waits(), server._loop).result(60)


@pytest.fixture
def plane(db: Database, sealer: Sealer, tmp_path: pathlib.Path) -> Iterator[Plane]:
    made = Plane(db, sealer, tmp_path / "wire.sock")
    made.start()
    yield made
    made.stop()


def test_a_pod_is_made_changed_and_deleted_and_nothing_is_left(
    plane: Plane, rows: Rows, tmp_path: pathlib.Path, counter: Counter
) -> None:
    rows.host("host1")
    agent = Agent(rows, tmp_path / "wire.sock", "host1")
    try:
        first = rows.pod("first")
        plane.tell(None)
        until(lambda: rows.again(first).phase is Phase.RUNNING, "the first pod runs")

        pod = rows.pod("second")
        plane.tell(None)
        until(lambda: rows.again(pod).phase is Phase.RUNNING, "the second pod runs")
        made = rows.again(pod)
        assert made.hostname == "host1"
        assert made.observed_generation == made.provision_generation == made.schedule_generation == 1

        plane.tell(rows.wish(pod, Wish.STOP, desired=Desired.STOPPED).host_id)
        until(lambda: rows.again(pod).phase is Phase.STOPPED, "it is stopped")
        assert [action.message for action in rows.actions(pod)] == [None, None]
        assert all(action.finished_at for action in rows.actions(pod))

        for each in (pod, first):
            plane.tell(rows.delete(each).host_id)
            until(lambda each=each: not rows.exists(each), "its row is gone")
        assert [action.finished_at is not None for action in rows.actions(pod)] == [True] * 3
        assert rows.usage().containers == rows.usage().memory_mib == 0
        assert rows.host_row().pods_claimed == rows.host_row().cpu_milli_claimed == 0
        with rows.db.read() as tx:
            assert audit.findings(tx, stuck_after_s=0) == []
    finally:
        agent.stop()


def test_a_create_costs_no_more_statements_than_it_may(
    plane: Plane, rows: Rows, tmp_path: pathlib.Path, counter: Counter
) -> None:
    host_id = rows.host("host1")
    agent = Agent(rows, tmp_path / "wire.sock", "host1")
    try:
        warm = rows.pod("warm")
        plane.tell(None)
        until(lambda: rows.again(warm).phase is Phase.RUNNING, "the first pod runs")
        plane.scheduler.stop()  # a pass that nobody asked for would be counted
        plane.provisioner.stop()
        until(lambda: idle(plane.server, host_id), "the agent waits")

        counter.reset()
        pod = rows.pod("counted")
        plane.scheduler.run_once()
        plane.provisioner.make_once()
        until(lambda: counter.commits >= 4, "the report is written")
        made = list(counter.statements)
        assert rows.again(pod).phase is Phase.RUNNING
        assert counter.commits == 4
        assert len(made) <= 13, made  # the agent of this test sends no events: one less than a real one
    finally:
        agent.stop()


def test_pods_that_wait_are_placed_when_their_first_host_comes_up(
    plane: Plane, rows: Rows, tmp_path: pathlib.Path
) -> None:
    rows.host("host1", up=False)
    waiting = [rows.pod(f"early-{number}") for number in range(3)]
    plane.tell(None)
    agent = Agent(rows, tmp_path / "wire.sock", "host1")
    try:
        for pod in waiting:
            until(lambda pod=pod: rows.again(pod).phase is Phase.RUNNING, "it runs on the host that came up")
    finally:
        agent.stop()


def test_a_pod_deleted_before_it_had_a_host_is_gone_at_once(plane: Plane, rows: Rows) -> None:
    pod = rows.pod("nowhere")
    plane.tell(None)
    until(lambda: rows.again(pod).schedule_reason, "no host is said")
    rows.delete(pod)
    plane.tell(None)
    until(lambda: not rows.exists(pod), "its row is gone")
    assert rows.usage().containers == 0
