"""The few statements that databases spell differently. Must not know any table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite


def upsert(dialect: str, table: sa.Table, *, key: Sequence[str], update: Sequence[str]) -> sa.Executable:
    """An INSERT that sets the columns ``update`` instead where a row with this unique ``key`` is there already."""
    if dialect in ("mysql", "mariadb"):
        into = mysql.insert(table)
        return into.on_duplicate_key_update({name: into.inserted[name] for name in update})
    insert: Any = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return insert.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=list(key), set_={name: insert.excluded[name] for name in update}
    )
