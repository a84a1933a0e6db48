"""What every tier shares: how tests are spread over workers. Knows nothing of Higgins itself."""

from __future__ import annotations

import pathlib

import pytest

TESTS = pathlib.Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all tests of real engines on one worker: their daemons are started once, and in one order."""
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0]
        if tier == "engine" and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("engine"))
