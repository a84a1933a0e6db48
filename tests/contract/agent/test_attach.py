"""A network that is attached, or was: what the host says of it when it cannot be plugged, and when host, engine or switch come back without."""

import dataclasses
import sqlite3

import pytest

from higgins.agent.hands.network.plugs import Network
from higgins.agent.journal import Journal, PodEntry
from higgins.agent.report import in_trouble, status_of
from higgins.core import errors, model
from higgins.core.phase import Desired, EngineState, Phase, Wish
from tests.contract.agent.wires import Kernel, Switch
from tests.host.controller_double import assignment, container, until
from tests.host.house import QUICK
from tests.host.plans import ONE, TWO, on, running

SHORT = dataclasses.replace(QUICK, wish_deadline_s=0.3)
SOON_UNKNOWN = dataclasses.replace(SHORT, unknown_after_s=0.5)


@pytest.fixture
def wires():
    return Kernel(), Switch()


def start(house, wires, **more):
    return house.start(network=Network("m", *wires, joins=True), **{"timings": SHORT} | more)


def plugged(status):
    return [one.port for one in status.ports]


def one_container(house, wires, **spec):
    start(house, wires)
    pod = model.PodSpec(containers=(container("c1", **spec),), network_driver="neutron")
    house.controller.wish(assignment("c1", pod=pod, plugs=(ONE,)))
    assert plugged(house.controller.wait_for("c1", Phase.RUNNING)) == ["p1"]


def test_a_port_without_addresses_is_reported(house, wires):
    one_container(house, wires)
    house.controller.change("c1", wish=Wish.NETWORK_ATTACH, plugs=(ONE, TWO))
    status = house.controller.wait_for("c1", Phase.RUNNING)
    assert status.ports == (model.PluggedPort(port="p1", network="n1"), model.PluggedPort(port="p2", network="n2"))
    assert [one.port for one in status.addresses] == ["p1"]


def test_of_a_deleted_container_nothing_is_kept(house, wires):
    one_container(house, wires)
    assert set(house.agent._network._wanted) == {"p1"}
    house.controller.change("c1", desired=Desired.DELETED, wish=Wish.DELETE)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.GONE)
    until(lambda: not house.agent._loop.knows("c1"), "the pod is forgotten")
    until(lambda: not house.agent._network._wanted, "its assignment is forgotten")


def test_a_port_that_cannot_be_plugged_is_named_and_the_container_goes_on(house, wires):
    one_container(house, wires)
    wires[1].refused.add("p2")
    house.controller.change("c1", wish=Wish.NETWORK_ATTACH, plugs=(ONE, TWO))
    status = house.controller.wait_for("c1", Phase.RUNNING)
    assert (status.failed, status.refused, plugged(status)) == (True, ("p2",), ["p1"])
    assert status.reason == "The host could not plug port p2."
    house.controller.change("c1", wish=Wish.NETWORK_DETACH, plugs=(ONE,))
    status = house.controller.wait_for("c1", Phase.RUNNING)
    assert (status.failed, status.refused, plugged(status)) == (False, (), ["p1"])


def test_what_was_refused_stays_so_for_the_next_agent_and_is_plugged_by_a_newer_wish(house, wires):
    one_container(house, wires)
    wires[1].refused.add("p2")
    house.controller.change("c1", wish=Wish.NETWORK_ATTACH, plugs=(ONE, TWO))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.stop()
    wires[1].refused.clear()
    said = len(house.controller.history["c1"])
    start(house, wires)
    house.controller.wait(lambda: len(house.controller.history["c1"]) > said, "a report of the next agent")
    assert house.controller.history["c1"][said].refused == ("p2",)
    house.controller.change("c1", wish=Wish.UPDATE)
    status = house.controller.wait_for("c1", Phase.RUNNING)
    assert (status.failed, plugged(status)) == (False, ["p1", "p2"])


def test_the_switch_away_after_a_restart_takes_no_network_from_a_running_container(house, wires):
    one_container(house, wires)
    house.controller.change("c1", wish=Wish.NETWORK_ATTACH, plugs=(ONE, TWO))
    house.controller.wait_for("c1", Phase.RUNNING)
    house.stop()
    said = len(house.controller.history["c1"])
    wires[1].away = True
    start(house, wires)
    house.controller.wait(lambda: len(house.controller.history["c1"]) > said, "a report of the next agent")
    until(lambda: house.agent._loop._pods["c1"].waited_s() > 2 * SHORT.wish_deadline_s, "the deadline to be over")
    tried = wires[1].tried
    until(lambda: wires[1].tried > tried, "another try")
    told = house.controller.history["c1"][said:]
    assert {(one.phase, one.partial, one.failed, one.refused) for one in told} == {(Phase.RUNNING, True, False, ())}
    assert "Open vSwitch does not answer" in told[-1].reason
    wires[1].away = False
    house.controller.wait(lambda: not house.controller.status["c1"].partial, "a whole report")
    assert plugged(house.controller.status["c1"]) == ["p1", "p2"]


def test_a_restart_of_the_host_with_the_switch_away_keeps_addresses(house, wires):
    one_container(house, wires, restart_policy=model.RestartPolicy(name="always"))
    house.stop()
    said = len(house.controller.history["c1"])
    house.engine.stop("c1", timeout_s=0)
    wires[0].reboot()
    wires[1].away = True
    start(house, wires, boot="boot-2")
    house.controller.wait(lambda: len(house.controller.history["c1"]) > said, "a report after the restart")
    until(lambda: house.agent._loop._pods["c1"].waited_s() > 2 * SHORT.wish_deadline_s, "the deadline to be over")
    assert {one.partial for one in house.controller.history["c1"][said:]} == {True}
    wires[1].away = False
    assert plugged(house.controller.wait_for("c1", Phase.RUNNING)) == ["p1"]
    house.controller.wait(lambda: not house.controller.status["c1"].partial, "a whole report")


