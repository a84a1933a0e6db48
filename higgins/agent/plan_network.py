"""Decide what a host must do for the networks of one pod: its namespace and its ports. Pure, as ``plan`` is, which asks it.

A namespace and every port are there before a container is created or started; ports leave after the containers that use them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from higgins.agent.hands.network import routes
from higgins.agent.steps import ALIVE, Have, Step, Verb, members
from higgins.core import model
from higgins.core.phase import EngineState


def before(want: model.Assignment, have: Have) -> Iterator[Step]:
    """What must be there before any container is."""
    if want.spec.network_driver != "neutron":
        return
    lost = have.namespace is False
    if _runs_without_a_name(want, have):
        return  # those inside still have the namespace; a new one is made once they have ended
    if lost:
        yield Step(Verb.MAKE_NETWORK, want.uuid, "no network namespace")
    for plug in want.plugs:
        if plug.port not in have.plugs:
            yield Step(Verb.PLUG, plug.port, f"not plugged yet{routes.left_out(plug)}")
        elif lost or not have.plugs[plug.port]:
            yield Step(Verb.PLUG, plug.port, "its link or its place on the bridge is not there any more")


def until_it_is_there(steps: list[Step], want: model.Assignment, have: Have) -> list[Step]:
    """A plan; only what ends containers, where one that others need cannot be made before they have ended."""
    if not _runs_without_a_name(want, have):
        return steps
    return [step for step in steps if step.verb.traits.ends] or steps


def _runs_without_a_name(want: model.Assignment, have: Have) -> bool:
    """Whether somebody took away the name of a namespace in which a container runs."""
    alive = any(have.state(spec.uuid) in ALIVE for spec in members(want))
    return want.spec.network_driver == "neutron" and have.namespace is False and alive


def changes(want: model.Assignment, have: Have, make: Mapping[str, str]) -> Iterator[Step]:
    """What brings containers that stay to the ports that the pod has now, and lets go of others."""
    wanted = {plug.port for plug in want.plugs}
    for spec in (*want.spec.init_containers, *want.spec.containers[:1]):
        facts = have.containers.get(spec.uuid)
        if facts is None or facts.ports is None or facts.state is EngineState.DEAD or spec.uuid in make:
            continue
        if not wanted.issuperset(facts.ports):
            yield Step(Verb.DISCONNECT, spec.uuid, "a network was detached")
        if not wanted.issubset(facts.ports):
            yield Step(Verb.CONNECT, spec.uuid, "a network was attached")
    for port in sorted(set(have.plugs) - wanted):
        yield Step(Verb.UNPLUG, port, "no longer a port of the pod")


def after(want: model.Assignment, have: Have, why: str) -> Iterator[Step]:
    """Take everything away, once no container is left."""
    for port in sorted(have.plugs):
        yield Step(Verb.UNPLUG, port, why)
    if have.namespace:
        yield Step(Verb.REMOVE_NETWORK, want.uuid, why)
