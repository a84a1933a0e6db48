"""Rows of ``hosts``: what an operator sets and what an agent says of itself.

Must not decide which host a pod gets; claims are taken in ``claims``.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import uuid as uuids
from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from higgins.core import errors, model
from higgins.core.defaults import HOST_DOWN_AFTER_S
from higgins.core.names import is_uuid
from higgins.store import page as pages
from higgins.store.seal import Sealer
from higgins.store.session import Row, Transaction
from higgins.store.tables import hosts, images, pods, volumes
from higgins.threads import typed_json


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """One row, typed. ``facts`` is ``None`` until the agent has said hello."""

    id: int
    uuid: str
    hostname: str
    availability_zone: str
    disabled: bool
    disabled_reason: str | None
    forced_down: bool
    version: int
    cpu_milli_claimed: int
    memory_mib_claimed: int
    disk_gib_claimed: int
    dedicated_cpus_claimed: int
    pods_claimed: int
    cpus: int
    dedicated_cpus: int
    memory_mib: int
    disk_gib: int
    facts: model.HostFacts | None
    live_address: str | None
    live_token: bytes | None = dataclasses.field(repr=False)
    report_number: int
    report_count: int
    last_seen_at: datetime.datetime | None
    created_at: datetime.datetime
    updated_at: datetime.datetime | None

    def is_up(self, now: datetime.datetime, down_after_s: float = HOST_DOWN_AFTER_S) -> bool:
        """Whether its agent was heard of lately and nobody forced it down."""
        if self.forced_down or self.last_seen_at is None:
            return False
        return (now - self.last_seen_at).total_seconds() < down_after_s


_NAMES = tuple(field.name for field in dataclasses.fields(Host))
_FACTS = _NAMES.index("facts")
_SELECT = sa.select(*(hosts.c[name] for name in _NAMES))
_SORTS: dict[str, sa.ColumnElement[Any]] = {
    name: hosts.c[name] for name in _NAMES if name not in {"facts", "live_address", "live_token"}
}
_encoder = msgspec.json.Encoder()


def _host(row: Row) -> Host:
    values: builtins.list[Any] = builtins.list(row)
    if values[_FACTS] is not None:
        values[_FACTS] = typed_json.decode(values[_FACTS], model.HostFacts)
    return Host(*values)


def get(tx: Transaction, ident: str, *, hold: bool = False) -> Host:
    """The host of this uuid or hostname; ``NotFound``. ``hold`` lets nobody else change it, or give it anything, before the transaction ends."""
    query = _SELECT.where(hosts.c.uuid == ident if is_uuid(ident) else hosts.c.hostname == ident)
    row = tx.row(query.with_for_update() if hold else query)
    if row is None:
        raise errors.NotFound(f"The host {ident} could not be found.", code="host-not-found")
    return _host(row)


def by_id(tx: Transaction, host_id: int) -> Host:
    """The host of this row id; ``NotFound``."""
    row = tx.row(_SELECT.where(hosts.c.id == host_id))
    if row is None:
        raise errors.NotFound("The host could not be found.", code="host-not-found")
    return _host(row)


def by_ids(tx: Transaction, host_ids: Collection[int]) -> dict[int | None, Host]:
    """The hosts of these row ids, by id; one that is no more is left out."""
    if not host_ids:
        return {}
    return {host.id: host for host in (_host(row) for row in tx.rows(_SELECT.where(hosts.c.id.in_(sorted(host_ids)))))}


def list(tx: Transaction, page: pages.Page = pages.EVERYTHING) -> builtins.list[Host]:  # noqa: A001 - hosts.list
    """All hosts."""
    return [_host(row) for row in tx.rows(pages.cut(tx, _SELECT, page, _SORTS, thing="host"))]


def zones(tx: Transaction) -> builtins.list[str]:
    """Names of the availability zones that have a host, sorted."""
    rows = tx.rows(sa.select(hosts.c.availability_zone).distinct().order_by(hosts.c.availability_zone))
    return [row[0] for row in rows]


def enroll(tx: Transaction, hostname: str, credential_hash: str, *, availability_zone: str = "nova") -> str:
    """Let a host in, or give a known one a new credential; gives its uuid. The credential is the SHA-256 of its token in hex."""
    known = tx.row(sa.select(hosts.c.uuid).where(hosts.c.hostname == hostname))
    if known is not None:
        changed = {"credential_hash": credential_hash, "updated_at": tx.now}
        tx.change(hosts.update().where(hosts.c.hostname == hostname).values(**changed))
        return str(known[0])
    uuid = str(uuids.uuid4())
    tx.change(
        hosts.insert().values(
            uuid=uuid,
            hostname=hostname,
            credential_hash=credential_hash,
            availability_zone=availability_zone,
            version=1,  # 0 is what an agent asks with that has nothing yet
            created_at=tx.now,
        )
    )
    return uuid


def enable(tx: Transaction, ident: str) -> Host:
    """Let the scheduler use a host again."""
    return _set(tx, ident, disabled=False, disabled_reason=None)


def disable(tx: Transaction, ident: str, reason: str | None = None) -> Host:
    """Give a host no new pods; those it has go on."""
    return _set(tx, ident, disabled=True, disabled_reason=reason)


def force_down(tx: Transaction, ident: str, forced_down: bool) -> Host:
    """Say that a host is down whatever its agent says, or take that back."""
    return _set(tx, ident, forced_down=forced_down)


def _set(tx: Transaction, ident: str, **values: Any) -> Host:
    host = get(tx, ident)
    tx.change(hosts.update().where(hosts.c.id == host.id).values(updated_at=tx.now, **values))
    return dataclasses.replace(host, updated_at=tx.now, **values)


def delete(tx: Transaction, ident: str) -> None:
    """Forget a host; ``Conflict`` while something is assigned to it."""
    host = get(tx, ident, hold=True)
    for table, things in ((pods, "containers"), (volumes, "volumes"), (images, "images")):
        if tx.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.host_id == host.id)):
            raise errors.Conflict(f"The host {host.hostname} still has {things}. Delete them first.")
    tx.change(hosts.delete().where(hosts.c.id == host.id))


def hello(
    tx: Transaction, host_id: int, facts: model.HostFacts, live_address: str, live_token: str, sealer: Sealer
) -> tuple[str, int]:
    """Take what an agent says at its start; gives the host's uuid and the number of the last report taken of it."""
    host = by_id(tx, host_id)
    sealed = sealer.seal(live_token.encode(), _token_context(host.uuid))
    values = facts_columns(facts) | {"live_address": live_address, "live_token": sealed}
    values |= {"last_seen_at": tx.now, "updated_at": tx.now}
    tx.change(hosts.update().where(hosts.c.id == host_id).values(**values))
    return host.uuid, host.report_number