def test_the_engine_away_after_a_restart_says_nothing_of_what_is_not_known(house, wires):
    one_container(house, wires)
    house.stop()
    said = len(house.controller.history["c1"])
    house.store.down = True
    start(house, wires, timings=SOON_UNKNOWN)
    house.controller.wait(lambda: house.controller.status["c1"].phase is Phase.UNKNOWN, "UNKNOWN")
    assert house.controller.status["c1"].reason.count("engine") == 1
    assert {one.partial for one in house.controller.history["c1"][said:]} == {True}
    house.store.down = False
    assert plugged(house.controller.wait_for("c1", Phase.RUNNING)) == ["p1"]
    assert not house.controller.status["c1"].partial


def test_a_container_that_cannot_be_inspected_is_unknown_and_never_fails_for_that(house, wires):
    one_container(house, wires)
    house.stop()
    said, engine = len(house.controller.history["c1"]), house.new_engine()
    real = engine.list

    def inspect(uuid):
        raise errors.NotReady("The engine is busy.")

    engine.inspect = inspect
    start(house, wires, engine=engine, timings=dataclasses.replace(SOON_UNKNOWN, resync_s=0.1))
    house.controller.wait(lambda: len(house.controller.history["c1"]) > said, "a report of the next agent")
    engine.list = lambda: [dataclasses.replace(facts, exit_code=1) for facts in real()]  # so that it is looked at anew
    house.controller.wait(lambda: "busy" in house.controller.status["c1"].reason, "what is wrong")
    until(lambda: house.agent._loop._pods["c1"].waited_s() > 2 * SHORT.wish_deadline_s, "the deadline to be over")
    told = house.controller.history["c1"][said:]
    assert {one.phase for one in told} <= {Phase.RUNNING, Phase.UNKNOWN}
    assert not any(one.failed for one in told)


FAILED = PodEntry(observed_generation=1, failed_generation=1, failed_reason="No.", failed_verb="connect", failed_target="c1")  # fmt: skip
BOTH = {"p1": True, "p2": True}


def test_of_ports_that_the_engine_takes_the_first_that_it_does_not_have_was_refused():
    want, have = on(ONE, TWO), running("p1", namespace=None, plugs=BOTH)
    status = status_of(want, have, FAILED)
    assert (status.phase, status.failed, status.refused, plugged(status)) == (Phase.RUNNING, True, ("p2",), ["p1"])
    assert status_of(want, running(namespace=None, plugs=BOTH), FAILED).refused == ("p1",)
    assert status_of(want, running("p1", "p2", namespace=None, plugs=BOTH), FAILED).refused == ()


def test_of_a_wish_that_was_fulfilled_nothing_is_refused_and_nothing_missing():
    entry = dataclasses.replace(FAILED, failed_verb="plug", failed_target="p2", fulfilled_generation=1)
    status = status_of(on(ONE, TWO), running(plugs={"p1": True}), entry)
    assert (status.failed, status.refused, plugged(status)) == (True, (), ["p1", "p2"])


def test_a_port_that_is_no_more_the_pods_was_not_refused():
    entry = dataclasses.replace(FAILED, failed_verb="plug", failed_target="p2")
    assert status_of(on(ONE), running(plugs={"p1": True}), entry).refused == ()


def test_in_trouble_a_failed_wish_says_of_the_phase_what_its_step_could_change():
    last = status_of(on(ONE), running(plugs={"p1": True}), PodEntry(observed_generation=1, fulfilled_generation=1))
    told = in_trouble(on(ONE), None, last, FAILED, "Later.")
    assert (told.phase, told.failed, told.reason, plugged(told)) == (Phase.RUNNING, True, "No.", ["p1"])
    assert in_trouble(on(ONE), None, last, dataclasses.replace(FAILED, failed_verb="start"), "").phase is Phase.FAILED
    assert in_trouble(on(ONE), None, None, PodEntry(), "Later.") == model.PodStatus(
        phase=Phase.UNKNOWN, observed_generation=0, reason="Later.", partial=True
    )


def test_a_wish_that_failed_leaving_its_container_running_says_so(house):
    house.start(timings=SHORT)
    house.controller.wish(assignment("c1"))
    house.controller.wait_for("c1", Phase.RUNNING)

    def stop(uuid, **words):
        raise errors.NotReady("The process does not end.")

    house.engine.stop = stop
    house.controller.change("c1", desired=Desired.STOPPED, wish=Wish.STOP)
    status = house.controller.wait_for("c1", Phase.RUNNING)
    assert (status.failed, status.reason) == (True, "The process does not end.")
    assert house.engine.inspect("c1").state is EngineState.RUNNING


def test_a_journal_of_an_older_agent_is_taken_over(tmp_path):
    path = tmp_path / "journal"
    with sqlite3.connect(path) as old:
        old.execute(
            "CREATE TABLE pods (uuid TEXT PRIMARY KEY, assignment BLOB NOT NULL, observed_generation INTEGER NOT NULL DEFAULT 0,"
            " failed_generation INTEGER NOT NULL DEFAULT 0, failed_reason TEXT NOT NULL DEFAULT '')"
        )
        old.executemany(
            "INSERT INTO pods VALUES (?, '', ?, ?, ?)", [("good", 3, 0, ""), ("bad", 2, 2, "No such program.")]
        )
    old.close()
    for _ in range(2):
        journal = Journal(path)
        assert journal.pod("good") == PodEntry(observed_generation=3, fulfilled_generation=3)
        assert journal.pod("bad") == PodEntry(
            observed_generation=2, failed_generation=2, failed_reason="No such program."
        )
        journal.close()
