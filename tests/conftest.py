"""What every tier shares: how tests are spread over workers. Knows nothing of Higgins itself."""

from __future__ import annotations

import os
import signal
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

CLOUD = "cloud"
"""The worker that stands inside the test cloud's namespaces, and the tests that only it can run."""

# How long an example takes says more of what else the machine does than of the code. A change is not refused for an old fault that happens
# to be found then: new examples are for those who work here.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("patient")


def together(nodeid: str) -> str:
    """The name of the tests that stay on one worker, in order, because they share what is slow to start; most are alone."""
    if nodeid.startswith("tests/contract/cli/"):
        return "one service"
    if nodeid.startswith("tests/cloud/"):
        return CLOUD
    if not nodeid.startswith("tests/engine/"):
        return nodeid
    if nodeid.startswith("tests/engine/service/"):
        return "bad days"
    return next((engine for engine in ("docker", "podman") if engine in nodeid), nodeid)


class Spread(LoadScopeScheduling):
    """Hands out what belongs together as one piece, and what needs the cloud to the worker in there."""

    # xdist's own way, the mark xdist_group, has no effect: it renames a test by an attribute that pytest 9.2 does not read.
    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        inside = {one for one in self.nodes if one.gateway.id == CLOUD}
        for scope in self.workqueue:
            if not inside or (scope == CLOUD) == (node in inside):
                self.workqueue.move_to_end(scope, last=False)
                super()._assign_work_unit(node)
                return
        node.shutdown()


def pytest_configure() -> None:
    """Have what tests start listen to Ctrl-C also where the tests themselves run in the background, with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)  # there is none with "-p no:xdist"
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Spread:
    """Long pieces first (see below), so that the short ones fill up whichever worker is done with its own."""
    config.option.loadscopereorder = False
    return Spread(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each group in one piece, before all tests that stand alone."""
    first = {"podman": 0, "docker": 1, "bad days": 2, "one service": 3}
    items.sort(key=lambda item: first.get(together(item.nodeid), len(first)))