def facts_columns(facts: model.HostFacts) -> dict[str, Any]:
    """The columns that an agent's inventory sets. The hostname stays what the host was enrolled as."""
    return {
        "facts": _encoder.encode(facts).decode(),
        "cpus": facts.cpus,
        "dedicated_cpus": facts.dedicated_cpus,
        "memory_mib": facts.memory_mib,
        "disk_gib": facts.disk_gib,
    }


def live(host: Host, sealer: Sealer) -> tuple[str, str]:
    """Where live questions reach a host's agent, and the token to ask with; ``Unavailable`` before its first hello."""
    if host.live_address is None or host.live_token is None:
        raise errors.Unavailable("The agent of the container's host has not come up yet. Try again in a moment.")
    return host.live_address, sealer.open(host.live_token, _token_context(host.uuid)).decode()


def _token_context(host_uuid: str) -> str:
    return f"hosts/{host_uuid}/live_token"


def seen(tx: Transaction, host_ids: builtins.list[int]) -> None:
    """Note that these hosts' agents were heard of."""
    tx.change(hosts.update().where(hosts.c.id.in_(host_ids)).values(last_seen_at=tx.now))


def by_credential(tx: Transaction, credential_hash: str) -> tuple[int, str, str] | None:
    """The id, uuid and credential hash of the host with this credential."""
    row = tx.row(
        sa.select(hosts.c.id, hosts.c.uuid, hosts.c.credential_hash).where(hosts.c.credential_hash == credential_hash)
    )
    return None if row is None else (row[0], row[1], row[2])


def versions(tx: Transaction, host_ids: builtins.list[int]) -> dict[int, int]:
    """The versions of these hosts' wishes."""
    rows = tx.rows(sa.select(hosts.c.id, hosts.c.version).where(hosts.c.id.in_(host_ids)))
    return {row[0]: row[1] for row in rows}
