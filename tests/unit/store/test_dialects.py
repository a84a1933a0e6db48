"""Every table and the upsert can be written in the three databases' own SQL."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from higgins.store.dialect import upsert
from higgins.store.tables import events, metadata

DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect(), "mysql": mysql.dialect()}
_INDEX_BYTES = 3072


@pytest.mark.parametrize(
    ("name", "words"),
    [("sqlite", "ON CONFLICT (pod_uuid, \"key\") DO UPDATE SET result"), ("postgresql", "ON CONFLICT (pod_uuid, key)"),
     ("mysql", "ON DUPLICATE KEY UPDATE result")],
)  # fmt: skip
def test_an_upsert_is_spelled_as_each_database_wants(name: str, words: str) -> None:
    statement = upsert(name, events, key=("pod_uuid", "key"), update=("result",))
    assert words in str(statement.compile(dialect=DIALECTS[name]))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_table_and_index_can_be_made(dialect: Dialect) -> None:
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert "INDEX" in str(CreateIndex(index).compile(dialect=dialect))


def test_no_index_is_longer_than_mariadb_allows() -> None:
    for table in metadata.sorted_tables:
        keys = [*(index.columns for index in table.indexes), *([column] for column in table.columns if column.unique)]
        for columns in keys:
            size = sum(
                4 * getattr(column.type, "length", None) if getattr(column.type, "length", None) else 8
                for column in columns
            )
            assert size <= _INDEX_BYTES, table.name
