"""Pages of a list: one way for all tables to sort, to start after a marker, and to stop."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from higgins.core import errors
from higgins.store import session


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list. ``marker`` is the uuid of the last row of the page before; ``limit`` None means all.

    ``sort_key`` is a column's name; rows of one value are ordered by when they were made.
    """

    marker: str | None = None
    limit: int | None = None
    sort_key: str = "id"
    sort_dir: Literal["asc", "desc"] = "asc"


EVERYTHING = Page()


def where_equal(
    query: sa.Select[Any], columns: Mapping[str, sa.ColumnElement[Any]], filters: Mapping[str, object]
) -> sa.Select[Any]:
    """The query with ``column = value`` for each filter; a tuple, list or set of values means any of them.

    ``Invalid`` for a filter that the table does not have.
    """
    for name, value in filters.items():
        column = columns.get(name)
        if column is None:
            raise errors.Invalid(f"There is no filter '{name}'. Filters are: {', '.join(sorted(columns))}.")
        if isinstance(value, tuple | list | set | frozenset):
            query = query.where(column.in_(value))
        else:
            query = query.where(column.is_(None) if value is None else column == value)
    return query


def cut(
    tx: session.Transaction,
    query: sa.Select[Any],
    page: Page,
    columns: Mapping[str, sa.ColumnElement[Any]],
    *,
    thing: str,
    visible: Sequence[sa.ColumnElement[bool]] = (),
) -> sa.Select[Any]:
    """The query, sorted and limited to one page.

    ``columns`` are what may be sorted by, with ``id`` and ``uuid`` among them; ``thing`` names a row in messages. A marker is
    looked for among the rows that ``visible`` allows: ``NotFound`` else, ``Invalid`` for an unknown sort key.
    """
    key = columns.get(page.sort_key)
    if key is None:
        raise errors.Invalid(
            f"Lists cannot be sorted by '{page.sort_key}'. Sort by one of: {', '.join(sorted(columns))}.",
            code="invalid-parameter-value",
        )
    row_id = columns["id"]
    down = page.sort_dir == "desc"
    if page.marker is not None:
        query = query.where(_after(tx, page.marker, key, columns, query, visible, thing, down=down))
    if page.limit is not None:
        query = query.limit(page.limit)
    if key is row_id:
        return query.order_by(row_id.desc() if down else row_id)
    # NULL sorts first on some databases and last on others; it is made the smallest everywhere.
    known = sa.case((key.is_(None), 0), else_=1)
    order = (known.desc(), key.desc(), row_id.desc()) if down else (known, key, row_id)
    return query.order_by(*order)


def _after(
    tx: session.Transaction,
    marker: str,
    key: sa.ColumnElement[Any],
    columns: Mapping[str, sa.ColumnElement[Any]],
    query: sa.Select[Any],
    conditions: Sequence[sa.ColumnElement[bool]],
    thing: str,
    *,
    down: bool,
) -> sa.ColumnElement[bool]:
    row_id: sa.ColumnElement[Any] = columns["id"]
    found = tx.row(
        sa.select(row_id, key).select_from(*query.get_final_froms()).where(columns["uuid"] == marker, *conditions)
    )
    if found is None:
        raise errors.NotFound(f"The marker {marker} is not the uuid of any {thing} you can see.")
    at_id, at = found[0], found[1]
    later: sa.ColumnElement[bool] = row_id < at_id if down else row_id > at_id
    if key is row_id:
        return later
    if at is None:
        return sa.and_(key.is_(None), later) if down else sa.or_(key.is_not(None), later)
    same = sa.and_(key == at, later)
    if down:
        return sa.or_(key < at, key.is_(None), same)
    return sa.or_(key > at, same)
