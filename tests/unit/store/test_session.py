"""Foreign errors of databases become ours in one place, by what a caller can do about them."""

from __future__ import annotations

import pathlib

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from higgins.core import errors
from higgins.store import session
from higgins.store.session import translate


def foreign(kind: type[exc.DBAPIError], text: str) -> exc.DBAPIError:
    return kind("SELECT 1", {}, Exception(text))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (foreign(exc.OperationalError, "database is locked"), session.Busy),
        (foreign(exc.OperationalError, "(1213, 'Deadlock found when trying to get lock')"), session.Busy),
        (foreign(exc.OperationalError, "(1205, 'Lock wait timeout exceeded')"), session.Busy),
        (foreign(exc.DBAPIError, "could not serialize access due to concurrent update"), session.Busy),
        (exc.TimeoutError("QueuePool limit"), session.Busy),
        (foreign(exc.OperationalError, "no such table: pods"), errors.NotReady),
        (foreign(exc.ProgrammingError, "(1146, \"Table 'h.pods' doesn't exist\")"), errors.NotReady),
        (foreign(exc.OperationalError, "database or disk is full"), errors.Unavailable),
        (foreign(exc.OperationalError, "(2006, 'MySQL server has gone away')"), errors.Unavailable),
        (foreign(exc.OperationalError, "unable to open database file"), errors.Unavailable),
        (foreign(exc.IntegrityError, "UNIQUE constraint failed: pods.uuid"), session.Duplicate),
        (foreign(exc.IntegrityError, "(1062, \"Duplicate entry 'x' for key 'y'\")"), session.Duplicate),
        (foreign(exc.IntegrityError, 'duplicate key value violates unique constraint "x"'), session.Duplicate),
    ],
)
def test_a_known_error_says_what_can_be_done(error: exc.SQLAlchemyError, kind: type[errors.HigginsError]) -> None:
    known = translate(error)
    assert type(known) is kind
    assert "SELECT" not in known.message


@pytest.mark.parametrize(
    "error",
    [
        foreign(exc.IntegrityError, "NOT NULL constraint failed: pods.uuid"),
        foreign(exc.ProgrammingError, "near SELEKT: syntax error"),
        exc.ArgumentError("a mistake of ours"),
    ],
)
def test_a_mistake_of_ours_stays_what_it_is(error: exc.SQLAlchemyError) -> None:
    assert translate(error) is None


@pytest.mark.parametrize(
    ("durable", "one_machine", "asked", "waits"),
    [
        (True, True, True, True),
        (True, True, False, False),
        (True, False, True, True),
        (True, False, False, True),
        (False, True, True, False),
        (False, False, False, False),
    ],
)
def test_a_commit_waits_for_the_disk_unless_one_machine_need_not(
    tmp_path: pathlib.Path, durable: bool, one_machine: bool, asked: bool, waits: bool
) -> None:
    db = session.Database(f"sqlite:///{tmp_path}/one.db", durable=durable, one_machine=one_machine)
    for _ in range(2):  # the second time on the connection of the first, which was used otherwise meanwhile
        with db.write(durable=asked) as tx:
            assert tx.scalar(sa.text("PRAGMA synchronous")) == (2 if waits else 1)
        with db.write(durable=not asked) as tx:
            tx.change(sa.text("CREATE TABLE IF NOT EXISTS things (id INTEGER)"))
    db.close()
