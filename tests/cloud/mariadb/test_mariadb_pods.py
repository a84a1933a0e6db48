"""tests/contract/store/test_store_pods.py on MariaDB."""

import sqlalchemy as sa

from higgins.core import model
from higgins.store.session import Database
from higgins.store.tables import metadata
from tests.contract.store.test_store_pods import *  # noqa: F403
from tests.contract.store_rows import Rows


def test_secrets_come_back_whole_and_stand_nowhere_readable(rows: Rows, db: Database) -> None:  # type: ignore[no-redef]
    """Its namesake looks into SQLite's file; this one into every column of every table."""
    mounts = (model.Mount(destination="/etc/key", kind="file", content=b"canary-file\x00\xff", read_only=True),)
    rows.pod("web", container={"mounts": mounts, "labels": {"plain": "seen"}})
    with db.read() as tx:
        stored = [value for table in metadata.sorted_tables for row in tx.rows(sa.select(table)) for value in row]
    written = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in stored)
    assert b"canary" not in written
    assert b"seen" in written
