"""``higgins-manage audit``: compares the database with itself, and with what hosts and the cloud really have, and repairs on request."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from higgins.core import errors
from higgins.core.caller import Scope
from higgins.core.phase import Desired, Phase
from higgins.provision.audits.stray import Audit, Stray, settled
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
        inside = audit.findings(tx, stuck_after_s=stuck_after_s)
        every_host = hosts.list(tx)
    outside: list[Finding] = []
    for host in every_host:
        outside += _look_at_host(database, host, sealer, agents_ca_file, repair=repair)
    covered: set[tuple[str, str, str]] = set()
    for service in services:
        strays, found = _look_at_service(database, service, repair=repair)
        covered |= {(one.kind, one.ident, one.text) for one in strays}
        outside += found
    repaired = 0
    if repair:
        repaired = database.retrying(audit.repair)
        repaired += sum(one.repairable for one in outside)
    return Result([*(one for one in inside if (one.kind, one.ident, one.text) not in covered), *outside], repaired)


def _look_at_service(database: Database, service: Audit, *, repair: bool) -> tuple[list[Finding], list[Finding]]:
    """What was found, and the same as it is to be told: what could not be put right says why."""
    try:
        strays = settled(database, service)
    except errors.HigginsError as error:
        return [], [Finding("service", service.title, f"it could not be asked: {error.message}", False)]
    told = [_put_right(one) if repair else one.finding for one in strays]
    return [one.finding for one in strays], told


def _put_right(one: Stray) -> Finding:
    try:
        if one.put_right is not None:
            one.put_right()
    except errors.HigginsError as error:
        return dataclasses.replace(
            one.finding, text=f"{one.finding.text}; putting it right failed: {error.message}", repairable=False
        )
    return one.finding


def _look_at_host(
    database: Database, host: Host, sealer: Sealer, ca_file: str | None, *, repair: bool
) -> list[Finding]:
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
        return [Finding("host", host.hostname, f"it could not be asked: {error.message}", False)]
    return found if removed is None else [_unless_left(finding, removed) for finding in found]


def _unless_left(finding: Finding, removed: AuditAnswer) -> Finding:
    """As it is to be told once the host has removed what it could."""
    gone = {
        "container": {one.uuid for one in removed.containers},
        "files": set(removed.leftover_files),
        "network": set(removed.leftover_networks),
        "mount": set(removed.leftover_volumes),
    }
    if not finding.repairable or finding.ident in gone[finding.kind]:
        return finding
    text = f"{finding.text}; the host did not remove it, so run the audit again"
    return dataclasses.replace(finding, text=text, repairable=False)


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
            text = (
                f"reported {pod.phase}, but the engine of {host.hostname} has nothing of it; the host looks at it again"
            )
            yield Finding("pod", uuid, text, False)
