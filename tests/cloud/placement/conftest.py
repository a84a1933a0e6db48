"""An empty installation of the tests' own at the real Placement, for each test."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from higgins.cloud.session import Session
from tests.cloud.cloud_world import Cloud
from tests.cloud.placement.placement_world import World, logged_in, migrated, world


@pytest.fixture(scope="module")
def session(cloud: Cloud) -> Session:
    return logged_in((cloud.place / "secret" / "higgins").read_text().strip())


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def ours(session: Session, empty: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[World]:
    shutil.copyfile(empty, tmp_path / "higgins.db")
    yield from world(f"sqlite:///{tmp_path}/higgins.db", session)
