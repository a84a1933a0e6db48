"""Opens the database and lends transactions, so that no other module knows drivers, locks or foreign errors.

Must not know any table. SQLite, MariaDB and PostgreSQL are spoken; what differs between them is decided here and in ``dialect``.
"""

from __future__ import annotations

import contextlib
import datetime
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from higgins.core import errors
from higgins.store import dialect

T = TypeVar("T")
Row = sa.Row[*tuple[Any, ...]]

_BUSY_MARKS = ("locked", "busy", "deadlock", "lock wait timeout", "could not serialize", "has changed since last read")
_SCHEMA_MARKS = ("no such table", "no such column", "doesn't exist", "does not exist", "unknown column")
_FULL_MARKS = ("disk is full", "no space left", "is full")
_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
"""For the transaction that it is said in alone. Of SQLite's, each sees one moment anyway."""


class Overtaken(errors.Conflict):
    """Another writer was first: what a guarded change had read does not hold any more. Read anew, the same change may go through."""


class Duplicate(errors.Conflict):
    """A row with one of these unique values is there already; callers turn it into a sentence about the thing."""

    code = "duplicate"


class Busy(errors.Unavailable):
    """Another writer was in the way and nothing was changed: the whole transaction may be tried again."""

    code = "database-busy"


class Observer(Protocol):
    """Told of the work a database is asked to do; called on the thread that does it."""

    def statement(self, sql: str) -> None:
        """One statement (or one batch of the same statement) was sent."""
        ...

    def commit(self) -> None:
        """One write transaction was committed."""
        ...


def utc_now() -> datetime.datetime:
    """The time as it stands in the database: UTC without a zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def translate(error: exc.SQLAlchemyError) -> errors.HigginsError | None:
    """What a database's error means to a caller; ``None`` for an error that is a mistake of ours."""
    if isinstance(error, exc.IntegrityError):
        text = str(error.orig).lower()
        return Duplicate("It is there already.") if "unique" in text or "duplicate" in text else None
    if isinstance(error, exc.TimeoutError):
        return Busy("The database is busy. Try again in a moment.")
    if not isinstance(error, exc.DBAPIError):
        return None
    text = str(error.orig).lower()
    if any(mark in text for mark in _BUSY_MARKS):
        return Busy("The database is busy. Try again in a moment.")
    if any(mark in text for mark in _SCHEMA_MARKS):
        return errors.NotReady("The database does not have this release's tables. Run: higgins-manage db upgrade")
    if any(mark in text for mark in _FULL_MARKS):
        return errors.Unavailable("The database has no disk space left. Free some, then try again.")
    if error.connection_invalidated or isinstance(error, exc.OperationalError | exc.InterfaceError):
        return errors.Unavailable("The database does not answer. Try again in a moment.")
    return None


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.SQLAlchemyError as error:
        known = translate(error)
        if known is None:
            raise
        raise known from error


