"""When health checks are run by our own clock, and when those that did not end are run again."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from higgins.agent.chores.health import MOST_DOUBLINGS, HealthClock
from higgins.core import errors, model
from higgins.core.phase import EngineState, Health
from tests.host.plans import SPEC, facts, have, want

CHECKED = want(dataclasses.replace(SPEC, healthcheck=model.Healthcheck(command="true", interval_s=30)))


class Engine:
    """Probes, or says what it was told to."""

    problem: errors.HigginsError | None = None

    def probe(self, uuid: str) -> Health:
        if self.problem:
            raise self.problem
        return Health.HEALTHY

    def cached(self) -> dict[str, model.ContainerFacts]:
        return {}


class Pauses:
    """A queue that is only asked for how long it is to wait."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def add(self, _key: str, *, after_s: float) -> None:
        self.asked.append(after_s)

    def get(self) -> None:
        """There is nothing to do for the threads."""


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def clock(engine: Engine) -> HealthClock:
    told: Any = engine
    clock = HealthClock(told, told, print)
    clock._queue = Pauses()  # type: ignore[assignment]
    clock.watch(CHECKED, have(facts(EngineState.RUNNING)))
    return clock


def pauses(clock: HealthClock, times: int) -> list[float]:
    queue: Any = clock._queue
    queue.asked.clear()
    for _ in range(times):
        clock._probe("c1")
    return list(queue.asked)


def test_one_that_does_not_end_is_run_ever_less_often(engine: Engine, clock: HealthClock) -> None:
    engine.problem = errors.Timeout("It did not answer in time.")
    assert pauses(clock, 3) == [60, 120, 240]
    assert max(pauses(clock, 20)) == 30 * 2**MOST_DOUBLINGS
    engine.problem = None
    assert pauses(clock, 2) == [30, 30]


def test_one_of_a_container_that_started_anew_is_run_as_at_first(engine: Engine, clock: HealthClock) -> None:
    engine.problem = errors.Timeout("It did not answer in time.")
    assert pauses(clock, 2) == [60, 120]
    clock.watch(CHECKED, have(facts(EngineState.STOPPED)))
    clock.watch(CHECKED, have(facts(EngineState.RUNNING)))
    assert pauses(clock, 1) == [60]


def test_one_that_the_engine_refuses_is_run_as_often_as_ever(engine: Engine, clock: HealthClock) -> None:
    engine.problem = errors.Unavailable("It does not answer.")
    assert pauses(clock, 2) == [30, 30]
