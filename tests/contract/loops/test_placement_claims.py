"""Two controllers claim room at Placement for one pod: what the second has taken is not given back by the first."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

from higgins.cloud.placement import Placement
from higgins.core import errors
from higgins.scheduler.loop import Scheduler
from higgins.scheduler.placement import PlacementClaims
from higgins.store import hosts, pods
from higgins.store.claims import Ratios
from higgins.store.loops import ledger
from higgins.store.loops.holds import Holder
from higgins.store.session import Database, utc_now
from higgins.wire.hints import LocalHints
from tests.contract.store_rows import Rows


@dataclasses.dataclass
class Allocations:
    """Placement with room on one host. ``meanwhile`` happens once, while it is asked to give some of it."""

    host: str
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    meanwhile: Callable[[], object] | None = None

    def call(self, method: str, path: str, *, body: object = None, **_: Any) -> Any:
        consumer = path.rpartition("/")[2]
        if path == "/allocation_candidates":
            return {"allocation_requests": [{"allocations": {self.host: {}}}]}
        if path == "/resource_providers":
            return {"resource_providers": [{"uuid": self.host, "name": "host1", "generation": 1}]}
        if method == "GET":
            return self.given.get(consumer, {"allocations": {}})
        if method == "DELETE":
            return self.given.pop(consumer, None)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        if consumer in self.given:
            raise errors.Conflict("consumer generation conflict")
        self.given[consumer] = body
        return None


def one_pass(db: Database, outside: Allocations, name: str) -> None:
    holder = Holder(name)
    keeper = PlacementClaims(db, Ratios(), Placement(outside), "installation", holder)
    Scheduler(db, LocalHints(), keeper=keeper, holder=holder).run_once()


def kinds(rows: Rows, pod: pods.Pod) -> list[tuple[str, bool]]:
    with rows.db.read() as tx:
        return [(one.kind, one.made_at is not None) for one in ledger.of(tx, [pod.uuid]).get(pod.uuid, [])]


def test_a_controller_whose_hold_ran_out_gives_nothing_back_of_who_has_placed_the_pod(
    db: Database, rows: Rows, url: str
) -> None:
    host_id, pod = rows.host(), rows.pod("web")
    later = Database(url, clock=lambda: utc_now() + datetime.timedelta(minutes=6), durable=False)
    with later.write() as tx:
        hosts.seen(tx, [host_id])
    outside = Allocations(rows.host_row().uuid)
    outside.meanwhile = lambda: one_pass(later, outside, "second")
    one_pass(db, outside, "first")
    later.close()
    assert (rows.again(pod).host_id, list(outside.given)) == (host_id, [pod.uuid])
    assert kinds(rows, pod) == [("allocation", True)]


def test_what_was_taken_for_a_pod_that_was_deleted_meanwhile_is_given_back(db: Database, rows: Rows) -> None:
    rows.host()
    pod = rows.pod("web")
    outside = Allocations(rows.host_row().uuid)
    outside.meanwhile = lambda: rows.delete(pod)
    one_pass(db, outside, "first")
    assert (outside.given, kinds(rows, pod)) == ({}, [])
    with db.write() as tx:
        assert Holder("second").take(tx, pod.id, 2), "it is held no more"
