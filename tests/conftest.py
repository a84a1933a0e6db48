"""What every tier shares: how tests are spread over workers. Knows nothing of Higgins itself."""

from __future__ import annotations

import pathlib

import pytest

TESTS = pathlib.Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a real engine on one worker: its daemon is started once, and the two engines run side by side."""
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0]
        if tier == "engine" and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("docker" if "docker" in item.nodeid else "podman"))
