"""Provisioning's passes: the outside is asked once, answers late or never, and everything is taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest
from store_rows import EVERYBODY, Rows, status

from higgins.core import errors, model
from higgins.core.phase import Desired, Phase, Wish
from higgins.provision.housekeeping import Housekeeper
from higgins.provision.kinds import Kind, Volumes
from higgins.provision.loop import Provisioner
from higgins.provision.plan import Want
from higgins.scheduler.loop import Scheduler
from higgins.store import pods
from higgins.store.loops import ledger
from higgins.store.records import volumes
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire import hints


@dataclasses.dataclass
class Outside:
    """A kind of thing of which every pod wants one; raises what a test puts into ``fault``, before or after it has done what it was asked."""

    name: str = "port"
    fault: Exception | None = None
    fault_after: bool = False
    there: set[str] = dataclasses.field(default_factory=set)

    def wanted_by(self, pod: pods.Pod) -> Iterable[Want]:
        yield Want(kind=self.name, key=pod.uuid, why="the pod is on a network")

    def make(self, pod: pods.Pod, key: str) -> str:
        self._fail(late=False)
        self.there.add(key)
        self._fail(late=True)
        return f"port of {key}"

    def take_back(self, pod: pods.Pod, key: str, external_id: str | None) -> None:
        self._fail(late=False)
        self.there.discard(key)
        self._fail(late=True)

    def _fail(self, *, late: bool) -> None:
        if self.fault is not None and late == self.fault_after:
            raise self.fault


def provisioner(db: Database, *kinds: Kind) -> Provisioner:
    return Provisioner(db, hints.LocalHints(), [Volumes(db), *kinds])


def placed(rows: Rows, name: str = "web", **changes: object) -> pods.Pod:
    pod = rows.pod(name, **changes)
    Scheduler(rows.db, hints.LocalHints()).run_once()
    return rows.again(pod)


def entries(rows: Rows, pod: pods.Pod) -> list[ledger.Entry]:
    with rows.db.read() as tx:
        return ledger.of(tx, [pod.uuid]).get(pod.uuid, [])


def gone(rows: Rows, pod: pods.Pod, number: int = 1) -> None:
    rows.delete(pod)
    assert pod.host_id is not None
    assert rows.report(pod.host_id, number, (pod, status(Phase.GONE, 2)))


def test_what_a_pod_needs_is_made_noted_and_taken_back(db: Database, rows: Rows) -> None:
    rows.host()
    pod = placed(rows)
    outside = Outside()
    loop = provisioner(db, outside)
    loop.make_once()
    assert rows.again(pod).provision_generation == 1
    [entry] = entries(rows, pod)
    assert (entry.external_id, entry.made_at is not None) == (f"port of {pod.uuid}", True)
    gone(rows, pod)
    loop.take_back_once()
    assert (outside.there, entries(rows, pod), rows.exists(pod)) == (set(), [], False)
    with db.read() as tx:
        assert audit.findings(tx, stuck_after_s=-1) == []


@pytest.mark.parametrize("after", [False, True])
def test_an_outside_that_fails_for_now_is_asked_again(db: Database, rows: Rows, after: bool) -> None:
    rows.host()
    pod = placed(rows)
    outside = Outside(fault=errors.Unavailable("Neutron does not answer."), fault_after=after)
    again_s = provisioner(db, outside).make_once()
    assert again_s is not None
    assert rows.again(pod).provision_generation == 0
    [entry] = entries(rows, pod)
    assert entry.made_at is None
    outside.fault = None
    provisioner(db, outside).make_once()
    assert rows.again(pod).provision_generation == 1
    assert outside.there == {pod.uuid}


def test_one_that_fails_is_put_off_and_others_go_on(db: Database, rows: Rows) -> None:
    rows.host()
    first = placed(rows, "first")
    outside = Outside(fault=errors.Unavailable("not now"))
    loop = provisioner(db, outside)
    loop.make_once()
    outside.fault = None
    second = placed(rows, "second")
    loop.make_once()
    assert (rows.again(first).provision_generation, rows.again(second).provision_generation) == (0, 1)


def test_an_outside_that_refuses_fails_the_wish_with_its_reason(db: Database, rows: Rows) -> None:
    rows.host()
    pod = placed(rows)
    assert provisioner(db, Outside(fault=errors.Invalid("The subnet is full."))).make_once() is None
    now = rows.again(pod)
    assert (now.provision_generation, now.provision_reason) == (1, "The subnet is full.")
    assert [action.reason for action in rows.actions(pod)] == ["The subnet is full."]


@pytest.mark.parametrize("after", [False, True])
def test_a_row_stays_until_the_outside_has_everything_back(db: Database, rows: Rows, after: bool) -> None:
    rows.host()
    pod = placed(rows)
    outside = Outside()
    provisioner(db, outside).make_once()
    gone(rows, pod)
    outside.fault, outside.fault_after = errors.Timeout("late"), after
    assert provisioner(db, outside).take_back_once() is not None
    assert rows.exists(pod)
    assert rows.usage().containers == 1
    outside.fault = None
    provisioner(db, outside).take_back_once()
    assert not rows.exists(pod)
    assert (outside.there, rows.usage().containers) == (set(), 0)


def test_something_asked_for_and_never_confirmed_is_taken_back_too(db: Database, rows: Rows) -> None:
    rows.host()
    pod = placed(rows)
    outside = Outside(fault=errors.Unavailable("gone in between"), fault_after=True)
    provisioner(db, outside).make_once()
    outside.fault = None
    gone(rows, pod)
    provisioner(db, outside).take_back_once()
    assert (outside.there, rows.exists(pod)) == (set(), False)


def test_a_local_volume_is_bound_and_its_record_goes_with_its_pod(db: Database, rows: Rows) -> None:
    host_id = rows.host()
    new = rows.new("web")
    with db.write() as tx:
        own = volumes.insert(tx, project_id="project", pod_uuid=new.uuid)
        kept = volumes.insert(tx, project_id="project", name="data")
    mounts = tuple(model.Mount(destination=f"/{one.uuid}", volume=one.uuid) for one in (own, kept))
    pod = placed(rows, uuid=new.uuid, container={"mounts": mounts})
    loop = provisioner(db)
    loop.make_once()
    with db.read() as tx:
        assert {one.host_id for one in volumes.of(tx, [own.uuid, kept.uuid]).values()} == {host_id}
    gone(rows, pod)
    loop.take_back_once()
    with db.read() as tx:
        assert list(volumes.of(tx, [own.uuid, kept.uuid])) == [kept.uuid]
        assert volumes.get(tx, "data", EVERYBODY).host_id == host_id


def test_a_volume_whose_record_is_gone_fails_the_wish(db: Database, rows: Rows) -> None:
    rows.host()
    missing = "00000000-0000-4000-8000-000000000000"
    pod = placed(rows, container={"mounts": (model.Mount(destination="/d", volume=missing),)})
    provisioner(db).make_once()
    assert missing in str(rows.again(pod).provision_reason)


def test_an_ended_pod_that_removes_itself_is_taken_away(db: Database, rows: Rows) -> None:
    host_id = rows.host()
    pod = placed(rows, auto_remove=True)
    kept = placed(rows, "kept")
    loop = provisioner(db)
    loop.make_once()
    rows.report(host_id, 1, (pod, status(Phase.GONE, 1)), (kept, status(Phase.GONE, 1)))
    loop.take_back_once()
    assert not rows.exists(pod)
    assert rows.exists(kept)
    [action] = rows.actions(pod)
    assert (action.finished_at is not None, action.message) == (True, None)


def test_a_pod_that_removes_itself_stays_when_a_newer_wish_came(db: Database, rows: Rows) -> None:
    host_id = rows.host()
    pod = placed(rows, auto_remove=True)
    rows.wish(pod, Wish.START, desired=Desired.RUNNING, new_run=True)
    rows.report(host_id, 1, (pod, status(Phase.GONE, 1)))
    provisioner(db).take_back_once()
    assert rows.exists(pod)


def test_a_wish_that_was_overtaken_by_the_delete_says_so(db: Database, rows: Rows) -> None:
    pod = rows.pod("web")
    rows.delete(pod)
    provisioner(db).take_back_once()
    delete, create = rows.actions(pod)
    assert (delete.message, create.message) == (None, "Error")
    assert "removed before" in str(create.reason)


def test_housekeeping_goes_its_round(db: Database, rows: Rows) -> None:
    pod = rows.pod("web")
    rows.delete(pod)
    provisioner(db).take_back_once()
    keeper = Housekeeper(db, hints.LocalHints(), history_days=-1)
    assert keeper.run_once() == 0.0
    assert keeper.run_once() is None
    assert rows.actions(pod) == []
