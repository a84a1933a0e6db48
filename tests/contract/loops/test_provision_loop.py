"""Provisioning's passes: the outside is asked once, answers late or never, and everything is taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest

from higgins.core import errors, model
from higgins.core.phase import Desired, Phase, Wish
from higgins.core.status import Status, derive
from higgins.provision.audits.housekeeping import Housekeeper
from higgins.provision.kinds import Kind, Made, Task
from higgins.provision.loop import Provisioner
from higgins.provision.plan import Want
from higgins.provision.volumes import Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store import pods
from higgins.store.loops import ledger
from higgins.store.records import volumes
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire import hints
from tests.contract.store_rows import EVERYBODY, Rows, status, until


@dataclasses.dataclass
class Outside:
    """A kind of thing of which every pod wants one, or those in ``keys``; raises what a test puts into ``fault``, before or after it has done
    what it was asked, for all pods or the ``faulty`` one. ``told`` holds every call in order.
    """

    name: str = "port"
    stage: int = 1
    fault: Exception | None = None
    fault_after: bool = False
    faulty: str | None = None
    keys: tuple[str, ...] | None = None
    shape: str = ""
    there: set[str] = dataclasses.field(default_factory=set)
    told: list[str] = dataclasses.field(default_factory=list)
    seen: list[Task] = dataclasses.field(default_factory=list)

    def wanted_by(self, pod: pods.Pod) -> Iterable[Want]:
        for key in (pod.uuid,) if self.keys is None else self.keys:
            yield Want(kind=self.name, key=key, why="the pod is on a network", shape=self.shape)

    def make(self, task: Task) -> Made:
        self.seen.append(task)
        self.told.append(f"make {self.name} {task.key}")
        self._fail(task, late=False)
        self.there.add(task.key)
        self._fail(task, late=True)
        return Made(external_id=f"port of {task.key}", data='"open"', secret=b"hidden")

    def take_back(self, task: Task) -> None:
        self.told.append(f"take back {self.name} {task.key}")
        self._fail(task, late=False)
        self.there.discard(task.key)
        self._fail(task, late=True)

    def _fail(self, task: Task, *, late: bool) -> None:
        if self.fault is not None and late == self.fault_after and self.faulty in (None, task.pod.uuid):
            raise self.fault


SEALER = Sealer(bytes(range(32)))


def provisioner(db: Database, *kinds: Kind, at_once: int = 0) -> Provisioner:
    return Provisioner(db, hints.LocalHints(), [Volumes(db), *kinds], SEALER, at_once=at_once)


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
    outside = Outside(fault=errors.Unavailable("Neutron does not answer."), faulty=first.uuid)
    loop = provisioner(db, outside)
    assert loop.make_once() is not None
    second = placed(rows, "second")
    loop.make_once()
    assert rows.again(first).provision_reason == "Neutron does not answer."
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


@pytest.mark.parametrize("auto_remove", [False, True])
def test_what_holds_up_the_end_of_a_pod_is_told(db: Database, rows: Rows, auto_remove: bool) -> None:
    rows.host()
    pod = placed(rows, auto_remove=auto_remove)
    outside = Outside()
    provisioner(db, outside).make_once()
    if auto_remove:
        assert pod.host_id is not None
        rows.report(pod.host_id, 1, (pod, status(Phase.GONE, 1)))
    else:
        gone(rows, pod)
    outside.fault = errors.Invalid("Cinder refuses: the volume has snapshots.")
    provisioner(db, outside).take_back_once()
    shown = derive(rows.again(pod))
    assert shown.status is (Status.ERROR if auto_remove else Status.DELETED)
    assert shown.reason == "Cinder refuses: the volume has snapshots."
    outside.fault = None
    provisioner(db, outside).take_back_once()
    assert not rows.exists(pod)


def test_what_holds_up_the_end_of_a_pod_without_a_host_is_told(db: Database, rows: Rows) -> None:
    pod = rows.pod("web")
    with db.write() as tx:
        ledger.ask(tx, pod.uuid, [ledger.Asked(kind="port", key=pod.uuid)], host_id=None)
    rows.delete(pod)
    provisioner(db, Outside(fault=errors.Unavailable("Placement does not answer."))).take_back_once()
    assert derive(rows.again(pod))[::2] == (Status.DELETING, "Placement does not answer.")


@pytest.mark.parametrize("at_once", [0, 2])
def test_the_unforeseen_has_a_pause_a_reason_and_a_deadline(db: Database, rows: Rows, at_once: int) -> None:
    rows.host()
    pod = placed(rows)
    outside = Outside(fault=KeyError("status"))
    loop = provisioner(db, outside, at_once=at_once)
    loop.make_once()
    until(lambda: "(KeyError)" in str(rows.again(pod).provision_reason), "the reason")
    loop.stop()
    assert loop._making.next_s() is not None
    Provisioner(db, hints.LocalHints(), [outside], SEALER, deadline_s=0).make_once()
    now = rows.again(pod)
    assert (now.provision_generation, [action.message for action in rows.actions(pod)]) == (1, ["Error"])
    gone(rows, pod)
    loop = provisioner(db, outside)
    assert loop.take_back_once() is not None
    assert "(KeyError)" in str(derive(rows.again(pod)).reason)


def test_a_wish_that_the_outside_never_grants_fails_at_its_deadline(db: Database, rows: Rows) -> None:
    rows.host()
    pod = placed(rows)
    outside = Outside(fault=errors.Unavailable("Neutron does not answer."))
    Provisioner(db, hints.LocalHints(), [outside], SEALER, deadline_s=0).make_once()
    now = rows.again(pod)
    assert (now.provision_generation, now.provision_reason) == (1, "Neutron does not answer.")
    assert [action.reason for action in rows.actions(pod)] == ["Neutron does not answer."]


def test_stages_come_one_after_another_and_go_the_other_way(db: Database, rows: Rows) -> None:
    rows.host()
    pod = placed(rows)
    told: list[str] = []
    ports, groups = Outside(keys=("a", "b"), told=told), Outside(name="group", stage=0, keys=("g",), told=told)
    loop = provisioner(db, ports, groups)
    loop.make_once()
    assert (told[0], sorted(told[1:])) == ("make group g", ["make port a", "make port b"])
    assert {task.made("group", "g") for task in ports.seen} == {"port of g"}
    assert {task.host.hostname for task in ports.seen if task.host is not None} == {"host1"}
    with pytest.raises(errors.Conflict):
        ports.seen[0].made("group", "other")
    assert all(ledger.secret(entry, SEALER) == b"hidden" for entry in entries(rows, pod))
    assert all(b"hidden" not in (entry.sealed or b"") for entry in entries(rows, pod))
    told.clear()
    gone(rows, pod)
    loop.take_back_once()
    assert (sorted(told[:2]), told[2:]) == (["take back port a", "take back port b"], ["take back group g"])
    assert not rows.exists(pod)


def test_what_neighbours_made_is_kept_when_one_fails(db: Database, rows: Rows) -> None:
    rows.host()
    pod = placed(rows)
    ports, fails = Outside(), Outside(name="volume2", fault=errors.Unavailable("Cinder does not answer."))
    provisioner(db, ports, fails).make_once()
    assert {entry.kind: entry.made_at is not None for entry in entries(rows, pod)} == {"port": True, "volume2": False}
    fails.fault = None
    provisioner(db, ports, fails).make_once()
    assert (len(ports.seen), len(fails.seen), rows.again(pod).provision_generation) == (1, 2, 1)


def test_a_thing_in_another_shape_is_asked_for_again(db: Database, rows: Rows) -> None:
    rows.host()
    pod = placed(rows)
    outside = Outside(shape="one group")
    loop = provisioner(db, outside)
    loop.make_once()
    rows.wish(pod, Wish.UPDATE)
    loop.make_once()
    assert len(outside.seen) == 1
    outside.shape = "two groups"
    rows.wish(rows.again(pod), Wish.UPDATE)
    loop.make_once()
    assert [(task.shape, task.external_id) for task in outside.seen[1:]] == [("two groups", f"port of {pod.uuid}")]
    assert [entry.shape for entry in entries(rows, pod)] == ["two groups"]


def test_what_a_living_pod_needs_no_more_is_taken_back_once_its_host_has_left_it(db: Database, rows: Rows) -> None:
    host_id = rows.host()
    pod = placed(rows)
    outside = Outside(keys=("a", "b"))
    loop = provisioner(db, outside)
    loop.make_once()
    rows.report(host_id, 1, (pod, status(Phase.RUNNING, 1)))
    outside.keys = ("b",)
    rows.wish(rows.again(pod), Wish.UPDATE)
    loop.make_once()
    loop.take_back_once()
    assert (outside.there, rows.again(pod).provision_generation) == ({"a", "b"}, 2)
    rows.report(host_id, 2, (pod, status(Phase.RUNNING, 2)))
    loop.take_back_once()
    assert (outside.there, [entry.key for entry in entries(rows, pod)]) == ({"b"}, ["b"])
    assert rows.exists(pod)


def test_many_pods_are_made_side_by_side_and_none_twice(db: Database, rows: Rows) -> None:
    rows.host()
    made = [placed(rows, f"pod-{number}") for number in range(5)]
    outside = Outside()
    loop = provisioner(db, outside, at_once=3)
    for _ in range(3):
        loop.make_once()
    loop.stop()
    rest = [pod for pod in made if rows.again(pod).provision_generation == 0]
    provisioner(db, outside).make_once()
    assert all(rows.again(pod).provision_generation == 1 for pod in (*made, *rest))
    assert outside.there == {pod.uuid for pod in made}


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
