"""Foreign errors of databases become ours in one place, by what a caller can do about them."""

from __future__ import annotations

import pytest
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
