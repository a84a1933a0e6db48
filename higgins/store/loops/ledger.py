"""Rows of ``ledger``: every outside thing that a pod has, written before it is asked for and struck after it is gone."""

from __future__ import annotations

import builtins
import dataclasses
import datetime
from collections.abc import Collection

import msgspec
import sqlalchemy as sa

from higgins.store.session import Transaction
from higgins.store.tables import ledger


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One row, typed. ``external_id`` and ``made_at`` are ``None`` until the outside has answered."""

    id: int
    pod_uuid: str
    kind: str
    key: str
    host_id: int | None
    external_id: str | None
    data: str | None
    asked_at: datetime.datetime
    made_at: datetime.datetime | None


_SELECT = sa.select(*(ledger.c[field.name] for field in dataclasses.fields(Entry)))


def ask(
    tx: Transaction, pod_uuid: str, kind: str, key: str, *, host_id: int | None, data: dict[str, str] | None = None
) -> None:
    """Note that a thing is about to be asked for; nothing happens when it is noted already."""
    this = (ledger.c.pod_uuid == pod_uuid, ledger.c.kind == kind, ledger.c.key == key)
    if tx.scalar(sa.select(ledger.c.id).where(*this)) is not None:
        return
    values = {"pod_uuid": pod_uuid, "kind": kind, "key": key, "host_id": host_id, "asked_at": tx.now}
    text = None if data is None else msgspec.json.encode(data).decode()
    tx.change(ledger.insert().values(data=text, **values))


def made(tx: Transaction, pod_uuid: str, kind: str, key: str, external_id: str) -> None:
    """Note that the thing is there and what the outside calls it."""
    this = (ledger.c.pod_uuid == pod_uuid, ledger.c.kind == kind, ledger.c.key == key)
    tx.change(ledger.update().where(*this).values(external_id=external_id, made_at=tx.now))


def strike(tx: Transaction, pod_uuid: str, kind: str, key: str) -> None:
    """Note that the thing is gone; nothing happens when it was struck already."""
    this = (ledger.c.pod_uuid == pod_uuid, ledger.c.kind == kind, ledger.c.key == key)
    tx.change(ledger.delete().where(*this))


def of(tx: Transaction, pod_uuids: Collection[str]) -> dict[str, builtins.list[Entry]]:
    """The entries of these pods, by pod, in the order they were asked for; a pod without any is left out."""
    found: dict[str, builtins.list[Entry]] = {}
    if pod_uuids:
        for row in tx.rows(_SELECT.where(ledger.c.pod_uuid.in_(sorted(pod_uuids))).order_by(ledger.c.id)):
            entry = Entry(*row)
            found.setdefault(entry.pod_uuid, []).append(entry)
    return found
