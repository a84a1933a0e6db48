"""Making and taking back at the same moment, by threads and by replicas: nothing outside is ever left behind or handed out when it is gone."""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Iterable, Iterator

import pytest

from higgins.core import errors
from higgins.core.phase import Desired, Phase, Wish
from higgins.provision.crew import Crew
from higgins.provision.kinds import Made, Task
from higgins.provision.loop import Provisioner
from higgins.provision.plan import Want
from higgins.scheduler.loop import Scheduler
from higgins.store import pods
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.holds import Holder
from higgins.store.seal import Sealer
from higgins.store.session import Database, utc_now
from higgins.wire import hints
from tests.contract.store_rows import Rows, status, until

SEALER = Sealer(bytes(range(32)))
WAIT_S = 120.0


@dataclasses.dataclass
class Slow:
    """A kind of thing that is made, and taken back, only when a test lets it; what it asks for is there at once or at the end."""

    name: str = "port"
    stage: int = 0
    keys: tuple[str, ...] | None = None
    there: set[str] = dataclasses.field(default_factory=set)
    told: list[str] = dataclasses.field(default_factory=list)
    making: threading.Event = dataclasses.field(default_factory=threading.Event)
    may_make: threading.Event = dataclasses.field(default_factory=threading.Event)
    taking: threading.Event = dataclasses.field(default_factory=threading.Event)
    may_take: threading.Event = dataclasses.field(default_factory=threading.Event)

    def wanted_by(self, pod: pods.Pod) -> Iterable[Want]:
        for key in (pod.uuid,) if self.keys is None else self.keys:
            yield Want(kind=self.name, key=key, why="the pod is on a network")

    def make(self, task: Task) -> Made:
        self.told.append(f"make {task.key}")
        self.making.set()
        assert self.may_make.wait(WAIT_S)
        self.there.add(task.key)
        return Made(external_id=task.key)

    def take_back(self, task: Task) -> None:
        self.told.append(f"take back {task.key}")
        self.taking.set()
        assert self.may_take.wait(WAIT_S)
        self.there.discard(task.key)


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.may_make.set()
    made.may_take.set()


def provisioner(db: Database, *kinds: Slow, at_once: int = 0, holder: Holder | None = None) -> Provisioner:
    return Provisioner(db, hints.LocalHints(), kinds, SEALER, at_once=at_once, holder=holder)


def placed(rows: Rows, name: str = "web", **changes: object) -> pods.Pod:
    pod = rows.pod(name, **changes)
    Scheduler(rows.db, hints.LocalHints()).run_once()
    return rows.again(pod)


def entries(rows: Rows, pod: pods.Pod) -> list[ledger.Entry]:
    with rows.db.read() as tx:
        return ledger.of(tx, [pod.uuid]).get(pod.uuid, [])


def gone(rows: Rows, pod: pods.Pod) -> None:
    rows.delete(pod)
    assert pod.host_id is not None
    assert rows.report(pod.host_id, 1, (pod, status(Phase.GONE, 2)))


@pytest.mark.parametrize("other_replica", [False, True])
def test_a_pod_deleted_while_its_things_are_made_leaves_nothing(
    db: Database, rows: Rows, slow: Slow, other_replica: bool
) -> None:
    rows.host()
    pod = placed(rows)
    loop = provisioner(db, slow, at_once=2)
    taker = provisioner(db, slow, at_once=2) if other_replica else loop
    slow.may_take.set()
    loop.make_once()
    assert slow.making.wait(WAIT_S)
    gone(rows, pod)
    for _ in range(3):
        taker.take_back_once()
    assert not slow.taking.wait(0.05)
    assert rows.exists(pod)
    slow.may_make.set()

    def is_gone() -> bool:
        taker.take_back_once()
        return not rows.exists(pod)

    until(is_gone, "the pod to be gone")
    loop.stop()
    taker.stop()
    assert slow.told == [f"make {pod.uuid}", f"take back {pod.uuid}"]
    assert (slow.there, entries(rows, pod)) == (set(), [])


def test_replicas_do_not_make_the_same_thing_at_once(db: Database, rows: Rows, slow: Slow) -> None:
    rows.host()
    pod = placed(rows)
    first, second = provisioner(db, slow, at_once=1), provisioner(db, slow)
    first.make_once()
    assert slow.making.wait(WAIT_S)
    second.make_once()
    slow.may_make.set()
    first.stop()
    second.make_once()
    assert slow.told == [f"make {pod.uuid}"]
    assert rows.again(pod).provision_generation == 1


