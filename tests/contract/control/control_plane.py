"""The use cases over a real SQLite store, with the real scheduler and provisioning, run by hand; only the hosts' agents are doubles."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import pathlib
import threading
import uuid
from collections.abc import Iterator

import sqlalchemy

from higgins.control.means import Means
from higgins.control.requests import NewContainer
from higgins.control.service import build
from higgins.control.settings import Settings
from higgins.core import errors, model
from higgins.core.caller import Caller, Scope
from higgins.core.phase import EngineState, Phase
from higgins.policy.enforce import Policy
from higgins.provision.loop import Provisioner
from higgins.provision.volumes import Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store import hosts, pods
from higgins.store.agents import reports
from higgins.store.pods import Pod
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import contract
from higgins.wire.hints import LocalHints
from tests.contract.store_rows import empty_database

HOSTNAME = "host-1"
FACTS = model.HostFacts(
    hostname=HOSTNAME,
    engine="fake",
    engine_version="1",
    engine_up=True,
    cpus=4,
    memory_mib=8192,
    disk_gib=100,
    abilities=("commit", "copy", "exec", "logs", "pause", "resize", "stats", "terminal", "volumes"),
)


def caller(*roles: str, project: str = "project-1", user: str = "user-1") -> Caller:
    """A caller with a request id of its own; a member unless roles are named."""
    return Caller(
        user_id=user, project_id=project, roles=frozenset(roles or ("member",)), request_id=f"req-{uuid.uuid4()}"
    )


class Statements:
    """Counts what the database is asked to do while it is switched on."""

    def __init__(self) -> None:
        self.sql: list[str] = []
        self.commits = 0

    def statement(self, sql: str) -> None:
        self.sql.append(sql)

    def commit(self) -> None:
        self.commits += 1

    def reset(self) -> None:
        self.sql, self.commits = [], 0


@dataclasses.dataclass
class Agent:
    """Answers live questions from what a test put into ``answers``, an error by raising it, and keeps what it was asked."""

    answers: dict[str, object] = dataclasses.field(default_factory=dict)
    asked: list[tuple[str, str, str, object]] = dataclasses.field(default_factory=list)

    def ask(self, address, token, *, pod, container, question, body, answer, timeout_s):
        self.asked.append((address, token, question, body))
        given = self.answers.get(question, contract.Nothing())
        if isinstance(given, errors.HigginsError):
            raise given
        assert isinstance(given, answer)
        return given

    @contextlib.contextmanager
    def get_archive(self, address, token, *, pod, container, path, timeout_s):
        self.asked.append((address, token, "get_archive", path))
        yield contract.PathStatAnswer(name="x", size=3, mode=0o644, mtime="2026-03-04T00:00:00Z"), iter([b"tar"])

    def put_archive(self, address, token, *, pod, container, path, tar, timeout_s):
        self.asked.append((address, token, "put_archive", (path, b"".join(tar))))


_POLICY = Policy()


class ControlPlane:
    """One installation with one host that is up."""

    def __init__(self, folder: pathlib.Path, **settings: object) -> None:
        self.url = f"sqlite:///{folder / 'higgins.db'}"
        (folder / "higgins.db").write_bytes(empty_database())
        self.statements = Statements()
        self.time = datetime.datetime(2026, 3, 4, 12, 0, 0)  # noqa: DTZ001 - the store's times have no zone
        self.db = Database(self.url, observer=self.statements, clock=lambda: self.time, durable=False)
        self.sealer = Sealer(bytes(range(32)))
        self.hints: list[int | None] = []
        self.agent = Agent()
        with self.db.write() as tx:
            installed = installation.ensure(tx, self.sealer)
        self.means = Means(
            db=self.db,
            sealer=self.sealer,
            policy=_POLICY,
            hint=lambda host_id, *, straight=False: self.hints.append(host_id),
            installation=installed,
            settings=Settings(**settings),
        )
        self.scheduler = Scheduler(self.db, LocalHints(), first_host_s=0.0, hosts_kept_s=0.0)
        self.provisioner = Provisioner(self.db, LocalHints(), [Volumes(self.db)], self.sealer)
        self.control = build(self.means, self.agent)
        self.numbers = itertools.count(1)
        self.host_id = self.add_host(HOSTNAME)

    def add_host(self, hostname: str, facts: model.HostFacts = FACTS) -> int:
        with self.db.write() as tx:
            hosts.enroll(tx, hostname, uuid.uuid4().hex * 2)
            found = hosts.get(tx, hostname)
            hosts.hello(
                tx, found.id, dataclasses.replace(facts, hostname=hostname), "unix:/live", "live-token", self.sealer
            )
            return found.id

    def create(self, who: Caller | None = None, *, run: bool = True, **fields: object) -> Pod:
        return self.control.containers.create(who or caller(), NewContainer(**({"image": "busybox"} | fields)), run=run)

    def place(self) -> None:
        """The scheduler and provisioning see to every pod that waits."""
        self.scheduler.run_once()
        self.provisioner.make_once()

    def report(
        self, pod: Pod, phase: Phase, *, settled: bool = True, run: int | None = None, reason: str = "", events=()
    ) -> Pod:
        """The host says how a pod is; by default its newest wish is dealt with."""
        now = self.row(pod.uuid)
        assert now.host_id is not None
        status = model.PodStatus(
            phase=phase,
            observed_generation=now.generation if settled else now.observed_generation,
            observed_run=now.run if run is None else run,
            reason=reason,
            containers=(model.ContainerStatus(uuid=pod.uuid, state=EngineState.RUNNING),),
        )
        report = contract.Report(
            number=next(self.numbers), pods=(contract.PodReport(uuid=pod.uuid, status=status),), events=tuple(events)
        )
        with self.db.write() as tx:
            assert reports.take(tx, now.host_id, report)
        return now if phase is Phase.GONE else self.row(pod.uuid)

    def made(self, who: Caller | None = None, *, phase: Phase = Phase.RUNNING, **fields: object) -> Pod:
        """A container that its host has brought into a phase."""
        pod = self.create(who, **fields)
        self.place()
        return self.report(pod, phase)

    def sweep(self) -> None:
        """Provisioning takes back what is over."""
        self.provisioner.take_back_once()

    def row(self, pod_uuid: str) -> Pod:
        with self.db.read() as tx:
            return pods.get(tx, pod_uuid, Scope(None))

    def count(self, table: str) -> int:
        with self.db.read() as tx:
            return tx.scalar(sqlalchemy.text(f"select count(*) from {table}"))

    def close(self) -> None:
        self.db.close()


def at_once(*works) -> list[object]:
    """What each gives, or the error it raises, when all begin at the same moment on threads of their own."""
    gate = threading.Barrier(len(works))
    results: list[object] = [None] * len(works)

    def run(place: int, work) -> None:
        try:
            gate.wait(60)
            results[place] = work()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    for unforeseen in results:
        if isinstance(unforeseen, Exception) and not isinstance(unforeseen, errors.HigginsError):
            raise unforeseen
    return results


def planes(folder: pathlib.Path, **settings: object) -> Iterator[ControlPlane]:
    """For fixtures: one that is closed at the end."""
    plane = ControlPlane(folder, **settings)
    yield plane
    plane.close()
