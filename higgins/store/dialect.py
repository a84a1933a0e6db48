"""The few statements that databases spell differently. Must not know any table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from higgins.core import errors

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


def lock_while_connected(connection: sa.Connection, name: str, *, wait_s: int) -> None:
    """Takes a named lock where a transaction does not keep others from changing tables: MariaDB. It ends with the connection, not before.

    So nobody else has it before this one's last commit. In a Galera cluster it is one server's lock: let one server take the schema's changes.
    Raises ``errors.Unavailable`` when another connection has it for longer than ``wait_s``.
    """
    if connection.dialect.name not in ("mysql", "mariadb"):
        return
    if connection.execute(sa.text("SELECT GET_LOCK(:name, :wait_s)"), {"name": name, "wait_s": wait_s}).scalar() != 1:
        raise errors.Unavailable(f"Another process has been at it for {wait_s} s: {name}. Try again when it has ended.")
