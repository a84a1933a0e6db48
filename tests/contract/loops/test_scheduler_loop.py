"""The scheduler's passes over a real database: claims that hold under races, and reasons a person can act on."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import threading
import uuid as uuids
from collections.abc import Callable

import pytest

from higgins.core import errors, model
from higgins.core.phase import Desired, Wish
from higgins.scheduler import claims as claiming
from higgins.scheduler.loop import Scheduler
from higgins.store import claims, hosts
from higgins.store.loops import scheduling
from higgins.store.loops.holds import Holder
from higgins.store.loops.scheduling import Placement
from higgins.store.records import volumes
from higgins.store.session import Database, utc_now
from higgins.store.upkeep import audit
from higgins.wire import hints
from tests.contract.store_rows import Rows

Clock = Callable[[], datetime.datetime]


def scheduler(db: Database, **given: object) -> Scheduler:
    return Scheduler(db, hints.LocalHints(), **given)  # type: ignore[arg-type]


def at(db: Database, url: str, later_s: float) -> Database:
    """The same database with a clock that is ahead."""
    return Database(url, clock=lambda: utc_now() + datetime.timedelta(seconds=later_s), durable=False)


def test_pods_spread_over_hosts_within_their_room(db: Database, rows: Rows) -> None:
    for name in ("host1", "host2"):
        rows.host(name, memory_mib=1024)
    made = [rows.pod(f"pod-{number}", memory_mib=512) for number in range(7)]
    assert scheduler(db).run_once() is None
    placed = [rows.again(pod) for pod in made]
    assert sorted(str(pod.hostname) for pod in placed) == ["None"] + ["host1"] * 3 + ["host2"] * 3
    [refused] = [pod for pod in placed if pod.host_id is None]
    assert refused.schedule_reason == "There are not enough hosts available. Of 2 hosts: 2 without enough memory."
    [action] = rows.actions(refused)
    assert (action.message, action.reason) == ("Error", refused.schedule_reason)
    assert rows.host_row("host1").memory_mib_claimed == 3 * 512


def test_a_refused_pod_is_tried_again_with_the_next_wish(db: Database, rows: Rows) -> None:
    pod = rows.pod("web")
    loop = scheduler(db)
    loop.run_once()
    assert "No host has been enrolled" in str(rows.again(pod).schedule_reason)
    rows.host()
    loop.run_once()
    assert rows.again(pod).host_id is None
    rows.wish(pod, Wish.START, desired=Desired.RUNNING, new_run=True)
    loop.run_once()
    assert rows.again(pod).hostname == "host1"
    assert rows.again(pod).schedule_reason is None


def test_a_first_host_is_waited_for_until_the_deadline(db: Database, rows: Rows, url: str) -> None:
    rows.host(up=False)
    pod = rows.pod("web")
    assert scheduler(db, first_host_s=60).run_once() is not None
    assert rows.again(pod).schedule_generation == 0
    late = at(db, url, 61)
    assert scheduler(late, first_host_s=60).run_once() is None
    late.close()
    assert rows.again(pod).schedule_reason == "There are not enough hosts available. Of 1 host: 1 down."


def test_a_wish_from_a_machine_whose_clock_is_ahead_waits_for_its_first_host_too(
    db: Database, rows: Rows, url: str
) -> None:
    rows.host(up=False)
    pod = rows.pod("web")
    behind, far_behind = at(db, url, -5), at(db, url, -3600)
    assert scheduler(behind, first_host_s=60).run_once() is not None
    assert rows.again(pod).schedule_generation == 0
    assert scheduler(far_behind, first_host_s=60).run_once() is None
    behind.close()
    far_behind.close()
    assert rows.again(pod).schedule_generation == 1


@pytest.mark.parametrize("deleted", [False, True])
def test_pods_that_wait_do_not_stand_before_those_that_can_be_placed(
    db: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch, deleted: bool
) -> None:
    monkeypatch.setattr("higgins.threads.pauses._AT_MOST", 2)
    rows.host("host1")
    rows.host("away", up=False)
    for number in range(5):
        uuid = str(uuids.uuid4())
        spec = dataclasses.replace(rows.spec(uuid, f"old-{number}"), requested_host="away")
        old = rows.pod(f"old-{number}", uuid=uuid, spec=spec)
        if deleted:
            rows.wish(old, Wish.DELETE, desired=Desired.DELETED)
    new = rows.pod("new")
    loop = scheduler(db, first_host_s=3600)
    for _ in range(5):
        loop.run_once()
    assert rows.again(new).hostname == "host1"


def test_a_full_host_is_not_waited_for(db: Database, rows: Rows) -> None:
    rows.host(cpus=1, memory_mib=100)
    pod = rows.pod("web", memory_mib=200)
    assert scheduler(db).run_once() is None
    assert "without enough memory" in str(rows.again(pod).schedule_reason)


def test_dedicated_processors_are_counted_apart(db: Database, rows: Rows) -> None:
    host_id = rows.host(cpus=4, dedicated_cpus=3)
    loop = Scheduler(db, hints.LocalHints(), ratios=claims.Ratios(cpu=1.0))
    own = [rows.pod(f"own-{number}", cpu_milli=2000, dedicated_cpus=2) for number in range(2)]
    shared = [rows.pod(f"shared-{number}", cpu_milli=600) for number in range(2)]
    loop.run_once()
    placed = [pod.name for pod in map(rows.again, (*own, *shared)) if pod.host_id == host_id]
    assert placed == ["own-0", "shared-0"]
    assert "without enough dedicated processors" in str(rows.again(own[1]).schedule_reason)
    assert "without enough processors" in str(rows.again(shared[1]).schedule_reason)
    host = rows.host_row()
    assert (host.cpu_milli_claimed, host.dedicated_cpus_claimed) == (2600, 2)
    with db.read() as tx:
        assert audit.findings(tx) == []


def test_a_race_for_dedicated_processors_has_one_winner(db: Database, rows: Rows) -> None:
    host_id = rows.host(cpus=4, dedicated_cpus=3)
    first, second = (rows.pod(name, cpu_milli=2000, dedicated_cpus=2) for name in ("first", "second"))
    heard_after = utc_now() - datetime.timedelta(minutes=1)
    with db.write() as tx:
        scheduling.place(tx, [Placement(first, host_id)], claims.Ratios(), heard_after=heard_after)
    with pytest.raises(errors.OutOfCapacity), db.write() as tx:
        scheduling.place(tx, [Placement(second, host_id)], claims.Ratios(), heard_after=heard_after)
    assert rows.host_row().dedicated_cpus_claimed == 2


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda tx: hosts.disable(tx, "host1"), "disabled"),
        (lambda tx: hosts.force_down(tx, "host1", True), "down"),
    ],
)
def test_a_host_spoilt_after_it_was_read_gets_nothing(db: Database, rows: Rows, spoil: object, word: str) -> None:
    rows.host()
    loop = scheduler(db, first_host_s=0)
    loop.run_once()
    with db.write() as tx:
        spoil(tx)  # type: ignore[operator]
    pod = rows.pod("web")
    loop.run_once()
    assert word in str(rows.again(pod).schedule_reason)
    assert rows.host_row().pods_claimed == 0


def test_a_pod_goes_where_its_volume_is(db: Database, rows: Rows) -> None:
    rows.host("host1")
    home = rows.host("host2")
    with db.write() as tx:
        volume = volumes.insert(tx, project_id="project", name="data")
        volumes.bind(tx, volume.uuid, home)
    mounts = (model.Mount(destination="/data", volume=volume.uuid),)
    made = [rows.pod(f"pod-{number}", container={"mounts": mounts}) for number in range(4)]
    scheduler(db).run_once()
    assert {rows.again(pod).hostname for pod in made} == {"host2"}


def test_a_pod_changed_while_it_is_placed_does_not_hold_up_the_others(db: Database, rows: Rows) -> None:
    host_id = rows.host()
    stale, fine, gone = (rows.pod(name) for name in ("stale", "fine", "gone"))
    rows.wish(stale, Wish.UPDATE)
    rows.delete(gone)
    placements = [Placement(pod, host_id) for pod in (stale, fine, gone)]
    held = claiming.claim(db, placements, claims.Ratios(), heard_after=fine.created_at.min)
    assert [placement.pod.uuid for placement in held] == [fine.uuid]
    assert rows.again(gone).host_id is None
    with db.read() as tx:
        assert audit.findings(tx) == []


def test_racing_schedulers_never_promise_more_than_there_is(db: Database, rows: Rows, url: str) -> None:
    rows.host(memory_mib=1000)
    made = [rows.pod(f"pod-{number}", memory_mib=100) for number in range(40)]
    replicas = [Database(url, durable=False) for _ in range(4)]
    gate = threading.Barrier(len(replicas))

    def run(replica: Database) -> None:
        gate.wait(60)
        loop = scheduler(replica)
        while loop.run_once() is not None:
            pass

    with concurrent.futures.ThreadPoolExecutor(len(replicas)) as threads:
        list(threads.map(run, replicas))
    for replica in replicas:
        replica.close()
    placed = [pod for pod in made if rows.again(pod).host_id is not None]
    assert len(placed) == 15
    assert rows.host_row().memory_mib_claimed == 1500
    assert all(rows.again(pod).schedule_reason for pod in made if pod not in placed)
    with db.read() as tx:
        assert audit.findings(tx) == []


def test_thirty_two_pods_at_once_are_one_claim(db: Database, rows: Rows, counter: object) -> None:
    rows.host(cpus=64, memory_mib=64 * 1024)
    made = [rows.pod(f"pod-{number}") for number in range(32)]
    counter.reset()  # type: ignore[attr-defined]
    scheduler(db).run_once()
    assert counter.commits == 1  # type: ignore[attr-defined]
    assert all(rows.again(pod).hostname == "host1" for pod in made)


def test_giving_up_on_an_old_reading_changes_nothing(db: Database, rows: Rows) -> None:
    pod = rows.pod("web")
    rows.wish(pod, Wish.UPDATE)
    with db.write() as tx:
        scheduling.give_up(tx, pod, "No host.", Holder())
    assert rows.again(pod).schedule_reason is None
    assert [action.finished_at for action in rows.actions(pod)] == [None, None]


def test_a_claim_needs_room_and_a_host_that_is_heard_of(db: Database, rows: Rows) -> None:
    host_id = rows.host(memory_mib=100, disk_gib=0)
    small = rows.pod("small", memory_mib=150)
    big = rows.pod("big", memory_mib=151)
    no_disk = rows.pod("disk", memory_mib=1, disk_gib=1)
    never, ever = datetime.datetime(2999, 1, 1), small.created_at.min  # noqa: DTZ001 - as in the database
    for pod, heard_after in ((big, ever), (no_disk, ever), (small, never)):
        with pytest.raises(errors.OutOfCapacity), db.write() as tx:
            scheduling.place(tx, [Placement(pod, host_id)], claims.Ratios(), heard_after=heard_after)
    with db.write() as tx:
        scheduling.place(tx, [Placement(small, host_id)], claims.Ratios(), heard_after=ever)
    assert dataclasses.asdict(rows.host_row())["memory_mib_claimed"] == 150