def test_what_a_dead_replica_held_is_gone_on_with(db: Database, rows: Rows, slow: Slow, url: str) -> None:
    rows.host()
    pod = placed(rows)
    with db.write() as tx:
        assert Holder("dead").take(tx, pod.id, pod.generation)
        ledger.ask(tx, pod.uuid, [ledger.Asked(kind="port", key=pod.uuid)], host_id=pod.host_id)
    slow.may_make.set()
    provisioner(db, slow).make_once()
    assert slow.told == []
    later = Database(url, clock=lambda: utc_now() + datetime.timedelta(hours=1), durable=False)
    provisioner(later, slow).make_once()
    later.close()
    assert rows.again(pod).provision_generation == 1
    assert [entry.made_at is not None for entry in entries(rows, pod)] == [True]


def test_a_restarted_replica_goes_on_at_once(db: Database, rows: Rows, slow: Slow) -> None:
    rows.host()
    pod = placed(rows)
    with db.write() as tx:
        assert Holder("controller").take(tx, pod.id, pod.generation)
    slow.may_make.set()
    provisioner(db, slow, holder=Holder("controller")).make_once()
    assert rows.again(pod).provision_generation == 1


def test_what_was_made_after_its_hold_was_over_is_undone(db: Database, rows: Rows, slow: Slow, url: str) -> None:
    rows.host()
    pod = placed(rows)
    loop = provisioner(db, slow, at_once=1)
    loop.make_once()
    assert slow.making.wait(WAIT_S)
    gone(rows, pod)
    slow.may_take.set()
    later = Database(url, clock=lambda: utc_now() + datetime.timedelta(hours=1), durable=False)
    provisioner(later, slow).take_back_once()
    later.close()
    assert not rows.exists(pod)
    slow.may_make.set()
    loop.stop()
    assert (slow.there, entries(rows, pod)) == (set(), [])


def test_an_error_that_comes_after_its_hold_was_over_says_nothing_of_what_another_has_made(
    db: Database, rows: Rows, slow: Slow, url: str
) -> None:
    class Refused(Slow):
        def make(self, task: Task) -> Made:
            super().make(task)
            raise errors.Forbidden("Neutron says no.")

    rows.host()
    pod = placed(rows)
    refused = Refused()
    loop = provisioner(db, refused, at_once=1)
    loop.make_once()
    assert refused.making.wait(WAIT_S)
    slow.may_make.set()
    later = Database(url, clock=lambda: utc_now() + datetime.timedelta(hours=1), durable=False)
    provisioner(later, slow).make_once()
    later.close()
    assert rows.again(pod).provision_generation == 1
    refused.may_make.set()
    loop.stop()
    assert rows.again(pod).provision_reason is None
    assert [(action.message, action.finished_at) for action in rows.actions(pod)] == [(None, None)]


def test_a_wish_that_comes_while_all_is_taken_back_has_it_made_again(db: Database, rows: Rows, slow: Slow) -> None:
    """A pod that removes itself is started again at the last moment: its host never gets it without its port."""
    host_id = rows.host()
    pod = placed(rows, auto_remove=True)
    slow.may_make.set()
    loop = provisioner(db, slow, at_once=1)
    loop.make_once()
    until(lambda: rows.again(pod).provision_generation == 1, "the pod to be provisioned")
    rows.report(host_id, 1, (pod, status(Phase.GONE, 1)))
    until(lambda: (loop.take_back_once(), slow.taking.is_set())[1], "it is taken back once nobody makes any more")
    rows.wish(rows.again(pod), Wish.START, desired=Desired.RUNNING, new_run=True)
    loop.make_once()
    assert rows.again(pod).provision_generation == 1
    slow.may_take.set()

    def is_made() -> bool:
        loop.make_once()
        return rows.again(pod).provision_generation == 2

    until(is_made, "the pod to be provisioned again")
    loop.stop()
    assert slow.there == {pod.uuid}
    assert [entry.made_at is not None for entry in entries(rows, pod)] == [True]


def test_what_is_wanted_again_is_not_taken_back(db: Database, rows: Rows, slow: Slow) -> None:
    host_id = rows.host()
    pod = placed(rows)
    slow.may_make.set()
    slow.may_take.set()
    slow.keys = ("a", "b")
    loop = provisioner(db, slow)
    loop.make_once()
    slow.keys = ("b",)
    rows.wish(rows.again(pod), Wish.UPDATE)
    loop.make_once()
    rows.report(host_id, 1, (pod, status(Phase.RUNNING, 2)))
    slow.keys = ("a", "b")
    rows.wish(rows.again(pod), Wish.UPDATE)
    loop.make_once()
    loop.take_back_once()
    assert slow.there == {"a", "b"}
    assert all(entry.released_at is None for entry in entries(rows, pod))


