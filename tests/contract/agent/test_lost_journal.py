"""A journal that is gone: what its host has started before is not known, and the operator chooses what that means (ADR 0007)."""

import pytest

from higgins.agent.journal import Journal
from higgins.core.phase import Phase
from tests.host.controller_double import assignment, container, until

ENDS_AT_ONCE = {"FAKE_RUN_FOR_S": "0"}


def lose_journal(house):
    house.stop()
    for file in (house.root / "state").glob("journal*"):
        file.unlink()


def come_back(house, lost):
    house.start(journal=Journal(house.root / "state" / "journal.sqlite", lost=lost))
    house.controller.wait(lambda: len(house.controller.hellos) == 2 and len(house.controller.history["c1"]) > 1)


@pytest.mark.parametrize(("lost", "starts"), [("leave", 0), ("start", 1)])
def test_an_ended_container_is_left_or_started_once_more(house, lost, starts):
    house.start()
    house.controller.wish(assignment("c1", container("c1", environment=ENDS_AT_ONCE)))
    house.controller.wait_for("c1", Phase.STOPPED)
    lose_journal(house)
    house.controller.history["c1"] = house.controller.history["c1"][-1:]
    come_back(house, lost)
    until(lambda: house.engine.asked("c1").count("start") >= starts, "the start")
    house.controller.wait_for("c1", Phase.STOPPED)
    assert house.engine.asked("c1").count("start") == starts


@pytest.mark.parametrize("lost", ["leave", "start"])
def test_a_running_container_is_not_touched(house, lost):
    house.start()
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    lose_journal(house)
    house.controller.history["c1"] = house.controller.history["c1"][-1:]
    come_back(house, lost)
    house.controller.wait_for("c1", Phase.RUNNING)
    assert {"start", "stop", "create"} & set(house.engine.asked("c1")) == set()
