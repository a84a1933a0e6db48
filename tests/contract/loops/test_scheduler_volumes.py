"""Where pods go that mount volumes which others may mount too: to the hosts that use them, unless everybody only reads."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Sequence

import pytest

from higgins.core import model
from higgins.scheduler.choose import Ask
from higgins.scheduler.claims import EmbeddedClaims
from higgins.scheduler.loop import Scheduler
from higgins.store.claims import Ratios
from higgins.store.loops import ledger, provisioning, scheduling
from higgins.store.loops.holds import Holder
from higgins.store.loops.scheduling import Placement
from higgins.store.pods import Pod
from higgins.store.records import volumes
from higgins.wire.hints import LocalHints
from tests.contract.store_rows import Rows

VOLUME = str(uuid.uuid4())
FACTS = {"connector": '{"host": "x"}'}


def mounting(rows: Rows, name: str, *, read_only: bool = False, driver: str = "cinder", volume: str = VOLUME) -> Pod:
    mount = model.Mount(destination="/d", driver=driver, volume=volume, read_only=read_only)  # type: ignore[arg-type]
    return rows.pod(name, container={"mounts": (mount,)})


def place(rows: Rows) -> None:
    Scheduler(rows.db, LocalHints(), first_host_s=0.0).run_once()


def hosts_of(rows: Rows, *pods: Pod) -> set[int | None]:
    return {rows.again(pod).host_id for pod in pods}


def provisioned(rows: Rows, pod: Pod, *, shape: str = "rw", attached: bool = True) -> None:
    """Provisioning has dealt with a pod, and has attached its volume or could not."""
    now = rows.again(pod)
    with rows.db.write() as tx:
        ledger.ask(tx, pod.uuid, [ledger.Asked(kind="attachment", key=VOLUME, shape=shape)], host_id=now.host_id)
        if not attached:
            provisioning.failed(tx, now, "The volume is in use.")
            return
        answered = ledger.Answered(kind="attachment", key=VOLUME, shape=shape, external_id=str(uuid.uuid4()))
        assert not ledger.made(tx, pod.uuid, [answered], rows.sealer)
        provisioning.done(tx, [now], Holder())
    assert rows.again(pod).provision_generation == 1


@pytest.fixture
def two_hosts(rows: Rows) -> None:
    rows.host("host1", **FACTS)
    rows.host("host2", **FACTS)


@pytest.mark.usefixtures("two_hosts")
@pytest.mark.parametrize("driver", ["cinder", "local"])
def test_those_that_come_together_go_to_one_host(rows: Rows, driver: str) -> None:
    volume = VOLUME
    if driver == "local":
        with rows.db.write() as tx:
            volume = volumes.insert(tx, project_id="project", name="data").uuid
    pods = [mounting(rows, name, driver=driver, volume=volume) for name in ("a", "b", "c")]
    place(rows)
    assert len(hosts_of(rows, *pods)) == 1
    assert None not in hosts_of(rows, *pods)


@pytest.mark.usefixtures("two_hosts")
@pytest.mark.parametrize("known", ["on its way", "attached"])
def test_one_that_comes_later_goes_there_too(rows: Rows, known: str) -> None:
    first = mounting(rows, "first")
    place(rows)
    if known == "attached":
        provisioned(rows, first)
    filler = rows.pod("filler", memory_mib=2048)
    place(rows)
    assert hosts_of(rows, first) != hosts_of(rows, filler)
    more = [mounting(rows, name) for name in ("b", "c")]
    place(rows)
    assert hosts_of(rows, *more) == hosts_of(rows, first)


class Beaten(EmbeddedClaims):
    """Room that is claimed after ``meanwhile`` has happened."""

    def __init__(self, rows: Rows, meanwhile: Callable[[], None]) -> None:
        super().__init__(rows.db, Ratios())
        self._meanwhile: Callable[[], None] | None = meanwhile

    def claim(self, placements: Sequence[Placement], *, heard_after: datetime.datetime) -> list[Placement]:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().claim(placements, heard_after=heard_after)


@pytest.mark.usefixtures("two_hosts")
def test_one_whose_volume_another_scheduler_has_just_given_a_place_follows_it(rows: Rows) -> None:
    with rows.db.write() as tx:
        volume = volumes.insert(tx, project_id="project", name="data").uuid
    first, second = (mounting(rows, name, driver="local", volume=volume) for name in ("first", "second"))
    there = rows.host_row("host2").id

    def place_second() -> None:
        with rows.db.write() as tx:
            scheduling.place(tx, [Placement(second, there)], Ratios(), heard_after=second.created_at.min)

    loop = Scheduler(rows.db, LocalHints(), keeper=Beaten(rows, place_second))
    assert loop.run_once() is not None
    assert hosts_of(rows, first) == {None}
    loop.run_once()
    assert hosts_of(rows, first, second) == {there}


@pytest.mark.usefixtures("two_hosts")
def test_one_whose_volume_has_no_record_is_left_to_provisioning_to_tell(rows: Rows) -> None:
    lost = mounting(rows, "lost", driver="local")
    place(rows)
    assert None not in hosts_of(rows, lost)


@pytest.mark.usefixtures("two_hosts")
def test_what_all_only_read_is_read_anywhere(rows: Rows) -> None:
    first = mounting(rows, "first", read_only=True)
    place(rows)
    provisioned(rows, first, shape="ro")
    second = mounting(rows, "second", read_only=True)
    place(rows)
    assert len(hosts_of(rows, first, second)) == 2
    writer = mounting(rows, "writer")
    place(rows)
    assert "without all of the volumes" in str(rows.again(writer).schedule_reason)


@pytest.mark.usefixtures("two_hosts")
def test_where_an_attachment_failed_is_no_home(rows: Rows) -> None:
    first = mounting(rows, "first")
    place(rows)
    provisioned(rows, first, attached=False)
    second = mounting(rows, "second")
    place(rows)
    assert hosts_of(rows, first) != hosts_of(rows, second)


def test_homes() -> None:
    uses = {"v": {(1, False), (2, False)}, "w": {(3, True)}}
    assert Ask(volumes={"v": False}).at_home(uses).homes == frozenset()
    assert Ask(volumes={"v": True}).at_home(uses).homes == {1, 2}
    assert Ask(volumes={"w": False, "v": False}).at_home(uses).homes == {3}
    assert Ask(volumes={"new": True}).at_home(uses).homes == frozenset()
