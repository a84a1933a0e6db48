"""Puts rows into a database as the API, an operator and an agent would, and counts what the database is asked."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from higgins.core import model
from higgins.core.caller import Scope
from higgins.core.phase import Desired, Phase, Wish
from higgins.store import actions, hosts, migrate, pods, quotas
from higgins.store.agents import reports
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import contract

EVERYBODY = Scope(None)
NO_LIMITS = quotas.Limits(containers=-1, cpu=-1, memory=-1, disk=-1)


class Counter:
    """Counts statements and commits; several threads may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.statements: list[str] = []
        self.commits = 0

    def statement(self, sql: str) -> None:
        with self._lock:
            self.statements.append(sql)

    def commit(self) -> None:
        with self._lock:
            self.commits += 1

    def reset(self) -> None:
        with self._lock:
            self.statements, self.commits = [], 0


def until(condition: Callable[[], Any], what: str, within_s: float = 120.0) -> Any:
    """What ``condition`` gives once it is true; fails when that takes too long."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {within_s} s in vain: {what}"
        time.sleep(0.002)
    return found


@dataclasses.dataclass
class Rows:
    """Makes rows."""

    db: Database
    sealer: Sealer

    def facts(self, hostname: str = "host1", **changes: Any) -> model.HostFacts:
        facts = model.HostFacts(
            hostname=hostname,
            engine="fake",
            engine_version="1",
            engine_up=True,
            cpus=4,
            memory_mib=8192,
            disk_gib=100,
            runtimes=("runc",),
            abilities=("pause", "volumes"),
        )
        return dataclasses.replace(facts, **changes)

    def host(self, hostname: str = "host1", *, up: bool = True, zone: str = "nova", **facts: Any) -> int:
        """A host's id; its token is ``token of HOSTNAME``."""
        digest = hashlib.sha256(f"token of {hostname}".encode()).hexdigest()
        with self.db.write() as tx:
            hosts.enroll(tx, hostname, digest, availability_zone=zone)
            host = hosts.get(tx, hostname)
            if up:
                hosts.hello(tx, host.id, self.facts(hostname, **facts), "unix:/nowhere", "live token", self.sealer)
        return host.id

    def spec(self, uuid: str, name: str = "web", **container: Any) -> model.PodSpec:
        given: dict[str, Any] = {"image": "nginx:1", "environment": {"PASSWORD": "canary-env"}} | container
        return model.PodSpec(containers=(model.ContainerSpec(uuid=uuid, name=name, **given),))

    def new(self, name: str = "web", *, container: dict[str, Any] | None = None, **changes: Any) -> pods.NewPod:
        ident = changes.pop("uuid", None) or str(uuid.uuid4())
        given: dict[str, Any] = {
            "uuid": ident,
            "project_id": "project",
            "user_id": "user",
            "name": name,
            "image": "nginx:1",
            "spec": self.spec(ident, name, **(container or {})),
            "desired": Desired.RUNNING,
            "run": 1,
            "request_id": f"req-{uuid.uuid4()}",
            "cpu_milli": 1000,
            "memory_mib": 512,
        } | changes
        return pods.NewPod(**given)

    def pod(self, name: str = "web", **changes: Any) -> pods.Pod:
        """A pod as a create leaves it: counted, with its action."""
        new = self.new(name, **changes)
        sizes = {"cpu_milli": new.cpu_milli, "memory_mib": new.memory_mib, "disk_gib": new.disk_gib}
        with self.db.write() as tx:
            quotas.take(tx, new.project_id, NO_LIMITS, containers=len(new.spec.containers), **sizes)
            pod = pods.insert(tx, new, self.sealer)
            actions.start(tx, pod.uuid, pod.project_id, pod.user_id, str(new.request_id), "create", 1)
        return pod

    def again(self, pod: pods.Pod) -> pods.Pod:
        """The row as it is now."""
        with self.db.read() as tx:
            return pods.get(tx, pod.uuid, EVERYBODY, kind=pod.kind)

    def exists(self, pod: pods.Pod) -> bool:
        with self.db.read() as tx:
            return bool(pods.list(tx, EVERYBODY, kind=pod.kind, filters={"uuid": pod.uuid}))

    def wish(self, pod: pods.Pod, wish: Wish, **changes: Any) -> pods.Pod:
        """A wish over the row as it is now, with its action."""
        request_id = f"req-{uuid.uuid4()}"
        with self.db.write() as tx:
            now = pods.get(tx, pod.uuid, EVERYBODY, kind=pod.kind)
            changed = pods.change(tx, now, wish=wish, request_id=request_id, **changes)
            actions.start(tx, pod.uuid, pod.project_id, pod.user_id, request_id, wish, changed.generation)
        return changed

    def delete(self, pod: pods.Pod) -> pods.Pod:
        return self.wish(pod, Wish.DELETE, desired=Desired.DELETED)

    def report(
        self, host_id: int, number: int, *statuses: tuple[pods.Pod, model.PodStatus], **more: Any
    ) -> reports.Taken | None:
        told = tuple(contract.PodReport(uuid=pod.uuid, status=status) for pod, status in statuses)
        with self.db.write() as tx:
            return reports.take(tx, host_id, contract.Report(number=number, pods=told, **more))

    def host_row(self, ident: str = "host1") -> hosts.Host:
        with self.db.read() as tx:
            return hosts.get(tx, ident)

    def usage(self, project_id: str = "project") -> quotas.Usage:
        with self.db.read() as tx:
            return quotas.usage(tx, project_id)

    def actions(self, pod: pods.Pod) -> list[actions.Action]:
        with self.db.read() as tx:
            return actions.list(tx, pod.uuid, EVERYBODY)


def status(phase: Phase, generation: int, run: int = 1, reason: str = "") -> model.PodStatus:
    """A status as an agent reports it."""
    return model.PodStatus(phase=phase, observed_generation=generation, observed_run=run, reason=reason)


@functools.cache
def empty_database() -> bytes:
    """A migrated SQLite file without rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "empty.db"
        migrate.upgrade(f"sqlite:///{path}")
        return path.read_bytes()
