"""The few statements that databases spell differently. Must not know any table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

_CONNECT_S = 10
_STATEMENT_S = 120
"""Longer than any of ours takes; a server that hangs, or a network that drops every packet, must not hold a thread for ever."""


def connection_options(backend: str, busy_timeout_s: float, *, patient: bool) -> dict[str, Any]:
    """What the driver is told so that no wait is endless: for another writer's lock, for a connection, for an answer.

    ``patient`` waits for answers as long as they take: migrations of large tables.
    """
    if backend == "sqlite":
        return {"timeout": busy_timeout_s, "check_same_thread": False}
    if backend not in ("mysql", "mariadb"):
        return {"connect_timeout": _CONNECT_S}
    waits = {} if patient else {"read_timeout": _STATEMENT_S, "write_timeout": _STATEMENT_S}
    lock_s = max(1, math.ceil(busy_timeout_s))
    return {"connect_timeout": _CONNECT_S, "init_command": f"SET SESSION innodb_lock_wait_timeout = {lock_s}", **waits}


def upsert(dialect: str, table: sa.Table, *, key: Sequence[str], update: Sequence[str]) -> sa.Executable:
    """An INSERT that sets the columns ``update`` instead where a row with this unique ``key`` is there already."""
    if dialect in ("mysql", "mariadb"):
        into = mysql.insert(table)
        return into.on_duplicate_key_update({name: into.inserted[name] for name in update})
    insert: Any = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return insert.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=list(key), set_={name: insert.excluded[name] for name in update}
    )


@contextmanager
def one_at_a_time(connection: sa.Connection, name: str) -> Iterator[None]:
    """Holds a named lock for as long as the block lasts, where a transaction does not keep others from changing tables: MariaDB.

    In a Galera cluster it is one server's lock: let one server take the schema's changes.
    """
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    connection.execute(sa.text("SELECT GET_LOCK(:name, 600)"), {"name": name})
    try:
        yield
    finally:
        connection.execute(sa.text("SELECT RELEASE_LOCK(:name)"), {"name": name})
