"""Fixtures of the API's contract tests: a world (see ``api_world``) with a fresh database each."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from tests.contract.api.api_world import World


@pytest.fixture
def world(tmp_path: pathlib.Path, migrated: pathlib.Path) -> Iterator[World]:
    shutil.copyfile(migrated, tmp_path / "higgins.db")
    found = World(tmp_path)
    yield found
    found.close()
