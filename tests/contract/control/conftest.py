"""A control plane for each test of the use cases."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.contract.control.control_plane import ControlPlane, planes


@pytest.fixture
def plane(tmp_path: pathlib.Path) -> Iterator[ControlPlane]:
    yield from planes(tmp_path)
