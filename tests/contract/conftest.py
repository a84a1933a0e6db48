"""What contract tests share: an empty database a test, migrated once a session, and one whole service."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from higgins.store.seal import Sealer
from higgins.store.session import Database
from tests.contract.store_rows import Counter, Rows, empty_database
from tests.whole import running_service, site

__all__ = ["running_service", "site"]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("template") / "empty.db"
    path.write_bytes(empty_database())
    return path


@pytest.fixture
def url(migrated: pathlib.Path, tmp_path: pathlib.Path) -> str:
    path = tmp_path / "higgins.db"
    shutil.copyfile(migrated, path)
    return f"sqlite:///{path}"


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def db(url: str, counter: Counter) -> Iterator[Database]:
    database = Database(url, observer=counter, durable=False)
    yield database
    database.close()


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(bytes(range(32)))


@pytest.fixture
def rows(db: Database, sealer: Sealer) -> Rows:
    return Rows(db, sealer)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the matrix test counted, told at the end of a run, also when it ran in a worker."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.stats.get(outcome, ())]
    for text in [text for each in reports for name, text in each.user_properties if name == "routes and personas"]:
        terminalreporter.section("routes and personas")
        terminalreporter.write_line(text)
