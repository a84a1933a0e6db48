"""Tables and locks of a real MariaDB: what migrations make there, and what two writers of one row meet."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from higgins.core import errors
from higgins.store import migrate
from higgins.store.dialect import lock_while_connected
from higgins.store.session import Busy, Database
from higgins.store.tables import hosts, metadata
from tests.contract.store_rows import Rows


@pytest.fixture
def empty(url: str) -> Iterator[str]:
    """The URL of a second database, without tables."""
    engine = sa.create_engine(url)
    name = f"{engine.url.database}_b"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    yield engine.url.set(database=name).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")
    engine.dispose()


def _slowly(_connection: sa.Connection) -> None:
    time.sleep(0.3)


def test_migrations_make_exactly_the_tables(url: str) -> None:
    assert migrate.current(url) == migrate.head()
    assert migrate.differences(url) == []


def test_upgrades_side_by_side_wait_for_each_other(empty: str) -> None:
    sa.event.listen(sa.Engine, "commit", _slowly)  # whoever does not wait for the commit reads what is no longer so
    try:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(migrate.upgrade, [empty] * 3))
        assert migrate.current(empty) == migrate.head()
    finally:
        sa.event.remove(sa.Engine, "commit", _slowly)


class Killed(Exception):
    """As if the process had ended there."""


def test_an_upgrade_that_breaks_off_after_any_change_of_a_table_goes_on_when_it_is_run_anew(empty: str) -> None:
    changes = []

    def die(_connection, _cursor, statement: str, *_) -> None:
        if statement.split()[0] in {"CREATE", "ALTER"}:
            changes.append(statement)
            raise Killed

    broke_off = 0
    sa.event.listen(sa.Engine, "after_cursor_execute", die)
    try:
        while True:
            try:
                migrate.upgrade(empty)
                break
            except Killed:
                broke_off += 1
                assert len(changes) == broke_off == len(set(changes)), changes[-1]
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", die)
    assert broke_off > len(metadata.tables)
    assert migrate.current(empty) == migrate.head()
    assert migrate.differences(empty) == []


def test_who_waits_too_long_for_another_upgrade_is_told_so(url: str) -> None:
    first, second = Database(url), Database(url)
    try:
        with first.read() as holder, second.read() as hurried:
            lock_while_connected(holder.connection, "an upgrade", wait_s=1)
            with pytest.raises(errors.Unavailable, match="1 s: an upgrade"):
                lock_while_connected(hurried.connection, "an upgrade", wait_s=1)
        first.close()
        with second.read() as hurried:
            lock_while_connected(hurried.connection, "an upgrade", wait_s=1)
    finally:
        first.close()
        second.close()


def test_who_waits_too_long_for_another_writer_is_told_that_it_is_busy(url: str, rows: Rows) -> None:
    rows.host("host1")
    holder, hurried = Database(url), Database(url, busy_timeout_s=1)
    change = hosts.update().values(disabled_reason="mine")
    with holder.write() as tx:
        tx.change(change)
        with pytest.raises(Busy), hurried.write() as other:
            other.change(change)
    with hurried.write() as other:
        assert other.change(change) == 1
    for db in (holder, hurried):
        db.close()


def test_of_two_in_a_deadlock_one_is_busy_and_goes_through_when_run_anew(url: str, rows: Rows) -> None:
    ids = [rows.host("host1"), rows.host("host2")]
    db, both = Database(url), threading.Barrier(2, timeout=20)
    runs = []

    def cross(first: int, second: int) -> None:
        met = []

        def work(tx) -> None:
            runs.append(first)
            tx.change(hosts.update().where(hosts.c.id == first).values(version=hosts.c.version + 1))
            if not met:  # only the first time: the second one has the row for itself
                met.append(both.wait())
            tx.change(hosts.update().where(hosts.c.id == second).values(version=hosts.c.version + 1))

        db.retrying(work)

    before = [rows.host_row(name).version for name in ("host1", "host2")]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(cross, *ids), pool.submit(cross, *reversed(ids))]:
            done.result(60)
    assert [rows.host_row(name).version for name in ("host1", "host2")] == [number + 2 for number in before]
    assert len(runs) == 3
    db.close()