class Transaction:
    """One transaction of one thread. ``now`` is the time it began, the same for all that it writes."""

    __slots__ = ("_observer", "connection", "dialect", "now")

    def __init__(self, connection: sa.Connection, now: datetime.datetime, observer: Observer | None) -> None:
        self.connection = connection
        self._observer = observer
        self.dialect = connection.dialect.name
        self.now = now

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[*tuple[Any, ...]]:
        """The raw result, for the few who need an inserted key; others use the four below."""
        if self._observer is not None:
            self._observer.statement(str(statement))
        with _translated():
            return self.connection.execute(statement, parameters)

    def rows(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """All rows of a query."""
        result = self.execute(statement, parameters)
        with _translated():
            return result.fetchall()

    def row(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Row | None:
        """The first row of a query, if there is one."""
        result = self.execute(statement, parameters)
        with _translated():
            return result.first()

    def scalar(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row, or ``None``."""
        found = self.row(statement, parameters)
        return None if found is None else found[0]

    def change(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> int:
        """How many rows an UPDATE, INSERT or DELETE matched."""
        return self.execute(statement, parameters).rowcount

    def change_many(self, statement: sa.Executable, parameters: Sequence[Mapping[str, Any]]) -> int:
        """One statement with many parameter sets; how many rows were matched in all. Nothing happens without sets."""
        if not parameters:
            return 0
        return self.execute(statement, list(parameters)).rowcount


class Database:
    """A database and its connections; shared by all threads of a process.

    ``url`` is SQLAlchemy's (``sqlite:////path/to/file``). A SQLite file is opened in WAL mode; ``durable`` makes each commit
    wait for the disk, so that what was accepted outlives a power cut. ``one_machine`` says that all who act on what they read here end with
    this machine: then transactions that may be repeated need not wait, see ``write``. ``busy_timeout_s`` is how long another writer's lock is
    waited for; ``patient`` waits for the answer to a statement as long as it takes.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], datetime.datetime] = utc_now,
        echo: bool = False,
        observer: Observer | None = None,
        durable: bool = True,
        one_machine: bool = False,
        busy_timeout_s: float = 10.0,
        connections: int = 16,
        patient: bool = False,
    ) -> None:
        self._clock = clock
        self._observer = observer
        self._durable, self._one_machine = durable, one_machine
        options: dict[str, Any] = {
            "pool_size": connections,
            "max_overflow": connections,
            "pool_timeout": busy_timeout_s,
        }
        backend = sa.make_url(url).get_backend_name()
        options["connect_args"] = dialect.connection_options(backend, busy_timeout_s, patient=patient)
        self._sqlite = backend == "sqlite"
        if not self._sqlite:
            options |= {"pool_pre_ping": True, "pool_recycle": 280, "isolation_level": "READ COMMITTED"}
        self.engine = sa.create_engine(url, echo=echo, hide_parameters=True, **options)
        # SQLite lets one writer in at a time and makes the others poll; threads of one process wait in line instead.
        self._writer: contextlib.AbstractContextManager[Any] = (
            threading.Lock() if self._sqlite else contextlib.nullcontext()
        )
        if self._sqlite:
            event.listen(self.engine, "connect", _set_up_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    def now(self) -> datetime.datetime:
        """UTC without a zone."""
        return self._clock()

    @contextlib.contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that sees one moment and changes nothing."""
        with self._connection() as connection:
            if not self._sqlite:
                with _translated():
                    connection.exec_driver_sql(_ONE_MOMENT)
            yield Transaction(connection, self._clock(), self._observer)

    @contextlib.contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Transaction]:
        """A transaction that is committed when the block ends, or has never been when the block raises.

        ``durable=False`` is for what a loop or an agent would find out and write anew: on one machine a power cut may undo it, together with
        all that came after it and before the next durable one. Nothing outside may be asked for on the strength of it.
        """
        level = "FULL" if self._durable and (durable or not self._one_machine) else "NORMAL"
        with self._writer, self._connection(synchronous=level) as connection:
            yield Transaction(connection, self._clock(), self._observer)
            with _translated():
                connection.commit()
            if self._observer is not None:
                self._observer.commit()

    def retrying(self, work: Callable[[Transaction], T], *, attempts: int = 4, durable: bool = True) -> T:
        """What ``work`` gives in a write transaction of its own; run anew when another writer was first.

        ``work`` must read what it decides on inside the transaction, and do nothing but use the transaction.
        """
        for attempt in range(1, attempts + 1):
            try:
                with self.write(durable=durable) as tx:
                    return work(tx)
            except (Busy, Duplicate, Overtaken):
                if attempt == attempts:
                    raise
            time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - only spreads the writers
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    @contextlib.contextmanager
    def _connection(self, *, synchronous: str | None = None) -> Iterator[sa.Connection]:
        """A connection in a transaction, which writes when it is said how its commit waits for the disk."""
        with _translated():
            connection = self.engine.connect()
        try:
            connection.info["higgins_wanted"] = synchronous
            with _translated():
                connection.begin()
            yield connection
        finally:
            with _translated():
                connection.close()


def _set_up_sqlite(raw: sqlite3.Connection, _record: Any) -> None:
    raw.isolation_level = None  # the driver would begin on its own, and too late: see _begin_sqlite
    for pragma in ("journal_mode=WAL", "foreign_keys=ON"):
        raw.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    wanted = connection.info.get("higgins_wanted")
    if wanted is None:
        connection.exec_driver_sql("BEGIN")
        return
    if connection.info.get("higgins_synchronous") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
        connection.info["higgins_synchronous"] = wanted
    # A deferred transaction that turns into a writer can fail at once without waiting for the lock.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
