"""Health checks that real podman is asked to run, and that do not end."""

from __future__ import annotations

import pytest

from higgins.core import errors, model
from tests.engine.conftest import FOREVER


@pytest.mark.parametrize("engine_name", ["podman"])
def test_a_health_check_that_does_not_end_is_not_waited_for_longer_than_it_may_take(bench):
    check = model.Healthcheck(command="sleep 4321", interval_s=1, timeout_s=1)
    uid = bench.started(FOREVER, healthcheck=check)
    with pytest.raises(errors.Timeout, match="check the container's health"):
        bench.engine.probe(uid)
    bench.engine.remove(uid)
