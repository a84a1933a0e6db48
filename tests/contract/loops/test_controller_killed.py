"""The controller's passes killed (SIGKILL) before every statement and after every commit: nothing lost, doubled or left over."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import traceback
from collections.abc import Callable, Iterable

from higgins.core import model
from higgins.core.phase import Phase
from higgins.provision.kinds import Made, Task
from higgins.provision.loop import Provisioner
from higgins.provision.plan import Want
from higgins.provision.volumes import Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store import pods
from higgins.store.agents import assignments
from higgins.store.loops.holds import Holder
from higgins.store.records import volumes
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire import hints
from tests.contract.store_rows import Rows, status

_MOST_POINTS = 100


class Killer:
    """Kills its own process at the given point: before a statement, or after a commit."""

    def __init__(self, point: int) -> None:
        self._left = point

    def statement(self, sql: str) -> None:
        self._count()

    def commit(self) -> None:
        self._count()

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Things:
    """An outside that outlives the process: a file for each pod. ``killer`` may strike before and after each thing is done."""

    name, stage = "thing", 1

    def __init__(self, folder: pathlib.Path, killer: Killer | None) -> None:
        self._folder, self._killer = folder, killer

    def wanted_by(self, pod: pods.Pod) -> Iterable[Want]:
        yield Want(kind=self.name, key=pod.uuid, why="every pod has one")

    def make(self, task: Task) -> Made:
        self._do(lambda: (self._folder / task.key).touch())
        return Made(external_id=task.key)

    def take_back(self, task: Task) -> None:
        self._do(lambda: (self._folder / task.key).unlink(missing_ok=True))

    def _do(self, deed: Callable[[], None]) -> None:
        for step in (deed, lambda: None):
            if self._killer is not None:
                self._killer.commit()
            step()


def passes(db: Database, folder: pathlib.Path, killer: Killer | None = None) -> None:
    local = hints.LocalHints()
    again = Holder("controller")  # what a controller has again after its restart
    kinds = [Volumes(db), Things(folder, killer)]
    provisioner = Provisioner(db, local, kinds, Sealer(bytes(range(32))), holder=again)
    Scheduler(db, local).run_once()
    provisioner.make_once()
    provisioner.take_back_once()


def killed_at(url: str, folder: pathlib.Path, point: int) -> bool:
    """Whether a process that does the passes was killed at this point; false when it came to their end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            killer = Killer(point)
            passes(Database(url, observer=killer, durable=False), folder, killer)
            code = 0
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), "the passes broke off; the captured output says where"
    return code != 0


def make(rows: Rows, name: str) -> pods.Pod:
    """A pod with a volume that goes with it."""
    new = rows.new(name)
    with rows.db.write() as tx:
        volume = volumes.insert(tx, project_id="project", pod_uuid=new.uuid)
    mounts = (model.Mount(destination="/data", volume=volume.uuid),)
    return rows.pod(name, uuid=new.uuid, container={"mounts": mounts})


def test_killed_at_every_point_the_next_pass_makes_it_good(url: str, rows: Rows, tmp_path: pathlib.Path) -> None:
    host_id = rows.host(cpus=64, memory_mib=64 * 1024)
    (tmp_path / "things").mkdir()
    leaving = make(rows, "leaving-0")
    passes(rows.db, tmp_path / "things")
    points = 0
    for point in range(1, _MOST_POINTS):
        rows.delete(leaving)
        assert rows.report(host_id, point, (leaving, status(Phase.GONE, 2)))
        coming = make(rows, f"coming-{point}")
        rows.db.close()  # a connection must not live on in a child

        killed = killed_at(url, tmp_path / "things", point)

        passes(rows.db, tmp_path / "things")
        assert [one.name for one in (tmp_path / "things").iterdir()] == [coming.uuid]
        assert not rows.exists(leaving)
        assert rows.again(coming).host_id == host_id
        with rows.db.read() as tx:
            assert audit.findings(tx) == []
            handed_out = assignments.of_host(tx, host_id, 0, rows.sealer)
        assert [one.uuid for one in handed_out.pods] == [coming.uuid]
        assert len(handed_out.pods[0].volumes) == 1
        assert rows.usage().containers == rows.host_row().pods_claimed == 1
        if not killed:
            break
        leaving = coming
        points = point
    assert 15 < points < _MOST_POINTS - 1
