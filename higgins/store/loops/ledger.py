"""Rows of ``ledger``: every outside thing that a pod has, written before it is asked for and struck after it is gone."""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import enum
from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa

from higgins.store.seal import Sealer
from higgins.store.session import Overtaken, Row, Transaction
from higgins.store.tables import ledger


class KindName(enum.StrEnum):
    """What the kinds of things are called in ``kind``; the key of each entry tells which of that kind it is.

    Hosts are told of a port, an attachment and an image: as ``model.Plug``, ``model.VolumeGrant`` (sealed) and ``model.ImageGrant``.
    """

    ALLOCATION = "allocation"
    PORT = "port"
    SECURITY_GROUP = "security_group"
    VOLUME = "volume"
    NEW_VOLUME = "cinder_volume"
    ATTACHMENT = "attachment"
    IMAGE = "image"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One row, typed. ``external_id`` is ``None`` until the outside has answered, ``made_at`` until the thing is there.

    ``data`` and ``sealed`` are what the host is told of the thing, ``sealed`` readable with ``secret``. ``released_at`` is the pod's generation
    that wants it no more, ``None`` while it is wanted.
    """

    id: int
    pod_uuid: str
    kind: str
    key: str
    host_id: int | None
    external_id: str | None
    shape: str
    data: str | None
    sealed: bytes | None = dataclasses.field(repr=False)
    released_at: int | None
    asked_at: datetime.datetime
    made_at: datetime.datetime | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A thing that is about to be asked for."""

    kind: str
    key: str
    shape: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A thing that is there: what the outside calls it, and what the host is told of it, openly and sealed."""

    kind: str
    key: str
    shape: str
    external_id: str
    data: str | None = None
    secret: bytes | None = dataclasses.field(default=None, repr=False)


_SELECT = sa.select(*(ledger.c[field.name] for field in dataclasses.fields(Entry)))


def ask(
    tx: Transaction,
    pod_uuid: str,
    things: Iterable[Asked],
    *,
    host_id: int | None,
    known: Collection[tuple[str, str]] = (),
) -> None:
    """Note that these are about to be asked for; one that is ``known`` (kind and key) only counts as not confirmed, and as wanted, again."""
    new = []
    for thing in things:
        if (thing.kind, thing.key) in known:
            again = ledger.update().where(*_this(pod_uuid, thing.kind, thing.key))
            tx.change(again.values(made_at=None, released_at=None, host_id=host_id))
        else:
            row = {"pod_uuid": pod_uuid, "kind": thing.kind, "key": thing.key, "shape": thing.shape}
            new.append(row | {"host_id": host_id, "asked_at": tx.now})
    if new:
        tx.change_many(ledger.insert(), new)


def made(tx: Transaction, pod_uuid: str, things: Iterable[Answered], sealer: Sealer) -> builtins.list[tuple[str, str]]:
    """Note that these are there, and how; gives those (kind and key) that somebody has struck meanwhile."""
    lost = []
    for thing in things:
        sealed = None if thing.secret is None else sealer.seal(thing.secret, _context(pod_uuid, thing.kind, thing.key))
        update = ledger.update().where(*_this(pod_uuid, thing.kind, thing.key))
        values = {"external_id": thing.external_id, "shape": thing.shape, "data": thing.data, "sealed": sealed}
        if not tx.change(update.values(made_at=tx.now, **values)):
            lost.append((thing.kind, thing.key))
    return lost


def begun(tx: Transaction, pod_uuid: str, things: Mapping[tuple[str, str], str]) -> builtins.list[tuple[str, str]]:
    """Note what the outside calls these (by kind and key) that it still makes; gives those that somebody has struck meanwhile."""
    return [
        (kind, key)
        for (kind, key), external_id in things.items()
        if not tx.change(ledger.update().where(*_this(pod_uuid, kind, key)).values(external_id=external_id))
    ]


def discarded(tx: Transaction, pod_uuid: str, kind: str, key: str, external_id: str | None, data: str | None) -> None:
    """Forget what the outside called a thing, which it has not any more, and keep this data for the next try; nothing happens when somebody
    has got another one since.
    """
    is_that = (ledger.c.external_id.is_not_distinct_from(external_id), ledger.c.made_at.is_(None))
    tx.change(ledger.update().where(*_this(pod_uuid, kind, key), *is_that).values(external_id=None, data=data))


def note(tx: Transaction, pod_uuid: str, kind: str, key: str, data: str) -> None:
    """Keep data of a thing (kind and key) that is about to be asked for; ``Overtaken`` when somebody has struck it meanwhile."""
    if not tx.change(ledger.update().where(*_this(pod_uuid, kind, key)).values(data=data)):
        raise Overtaken(f"The {kind} {key} of the pod {pod_uuid} is wanted no more.")


def release(tx: Transaction, pod_uuid: str, things: Iterable[tuple[str, str]], generation: int) -> None:
    """Note that from this generation of the pod on these (kind and key) are wanted no more."""
    for kind, key in things:
        tx.change(ledger.update().where(*_this(pod_uuid, kind, key)).values(released_at=generation))


def doubt(tx: Transaction, pod_uuid: str, things: Iterable[tuple[str, str]], *, forget: bool) -> None:
    """Note that nobody knows any more how these (kind and key) are; with ``forget`` that what the outside called them is no more."""
    values = {"made_at": None} | ({"external_id": None} if forget else {})
    _change_all(tx, pod_uuid, things, ledger.update().values(**values))


def strike(tx: Transaction, pod_uuid: str, things: Iterable[tuple[str, str]]) -> None:
    """Note that these (kind and key) are gone; nothing happens to what was struck already."""
    _change_all(tx, pod_uuid, things, ledger.delete())


def of(tx: Transaction, pod_uuids: Collection[str]) -> dict[str, builtins.list[Entry]]:
    """The entries of these pods, by pod, in the order they were asked for; a pod without any is left out."""
    found: dict[str, builtins.list[Entry]] = {}
    if pod_uuids:
        for row in tx.rows(_SELECT.where(ledger.c.pod_uuid.in_(sorted(pod_uuids))).order_by(ledger.c.id)):
            entry = _entry(row)
            found.setdefault(entry.pod_uuid, []).append(entry)
    return found


def every(tx: Transaction, kinds: Collection[str] | None) -> builtins.list[Entry]:
    """All entries of these kinds, or of all, of all pods, for an audit."""
    query = _SELECT if kinds is None else _SELECT.where(ledger.c.kind.in_(sorted(kinds)))
    return [_entry(row) for row in tx.rows(query.order_by(ledger.c.id))]


def secret(entry: Entry, sealer: Sealer) -> bytes | None:
    """What the entry holds sealed."""
    if entry.sealed is None:
        return None
    return sealer.open(entry.sealed, _context(entry.pod_uuid, entry.kind, entry.key))


def _entry(row: Row) -> Entry:
    return Entry(*row)


def _change_all(
    tx: Transaction, pod_uuid: str, things: Iterable[tuple[str, str]], change: sa.Update | sa.Delete
) -> None:
    """One statement for all of them, none for nothing."""
    found = sorted(things)
    if found:
        tx.change(change.where(ledger.c.pod_uuid == pod_uuid, sa.tuple_(ledger.c.kind, ledger.c.key).in_(found)))


def _this(pod_uuid: str, kind: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (ledger.c.pod_uuid == pod_uuid, ledger.c.kind == kind, ledger.c.key == key)


def _context(pod_uuid: str, kind: str, key: str) -> str:
    return f"ledger {pod_uuid} {kind} {key}"
