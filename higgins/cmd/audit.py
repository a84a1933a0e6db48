"""``higgins-manage audit``: compares the database with itself, and with what hosts and the cloud really have, and repairs on request."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from higgins.core import errors
from higgins.core.caller import Scope
from higgins.core.phase import Desired, Phase
from higgins.provision.audits.stray import Audit, settled
from higgins.store import hosts, pods
from higgins.store.hosts import Host
from higgins.store.pods import Pod
from higgins.store.records import volumes
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.store.upkeep.audit import Finding
from higgins.wire.client import LiveClient
from higgins.wire.contract import AuditAnswer

_ON_HOST = frozenset({Phase.CREATED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPED})


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What was found, and how many of the findings were put right."""

    findings: list[Finding]
    repaired: int


def look(
    database: Database,
    sealer: Sealer,
    services: Sequence[Audit] = (),
    *,
    repair: bool,
    stuck_after_s: float,
    agents_ca_file: str | None = None,
) -> Result:
    """One audit of the database, of every host and of every service that answers; ``agents_ca_file`` signs what agents show."""
    with database.read() as tx:
        found = audit.findings(tx, stuck_after_s=stuck_after_s)
        every_host = hosts.list(tx)
    repaired = 0
    for host in every_host:
        on_host, put_right = _look_at_host(database, host, sealer, agents_ca_file, repair=repair)
        found += on_host
        repaired += put_right
    for service in services:
        outside, put_right = _look_at_service(database, service, repair=repair)
        found += outside
        repaired += put_right
    if repair:
        with database.write() as tx:
            repaired += audit.repair(tx)
    return Result(found, repaired)


def _look_at_service(database: Database, service: Audit, *, repair: bool) -> tuple[list[Finding], int]:
    try:
        strays = settled(database, service)
    except errors.HigginsError as error:
        return [Finding("service", service.title, f"it could not be asked: {error.message}", False)], 0
    found, repaired = [], 0
    for one in strays:
        finding = one.finding
        if repair and one.put_right is not None:
            try:
                one.put_right()
                repaired += 1
            except errors.HigginsError as error:
                finding = dataclasses.replace(
                    finding, text=f"{finding.text}; that failed: {error.message}", repairable=False
                )
        found.append(finding)
    return found, repaired


def _look_at_host(
    database: Database, host: Host, sealer: Sealer, ca_file: str | None, *, repair: bool
) -> tuple[list[Finding], int]:
    try:
        with contextlib.closing(LiveClient(*hosts.live(host, sealer), ca_file=ca_file)) as client:
            before = _known(database, host)
            answer = client.audit()
            after = _known(database, host)
            # What is under way while the host is asked is no finding: it would be gone at the next look.
            still = set(_compare(host, after, answer))
            found = [finding for finding in _compare(host, before, answer) if finding in still]
            removed = client.repair() if repair and any(finding.repairable for finding in found) else None
    except errors.HigginsError as error:
        return [Finding("host", host.hostname, f"it could not be asked: {error.message}", False)], 0
    if removed is None:
        return found, 0
    left = (removed.leftover_files, removed.leftover_networks, removed.leftover_volumes)
    return found, len(removed.containers) + sum(map(len, left))


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """What the database has of a host."""

    pods: dict[str, Pod]
    volumes: frozenset[str]


def _known(database: Database, host: Host) -> _Known:
    with database.read() as tx:
        every = (pod for kind in ("container", "capsule") for pod in pods.list(tx, Scope(None), kind=kind))
        return _Known({pod.uuid: pod for pod in every if pod.host_id == host.id}, volumes.names(tx))


def _compare(host: Host, known: _Known, answer: AuditAnswer) -> Iterator[Finding]:
    for container in answer.containers:
        if container.pod not in known.pods:
            text = f"the engine of {host.hostname} has it ({container.state}), but no pod of this host does"
            yield Finding("container", container.uuid, text, True)
    for kind, what, left in (
        ("files", "files", answer.leftover_files),
        ("network", "a network namespace or ports", answer.leftover_networks),
        ("mount", "mounted volumes", answer.leftover_volumes),
    ):
        for uuid in left:
            if uuid not in known.pods:
                yield Finding(kind, uuid, f"{what} of a pod that is not assigned to {host.hostname}", True)
    for volume in answer.volumes:
        if volume not in known.volumes:
            text = f"the engine of {host.hostname} has it, but nobody's record does; it may hold data, so remove it by hand"
            yield Finding("volume", volume, text, False)
    on_engine = {container.pod for container in answer.containers}
    for uuid, pod in known.pods.items():
        settled = pod.observed_generation >= pod.generation and pod.desired is not Desired.DELETED
        if settled and pod.phase in _ON_HOST and uuid not in on_engine:
            yield Finding(
                "pod", uuid, f"reported {pod.phase}, but the engine of {host.hostname} has nothing of it", False
            )
