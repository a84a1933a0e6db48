"""Users, two controllers and two hosts at once on one MariaDB: its locks and deadlocks are nobody's error, and the count is right."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from higgins.control.means import Means
from higgins.control.requests import NewContainer
from higgins.control.service import build
from higgins.control.settings import Settings
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.core.phase import Phase
from higgins.policy.enforce import Policy
from higgins.provision.loop import Provisioner
from higgins.provision.volumes import Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store.agents.desk import Desk
from higgins.store.quotas import Limits
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire.server import Server
from tests.contract.loops.test_wish_path import Agent, Plane
from tests.contract.store_rows import Rows, until

USERS, ROUNDS = 6, 6


class Replica(Plane):
    """A controller beside another: what that one did, it finds out by looking."""

    def __init__(self, db: Database, sealer: Sealer, socket: pathlib.Path) -> None:
        super().__init__(db, sealer, socket)
        self.scheduler = Scheduler(db, self.hints, interval_s=1)
        self.provisioner = Provisioner(db, self.hints, [Volumes(db)], sealer, interval_s=1)
        self.server = Server(Desk(db, sealer), self.hints, f"unix:{socket}", sweep_s=0.5)


@pytest.fixture
def planes(url: str, sealer: Sealer, rows: Rows, tmp_path: pathlib.Path) -> Iterator[list[Plane]]:
    """Two controllers, each with connections of its own and the agent of one host."""
    with contextlib.ExitStack() as ends:
        made = []
        for number in (1, 2):
            db = Database(url)
            ends.callback(db.close)
            rows.host(f"host{number}")
            plane = Replica(db, sealer, tmp_path / f"{number}.sock")
            plane.start()
            ends.callback(plane.stop)
            agent = Agent(rows, tmp_path / f"{number}.sock", f"host{number}")
            ends.callback(agent.stop)
            made.append(plane)
        yield made


def test_nothing_is_lost_stuck_or_counted_wrong(planes: list[Plane], rows: Rows, url: str, sealer: Sealer) -> None:
    db = Database(url)
    with db.write() as tx:
        installed = installation.ensure(tx, sealer)

    def tell(host_id: int | None, *, straight: bool = False) -> None:
        for plane in planes:
            plane.tell(host_id, straight=straight)

    limits = Settings(quota=Limits(containers=-1, cpu=-1, memory=-1, disk=-1))
    means = Means(db=db, sealer=sealer, policy=Policy(), hint=tell, installation=installed, settings=limits)
    control = build(means, None)  # type: ignore[arg-type]  # nobody is asked a live question
    refused: Counter[str] = Counter()

    def tried(work) -> object:
        """Work that a user asks for anew when the answer is 503, which is counted."""
        while True:
            try:
                return work()
            except errors.Unavailable as busy:
                refused[busy.message] += 1

    def live(number: int) -> int:
        def who() -> Caller:
            return Caller(
                user_id="u", project_id="project", roles=frozenset({"member"}), request_id=f"req-{uuid.uuid4()}"
            )

        for turn in range(ROUNDS):
            asked = NewContainer(image="busybox", name=f"c-{number}-{turn}", cpu=0.1, memory_mib=16)
            pod = tried(lambda asked=asked: control.containers.create(who(), asked, run=True))
            until(lambda pod=pod: rows.again(pod).phase is Phase.RUNNING, "it runs")
            tried(lambda pod=pod: control.containers.stop(who(), pod.uuid, timeout_s=0))
            tried(lambda pod=pod: control.containers.delete(who(), pod.uuid, stop=True))
            until(lambda pod=pod: not rows.exists(pod), "it is gone")
        return ROUNDS

    with concurrent.futures.ThreadPoolExecutor(USERS) as pool:
        assert sum(pool.map(live, range(USERS))) == USERS * ROUNDS
    assert refused == Counter()
    assert (rows.usage().containers, rows.usage().memory_mib) == (0, 0)
    for host in ("host1", "host2"):
        assert (rows.host_row(host).pods_claimed, rows.host_row(host).cpu_milli_claimed) == (0, 0)
    with rows.db.read() as tx:
        assert audit.findings(tx, stuck_after_s=0) == []
    db.close()


def test_connections_that_the_server_ends_are_made_anew(planes: list[Plane], rows: Rows, url: str) -> None:
    def cut() -> None:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            for number in connection.exec_driver_sql(
                "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            ).scalars():
                with contextlib.suppress(sa.exc.DBAPIError):  # ended by itself meanwhile
                    connection.exec_driver_sql(f"KILL {number}")
        engine.dispose()

    for turn in range(3):
        pod = rows.pod(f"cut-{turn}")
        cut()
        for plane in planes:
            plane.tell(None)
        until(lambda pod=pod: rows.again(pod).phase is Phase.RUNNING, "it runs all the same", 40)
