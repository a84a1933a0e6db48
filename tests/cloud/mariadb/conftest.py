"""The store's and the loops' own tests once more, on a real MariaDB: the modules beside this file take them over; only the database differs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from higgins.store import migrate
from higgins.store.tables import metadata
from tests.cloud.cloud_world import Cloud
from tests.contract.conftest import counter, db, rows, sealer

__all__ = ["counter", "db", "rows", "sealer"]


@pytest.fixture(scope="session")
def migrated(cloud: Cloud) -> Iterator[str]:
    """The URL of a database of the tests' own in the cloud's server, brought to this release by its migrations."""
    name = f"test_{uuid.uuid4().hex[:10]}"
    server = f"mysql+pymysql://root@localhost/{{}}?unix_socket={cloud.place}/run/mysql.sock&charset=utf8mb4"
    engine = sa.create_engine(server.format(""))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    try:
        migrate.upgrade(server.format(name))
        yield server.format(name)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")
        engine.dispose()


@pytest.fixture
def url(migrated: str) -> str:
    """The database, with all tables empty."""
    engine = sa.create_engine(migrated)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
        for table in metadata.tables:
            connection.exec_driver_sql(f"DELETE FROM {table}")
    engine.dispose()
    return migrated
