"""What nobody assigned goes from a host by itself, and nothing else does."""

import dataclasses
import shutil
import threading

import pytest

from higgins.agent.chores.orphans import Leftovers, Orphans
from higgins.agent.hands.file import Files
from higgins.agent.journal import Journal
from higgins.agent.observe import Observer
from higgins.core import errors
from higgins.core.phase import Phase
from higgins.engine.fake.driver import FakeEngine
from higgins.engine.fake.store import MemoryStore
from tests.host.controller_double import assignment, until
from tests.host.house import QUICK


def test_orphans_go_after_a_grace_and_strangers_stay(house):
    house.start()
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.stop()
    house.controller.forget("c1")
    house.start(timings=dataclasses.replace(QUICK, orphan_grace_s=0.3))
    house.controller.wait(lambda: len(house.controller.hellos) == 2)
    until(lambda: not house.store.all(), "the orphan to be removed")
    assert house.agent._journal.pods() == frozenset()


def test_what_was_made_by_half_goes_like_an_orphan_unless_it_is_wanted(house):
    house.start()
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.stop()
    half = dataclasses.replace(house.store.get("c1"), half=True)
    for uuid in ("c1", "c2"):
        house.store.put(uuid, half)
    house.controller.forget("c1")
    house.controller.wish(assignment("c2"))
    house.start(timings=dataclasses.replace(QUICK, orphan_grace_s=0.3))
    house.controller.wait_for("c2", Phase.RUNNING)
    until(lambda: set(house.store.all()) == {"c2"}, "the half of nobody to be removed")
    assert "remove" not in house.engine.asked("c2")


class Halves(FakeEngine):
    """An engine whose store has these ids, by uuid, and no container of them."""

    def __init__(self, ids):
        super().__init__(MemoryStore())
        self.ids = ids

    def halves(self):
        return dict(self.ids)

    def remove_half(self, store_id):
        self.ids = {uuid: known for uuid, known in self.ids.items() if known != store_id}


@pytest.fixture
def sweeper(tmp_path):
    journal, files = Journal(tmp_path / "journal"), Files(tmp_path / "files")

    def made(engine, grace_s):
        observer = Observer(engine, journal, files, boot="boot-1")
        orphans = Orphans(engine, observer, files, lambda pod: False, grace_s=grace_s)
        orphans.allow()
        observer.refresh()
        return observer, orphans

    yield made
    journal.close()


def test_what_is_being_made_under_the_name_of_a_half_is_not_taken_for_it(sweeper):
    engine = Halves({"c1": "first", "c2": "other"})
    observer, orphans = sweeper(engine, 0.0)
    engine.ids["c1"] = "second"
    orphans.sweep()
    assert engine.ids == {"c1": "second"}
    observer.recheck()
    orphans.sweep()
    assert engine.ids == {}


def test_what_is_being_made_under_the_name_of_a_half_has_a_grace_of_its_own(sweeper):
    engine = Halves({"c1": "first", "c2": "other"})
    observer, orphans = sweeper(engine, 0.05)
    orphans.sweep()
    threading.Event().wait(0.1)
    engine.ids["c1"] = "second"
    observer.recheck()
    orphans.sweep()
    assert engine.ids == {"c1": "second"}


def test_no_orphan_is_taken_before_the_controller_spoke(house):
    house.start()
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.stop()
    shutil.rmtree(house.root / "state")
    house.close_wire()
    house.start(timings=dataclasses.replace(QUICK, orphan_grace_s=0.0))
    until(lambda: "list" in house.engine.asked(), "the full list")
    assert house.agent._orphans.repair() == Leftovers()
    house.open_wire()
    house.controller.wait(lambda: len(house.controller.hellos) == 2 and len(house.controller.history["c1"]) >= 2)
    assert house.controller.status["c1"].phase is Phase.RUNNING
    assert house.engine.asked("c1").count("start") == 0


def test_an_orphan_that_does_not_go_holds_up_no_other_and_no_other_chore(house):
    house.start()
    every = [f"c{place}" for place in range(4)]
    for uuid in every:
        house.controller.wish(assignment(uuid))
        house.controller.wait_for(uuid, Phase.RUNNING)
    house.stop()
    engine, stuck = house.new_engine(), {"c0", "c1"}
    remove = engine.remove

    def refuse(uuid):
        if uuid in stuck:
            raise {"c0": errors.NotReady("Device or resource busy."), "c1": KeyError("unforeseen")}[uuid]
        remove(uuid)

    engine.remove = refuse
    for uuid in every:
        house.controller.forget(uuid)
    house.start(engine=engine, timings=dataclasses.replace(QUICK, orphan_grace_s=0.1, resync_s=0.2))
    swept = threading.Event()
    house.agent._eviction.sweep = swept.set
    until(lambda: {found.uuid for found in engine.list()} == stuck, "the others to be removed")
    assert swept.wait(120)
    stuck.clear()
    until(lambda: not house.store.all(), "all to be removed")
