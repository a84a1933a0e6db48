"""What comes to a pod's loop between two of its moments: the engine's return, a newer wish, an image's progress."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from higgins.agent.execute import InProgress
from higgins.agent.journal import Journal
from higgins.agent.loop import Loop, Timings
from higgins.agent.plan import Have, Step
from higgins.agent.pod import Pod
from higgins.agent.queue import WorkQueue
from higgins.core import errors, model
from higgins.core.phase import EngineState, Phase, PullPolicy
from tests.host.plans import SPEC, facts, have, want

Doing = Callable[[Step, model.Assignment, Callable[[str], None]], None]


class Hands:
    """A host's observer and executor in one, and who is told; ``doing`` is what becomes of a step, ``asked`` what comes between."""

    def __init__(self) -> None:
        self.found = have(facts(EngineState.RUNNING), run=1)
        self.told: list[model.PodStatus] = []
        self.asked: Callable[[], None] = lambda: None
        self.doing: Doing = lambda _step, _want, _progress: None

    def have(self, _want: model.Assignment) -> Have:
        return self.found

    def do(self, step: Step, wanted: model.Assignment, progress: Callable[[str], None]) -> None:
        self.doing(step, wanted, progress)

    def leave_pulls(self, _pod: str) -> None:
        """There are none."""

    def latest(self, _pod: str) -> model.PodStatus | None:
        self.asked()
        return self.told[-1] if self.told else None

    def event(self, _event: model.StepEvent, *, now: bool = False) -> None:
        """Nobody asks."""

    def pod(self, _uuid: str, status: model.PodStatus) -> None:
        self.told.append(status)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.close()


def loop_of(hands: Hands, journal: Journal, **timings: float) -> Loop:
    told: Any = hands
    return Loop(told, told, journal, told, WorkQueue(), Timings(**timings))


def test_an_engine_that_comes_back_while_unknown_is_told_has_the_last_word(hands: Hands, journal: Journal) -> None:
    loop = loop_of(hands, journal, unknown_after_s=0)
    loop.assign([want()], full=True)

    def come_back() -> None:
        loop.engine_up()
        loop.look_after("c1")

    back = threading.Thread(target=come_back)

    def come_back_now_or_when_it_may() -> None:
        hands.asked = lambda: None
        back.start()
        if not loop._lock.locked():
            back.join()

    hands.asked = come_back_now_or_when_it_may
    loop.tick()
    back.join()
    assert [status.phase for status in hands.told] == [Phase.UNKNOWN, Phase.RUNNING]


def test_what_an_older_wish_fails_at_is_not_the_newer_ones_failure(hands: Hands, journal: Journal) -> None:
    loop = loop_of(hands, journal)
    hands.found = have()
    tried: list[int] = []

    def refuse_the_first_after_the_second_was_wished(_step: Step, wanted: model.Assignment, _progress: Any) -> None:
        tried.append(wanted.generation)
        if wanted.generation == 1:
            loop.assign([want(generation=2)], full=False)
            raise errors.Invalid("No such program.")
        hands.found = have(facts(EngineState.RUNNING), run=1)

    hands.doing = refuse_the_first_after_the_second_was_wished
    loop.assign([want()], full=True)
    loop.engine_up()
    loop.look_after("c1")
    assert (tried, journal.pod("c1").failed_generation) == ([1], 0)
    loop.look_after("c1")
    assert set(tried[1:]) == {2}
    assert (hands.told[-1].phase, hands.told[-1].observed_generation) == (Phase.RUNNING, 2)


@pytest.mark.parametrize(("heard_late", "failed"), [(True, 0), (False, 1)])
def test_a_pull_that_got_on_until_it_broke_is_tried_again(
    hands: Hands, journal: Journal, heard_late: bool, failed: int
) -> None:
    loop = loop_of(hands, journal)
    hands.found = have()
    spoken: list[Callable[[str], None]] = []

    def go_on(_step: Step, _wanted: model.Assignment, progress: Callable[[str], None]) -> None:
        spoken.append(progress)
        raise InProgress

    def break_off(_step: Step, _wanted: model.Assignment, _progress: Callable[[str], None]) -> None:
        raise errors.Unavailable("The connection was reset.")

    loop.assign([want(dataclasses.replace(SPEC, pull_policy=PullPolicy.ALWAYS))], full=True)
    loop.engine_up()
    hands.doing = go_on
    loop.look_after("c1")
    spoken[0]("1 of 3 layers")
    an_hour_later(loop._pods["c1"])
    if heard_late:
        spoken[0]("2 of 3 layers")
    hands.doing = break_off
    loop.look_after("c1")
    assert journal.pod("c1").failed_generation == 0, (
        "nothing fails for good at the first trouble: the machine may have stood still"
    )
    loop.look_after("c1")
    assert journal.pod("c1").failed_generation == failed


def an_hour_later(pod: Pod) -> None:
    assert pod.since is not None
    pod.since, pod.heard = pod.since - 3600, pod.heard - 3600
    pod.began = {step: (at, began - 3600) for step, (at, began) in pod.began.items()}
