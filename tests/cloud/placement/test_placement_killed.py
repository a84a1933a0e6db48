"""The controller killed (SIGKILL) before every statement, after every commit and around every call to Placement: each pod has its own, once."""

from __future__ import annotations

import os
import signal
import traceback

from higgins.cloud.placement import MICROVERSION, Placement
from higgins.provision.allocations import Allocations
from higgins.provision.loop import Provisioner
from higgins.scheduler.loop import Scheduler
from higgins.scheduler.placement import PlacementClaims
from higgins.store import hosts
from higgins.store.loops import ledger
from higgins.store.loops.holds import Holder
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire import hints
from tests.cloud.cloud_world import Cloud
from tests.cloud.placement.placement_world import RATIOS, SEALER, Watched, World, logged_in

_MOST_POINTS = 60


class AfterTheClaim:
    """Kills its own process when Placement has given the room and before that is known."""

    def statement(self, sql: str) -> None:
        pass

    def commit(self) -> None:
        pass

    def call(self, said: str, done: bool) -> None:
        if done and said == "PUT /allocations":
            os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """Kills its own process at the given point."""

    def __init__(self, point: int) -> None:
        self._left = point

    def statement(self, sql: str) -> None:
        self._count()

    def commit(self) -> None:
        self._count()

    def call(self, said: str, done: bool) -> None:
        self._count()

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def passes(db: Database, placement: Placement, installation: str) -> None:
    local, again = hints.LocalHints(), Holder("controller")
    keeper = PlacementClaims(db, RATIOS, placement, installation, again)
    Scheduler(db, local, ratios=RATIOS, keeper=keeper, holder=again).run_once()
    provisioner = Provisioner(db, local, [Allocations(placement)], SEALER, holder=again)
    provisioner.make_once()
    provisioner.take_back_once()


def killed_at(ours: World, password: str, killer: Killer | AfterTheClaim) -> bool:
    """Whether a process that does the passes was killed; false when it came to their end, and no other end is one."""
    child = os.fork()
    if child == 0:
        try:
            watched = Watched(logged_in(password).service("placement", "Placement", microversion=MICROVERSION))
            watched.cut = killer.call
            passes(Database(ours.url, observer=killer, durable=False), Placement(watched), ours.installation)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, ended = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(ended)
    assert status in (0, -signal.SIGKILL)
    return status == -signal.SIGKILL


def test_killed_at_every_point_a_pod_takes_its_own_once(ours: World, cloud: Cloud) -> None:
    password = (cloud.place / "secret" / "higgins").read_text().strip()
    host_id = ours.rows.host(cpus=64, memory_mib=64 * 1024)
    ours.publish()
    leaving = ours.rows.pod("leaving-0")
    points = 0
    for point in range(1, _MOST_POINTS):
        with ours.db.write() as tx:
            hosts.seen(tx, [host_id])
        ours.rows.delete(leaving)  # it never had a host, but may have been claimed for
        pair = [ours.rows.pod(f"coming-{point}-{number}") for number in range(2)]
        ours.db.close()  # a connection must not live on in a child

        killed = killed_at(ours, password, Killer(point))

        if point % 2:  # half of them are wanted no more when the controller comes back
            ours.rows.delete(ours.rows.again(pair[1]))
        for _ in range(2):
            passes(ours.db, ours.placement, ours.installation)
        assert ours.rows.again(pair[0]).hostname == "host1"
        with ours.db.read() as tx:
            assert [one for one in audit.findings(tx) if one.kind != "stuck"] == []
        there = {one.uuid for one in pair if ours.rows.exists(one) and ours.rows.again(one).host_id is not None}
        assert there <= set(ours.taken())
        if not killed:
            break
        leaving = ours.rows.pod(f"leaving-{point}")
        points = point
    assert 10 < points < _MOST_POINTS - 1
    with ours.db.read() as tx:
        known = {entry.pod_uuid for entry in ledger.every(tx, ["allocation"])}
    assert set(ours.taken()) == known


def test_killed_after_the_claim_on_a_host_with_room_for_one(ours: World, cloud: Cloud) -> None:
    password = (cloud.place / "secret" / "higgins").read_text().strip()
    ours.rows.host(memory_mib=612)  # 100 of it reserved
    ours.publish()
    pod = ours.rows.pod("web", memory_mib=512)
    ours.db.close()  # a connection must not live on in a child
    assert killed_at(ours, password, AfterTheClaim())
    assert set(ours.taken()) == {pod.uuid}
    passes(ours.db, ours.placement, ours.installation)
    assert ours.rows.again(pod).hostname == "host1"
    assert ours.rows.again(pod).provision_generation == 1
    assert set(ours.taken()) == {pod.uuid}
