"""Fixtures of the API's contract tests: a world (see ``api_world``) with a fresh database each."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest
from api_world import World

from higgins.store import migrate


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> pathlib.Path:
    """A database with this release's tables, to be copied: migrating takes longer than most tests."""
    file = tmp_path_factory.mktemp("migrated") / "higgins.db"
    migrate.upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def world(tmp_path, migrated) -> Iterator[World]:
    shutil.copy(migrated, tmp_path)
    found = World(tmp_path)
    yield found
    found.close()
