"""The control plane's clock goes back an hour in the middle of work: nothing waits for it, is lost, or is told in a wrong order.

The agent's side is in ``engine/service/test_bad_days_agent``.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import pytest

from higgins.core import model
from higgins.core.phase import Desired, Phase, Wish
from higgins.provision.audits.housekeeping import Housekeeper
from higgins.provision.loop import Provisioner
from higgins.provision.volumes import Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store import hosts
from higgins.store.agents.desk import Desk
from higgins.store.records import events
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire import contract, hints
from tests.contract.store_rows import Rows, status

HOUR = datetime.timedelta(hours=1)


class Clock:
    """The wall clock of a machine, to be set; it goes a second at each look."""

    def __init__(self) -> None:
        self.now = datetime.datetime.fromisoformat("2030-01-01T12:00:00")

    def __call__(self) -> datetime.datetime:
        self.now += datetime.timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(url: str, clock: Clock) -> Iterator[Database]:
    database = Database(url, clock=clock, durable=False)
    yield database
    database.close()


def step(rows: Rows, pod: str, key: str, verb: str) -> model.StepEvent:
    return model.StepEvent(
        key=key, pod=pod, request_id="req", verb=verb, target=pod, why="it is wanted", started_at=rows.db.now()
    )


def test_wishes_go_on_and_history_stays_in_order(db: Database, clock: Clock, rows: Rows, sealer: Sealer) -> None:
    host_id = rows.host()
    scheduler = Scheduler(db, hints.LocalHints(), interval_s=60)
    provisioner = Provisioner(db, hints.LocalHints(), [Volumes(db)], sealer, interval_s=60)
    desk = Desk(db, sealer)
    old, kept = rows.pod("old"), rows.pod("kept")
    scheduler.run_once()
    provisioner.make_once()
    known = desk.assignments(host_id, 0)
    assert {pod.uuid for pod in known.pods} == {old.uuid, kept.uuid}
    first = step(rows, old.uuid, "1-create", "create")
    told = (contract.PodReport(uuid=pod.uuid, status=status(Phase.RUNNING, 1)) for pod in (old, kept))
    assert desk.report(host_id, contract.Report(number=1, pods=tuple(told), events=(first,)))

    clock.now -= HOUR
    desk.seen([host_id])
    new = rows.pod("new")
    rows.wish(old, Wish.STOP, desired=Desired.STOPPED)
    scheduler.run_once()
    provisioner.make_once()
    news = desk.assignments(host_id, known.revision)
    assert {pod.uuid for pod in news.pods} == {old.uuid, new.uuid}
    second = step(rows, old.uuid, "2-stop", "stop")
    ends = ((old, Phase.STOPPED, 2), (new, Phase.RUNNING, 1))
    told = (contract.PodReport(uuid=pod.uuid, status=status(phase, number)) for pod, phase, number in ends)
    assert desk.report(host_id, contract.Report(number=2, pods=tuple(told), events=(second,)))
    assert not desk.report(host_id, contract.Report(number=1)), "an old report is old whatever the clock says"

    assert second.started_at < first.started_at
    with db.read() as tx:
        assert [event.verb for event in events.list(tx, old.uuid)] == ["create", "stop"]
        assert [event.verb for event in events.list(tx, old.uuid, limit=1)] == ["stop"]
        assert audit.findings(tx, stuck_after_s=0) == []
    assert [(action.action, action.message) for action in rows.actions(old)] == [("stop", None), ("create", None)]
    assert all(action.finished_at for action in rows.actions(old))
    assert rows.again(old).phase is Phase.STOPPED
    assert rows.again(kept).phase is Phase.RUNNING


def test_a_host_is_judged_by_the_new_time_once_it_is_heard_of(db: Database, clock: Clock, rows: Rows) -> None:
    host_id = rows.host()
    clock.now -= HOUR
    assert rows.host_row().is_up(db.now(), 60)
    with db.write() as tx:
        hosts.seen(tx, [host_id])
    assert rows.host_row().is_up(db.now(), 60)
    clock.now += datetime.timedelta(minutes=2)
    assert not rows.host_row().is_up(db.now(), 60)


def test_housekeeping_ends_nothing_too_early(db: Database, clock: Clock, rows: Rows) -> None:
    pod = rows.pod("web")
    clock.now -= HOUR
    keeper = Housekeeper(db, hints.LocalHints())
    assert keeper.run_once() is None
    assert len(rows.actions(pod)) == 1
    assert rows.actions(pod)[0].finished_at is None
