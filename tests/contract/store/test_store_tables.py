"""Migrations give the tables the code expects; transactions keep what they promise when a process dies or threads race."""

from __future__ import annotations

import concurrent.futures
import datetime
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa

from higgins.core import errors
from higgins.store import migrate, quotas, session, tables
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database
from tests.contract.store_rows import NO_LIMITS, Rows


def _structure(url: str) -> dict[str, tuple[str, ...]]:
    """Every table and index as the database itself describes it, without the order of the lines."""
    db = Database(url)
    with db.read() as tx:
        found = tx.rows(sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    db.close()
    return {row[0]: _parts(row[1]) for row in found}


def _parts(sql: str) -> tuple[str, ...]:
    """What comes before the outer parentheses, and what stands between the commas in them."""
    head, _, rest = " ".join(sql.split()).partition("(")
    body, _, _ = rest.rpartition(")")
    return (head.strip(), *sorted(part.strip() for part in re.split(r",(?![^(]*\))", body)))


def test_migrating_an_empty_database_makes_exactly_the_tables(url: str, tmp_path: pathlib.Path) -> None:
    other = f"sqlite:///{tmp_path}/created.db"
    db = Database(other)
    tables.metadata.create_all(db.engine)
    db.close()
    made = _structure(url)
    made.pop("alembic_version")
    assert made == _structure(other)
    assert migrate.differences(url) == []
    assert migrate.current(url) == migrate.head()


def test_migrating_again_changes_nothing(url: str) -> None:
    before = _structure(url)
    migrate.upgrade(url)
    assert _structure(url) == before


def test_an_empty_database_says_what_to_run(tmp_path: pathlib.Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    assert migrate.current(url) is None
    db = Database(url)
    with db.read() as tx, pytest.raises(errors.NotReady, match="higgins-manage db upgrade"):
        quotas.usage(tx, "project")
    db.close()


_DIES = """
import os, signal, sys
from higgins.store import quotas, session
db = session.Database(sys.argv[1])
with db.write() as tx:
    quotas.take(tx, "project", quotas.Limits(), containers=1)
with db.write() as tx:
    quotas.take(tx, "project", quotas.Limits(), containers=7)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_killed_inside_a_transaction_leaves_nothing_of_it_and_no_lock(url: str, rows: Rows) -> None:
    ended = subprocess.run([sys.executable, "-c", _DIES, url], check=False, timeout=240)
    assert ended.returncode == -signal.SIGKILL
    assert rows.usage().containers == 1
    with rows.db.write() as tx:
        quotas.take(tx, "project", containers=1)
    assert rows.usage().containers == 2


def test_a_block_that_raises_changes_nothing(rows: Rows) -> None:
    def work() -> None:
        with rows.db.write() as tx:
            quotas.take(tx, "project", containers=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert rows.usage().containers == 0


def test_a_writer_of_another_process_makes_us_wait_and_then_say_busy(url: str) -> None:
    holder, hurried = Database(url), Database(url, busy_timeout_s=0.05)
    with holder.write(), pytest.raises(session.Busy) as caught, hurried.write():
        pass
    assert caught.value.retryable
    assert caught.value.http_status == 503
    holder.close()
    hurried.close()


def test_retrying_runs_the_whole_again_when_another_writer_was_first(db: Database) -> None:
    tried = []

    def work(tx: session.Transaction) -> str:
        tried.append(tx)
        if len(tried) < 3:
            raise session.Overtaken("another was first")
        return "done"

    assert db.retrying(work) == "done"
    assert len(set(map(id, tried))) == len(tried) == 3


@pytest.mark.parametrize("refusal", [errors.IllegalState, errors.Conflict])
def test_retrying_does_not_repeat_what_is_refused(db: Database, refusal: type[errors.Conflict]) -> None:
    tried = []

    def work(tx: session.Transaction) -> None:
        tried.append(tx)
        raise refusal("it runs")

    with pytest.raises(refusal):
        db.retrying(work)
    assert len(tried) == 1


def test_a_thousand_parallel_takes_never_exceed_a_quota(db: Database, rows: Rows) -> None:
    limit, threads, each = 100, 20, 50
    taken, refused = [], []
    gate = threading.Barrier(threads)

    def create(_: int) -> None:
        gate.wait(60)
        for _ in range(each):
            try:
                db.retrying(
                    lambda tx: quotas.take(tx, "project", quotas.Limits(containers=limit, cpu=-1), containers=1)
                )
                taken.append(1)
            except errors.OverQuota:
                refused.append(1)

    with concurrent.futures.ThreadPoolExecutor(threads) as workers:
        list(workers.map(create, range(threads)))
    assert (len(taken), len(refused)) == (limit, threads * each - limit)
    assert rows.usage().containers == limit


def test_quota_says_what_there_is_too_little_of(rows: Rows) -> None:
    with rows.db.write() as tx:
        quotas.set_class_limits(tx, "default", {"memory": 1000, "cpu": 2})
        quotas.set_limits(tx, "project", {"memory": 600})
        assert quotas.limits(tx, "project") == quotas.Limits(cpu=2, memory=600)
        quotas.take(tx, "project", containers=1, memory_mib=512, cpu_milli=1500)
    with (
        rows.db.write() as tx,
        pytest.raises(errors.OverQuota, match=r"memory: the limit is 600 MiB, in use are 512 MiB"),
    ):
        quotas.take(tx, "project", containers=1, memory_mib=89)
    with (
        rows.db.write() as tx,
        pytest.raises(errors.OverQuota, match=r"cpu: the limit is 2 processors, in use are 1.5"),
    ):
        quotas.take(tx, "project", containers=1, cpu_milli=501)
    with rows.db.write() as tx:
        quotas.take(tx, "project", cpu_milli=-500, memory_mib=88)
        quotas.drop_limits(tx, "project")
        assert quotas.limits(tx, "project").memory == 1000
    assert rows.usage() == quotas.Usage(containers=1, cpu_milli=1000, memory_mib=600)


def test_a_limit_below_what_is_used_refuses_more_and_lets_less_through(rows: Rows) -> None:
    with rows.db.write() as tx:
        quotas.take(tx, "project", NO_LIMITS, containers=5)
        quotas.set_limits(tx, "project", {"containers": 3})
        quotas.take(tx, "project", containers=-1)
        with pytest.raises(errors.OverQuota):
            quotas.take(tx, "project", containers=1)
        quotas.set_limits(tx, "project", {"containers": -1})
        quotas.take(tx, "project", containers=100)
    assert rows.usage().containers == 104


def test_an_installation_refuses_another_key(rows: Rows, sealer: Sealer) -> None:
    with rows.db.write() as tx:
        uuid = installation.ensure(tx, sealer)
        assert installation.ensure(tx, sealer) == uuid == installation.uuid(tx)
        with pytest.raises(errors.NotReady, match="another key"):
            installation.ensure(tx, Sealer(os.urandom(32)))


def test_time_is_utc_without_a_zone(db: Database) -> None:
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert db.now().tzinfo is None
    assert abs(db.now() - now) < datetime.timedelta(minutes=1)
