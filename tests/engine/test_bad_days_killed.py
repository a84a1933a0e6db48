"""kill -9 of API, controller, agent and supervisor at random while three users work, over many seeds; the fake engine keeps it quick."""

from __future__ import annotations

import random
import threading

import pytest

from tests.crowd import Users, check
from tests.whole import PROCESSES, whole

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("engine")]

KILLS = 6


@pytest.fixture(scope="module")
def fake_service():
    with whole() as service:
        yield service


@pytest.mark.parametrize("seed", range(10, 14))
def test_any_process_at_any_moment(fake_service, seed, capsys):
    dice = random.Random(seed)
    killed = []
    fake_service.mended()
    with Users(fake_service, seed) as users:
        for name in dice.choices((*PROCESSES, "up"), k=KILLS):
            threading.Event().wait(dice.uniform(0.05, 1.5))
            fake_service.kill(name)
            killed.append(name)
            if name == "up":
                fake_service.start()
    check(fake_service, users)
    with capsys.disabled():
        accepted = sum(users.accepted.values())
        print(
            f"\nseed {seed}: killed {', '.join(killed)}; {len(users.accepted)} creates, {accepted} starts accepted,"
            f" {len(users.uncertain)} answers lost; 0 lost, 0 stuck, 0 leaked, 0 wrongly restarted"
        )
    fake_service.nothing_is_left()