def test_a_hand_over_leaves_the_hold_of_what_is_being_taken_back(db: Database, rows: Rows, slow: Slow) -> None:
    """Else another replica finds what is wanted again still there, and this one takes it away."""
    host_id = rows.host()
    pod = placed(rows)
    slow.may_make.set()
    slow.keys = ("a", "b")
    loop, other = provisioner(db, slow, at_once=1), provisioner(db, slow)
    other.make_once()
    slow.keys = ("b",)
    rows.wish(pod, Wish.UPDATE)
    other.make_once()
    rows.report(host_id, 1, (pod, status(Phase.RUNNING, 2)))
    loop.take_back_once()
    assert slow.taking.wait(WAIT_S)
    rows.wish(pod, Wish.STOP, desired=Desired.STOPPED)
    loop.make_once()
    slow.keys = ("a", "b")
    rows.wish(pod, Wish.UPDATE)
    other.make_once()
    assert rows.again(pod).provision_generation == 2, "it is held"
    slow.may_take.set()
    loop.stop()
    other.make_once()
    assert rows.again(pod).provision_generation == 4
    assert slow.there == {"a", "b"}
    assert {entry.key for entry in entries(rows, pod) if entry.made_at is not None} == {"a", "b"}


def test_a_stop_forgets_what_waits_and_another_start_does_it(db: Database, rows: Rows, slow: Slow) -> None:
    rows.host()
    made = [placed(rows, f"pod-{number}") for number in range(3)]
    holder = Holder("controller")
    loop = provisioner(db, slow, at_once=1, holder=holder)
    loop.make_once()
    assert slow.making.wait(WAIT_S)
    makers, stopping = loop._makers._threads, threading.Thread(target=loop.stop)
    stopping.start()
    until(lambda: makers._shutdown, "the makers take no more")
    slow.may_make.set()
    stopping.join(WAIT_S)
    assert len(slow.there) < 3
    provisioner(db, slow, holder=holder).make_once()
    assert slow.there == {pod.uuid for pod in made}
    assert {rows.again(pod).provision_generation for pod in made} == {1}


def test_a_crew_calls_again_only_for_what_is_new() -> None:
    called: list[str] = []
    holder, gate, begun = Holder(), threading.Event(), threading.Event()
    crew = Crew("one", holder, lambda: called.append("one"), at_once=1)
    other = Crew("other", holder, lambda: called.append("other"))

    def work() -> None:
        begun.set()
        gate.wait(WAIT_S)

    crew.take("pod", 1, work)
    assert begun.wait(WAIT_S)
    crew.take("pod", 1, lambda: called.append("twice"))
    gate.set()
    crew.stop()
    assert called == []
    gate.clear()
    begun.clear()
    crew.take("pod", 1, work)
    assert begun.wait(WAIT_S)
    crew.take("pod", 2, lambda: called.append("twice"))
    other.take("pod", 1, lambda: called.append("twice"))
    gate.set()
    crew.stop()
    assert sorted(called) == ["one", "other"]


def test_a_hold_taken_while_a_pod_is_handed_over_stays_and_what_it_asked_for_is_made(
    db: Database, rows: Rows, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API does so for a container that is to grow, between what a pass read and what it writes."""
    rows.host()
    pod = placed(rows)
    slow.may_make.set()
    loop, api = provisioner(db, slow), Holder("api")
    loop.make_once()
    rows.wish(pod, Wish.UPDATE)
    hand_over = loop._hand_over

    def later(ready: list[pods.Pod]) -> None:
        now = rows.again(pod)
        with db.write() as tx:
            assert api.take(tx, now.id, now.generation)
            ledger.doubt(tx, now.uuid, [("port", now.uuid)], forget=False)
        hand_over(ready)

    monkeypatch.setattr(loop, "_hand_over", later)
    loop.make_once()
    assert rows.again(pod).provision_generation == 1
    with db.write() as tx:
        assert api.let_go(tx, pod.id), "nobody else let it go"
    monkeypatch.undo()
    loop.make_once()
    assert rows.again(pod).provision_generation == 2
    assert [entry.made_at is not None for entry in entries(rows, pod)] == [True]


def test_what_is_not_confirmed_any_more_is_not_handed_over(db: Database, rows: Rows, slow: Slow) -> None:
    """Though whoever asked for it holds the pod no more."""
    rows.host()
    pod = placed(rows)
    slow.may_make.set()
    holder = Holder()
    provisioner(db, slow, holder=holder).make_once()
    with db.write() as tx:
        ledger.doubt(tx, pod.uuid, [("port", pod.uuid)], forget=False)
        provisioning.again(tx, pod.uuid)
        provisioning.done(tx, [rows.again(pod)], holder)
    assert rows.again(pod).provision_generation == 0
