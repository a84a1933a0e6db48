"""Golden plans of a pod's networks: what is plugged before a container runs, what changes while it runs, what is taken away after."""

import dataclasses

from higgins.core.model import ContainerSpec, FixedIp
from higgins.core.phase import Desired, EngineState, PullPolicy
from tests.host.plans import ONE, TWO, facts, have, on, printed, running, want


def test_ports_are_plugged_before_a_container_is_made():
    assert (
        printed(on(ONE, TWO), have(namespace=False))
        == """\
make_network c1: no network namespace
plug p1: not plugged yet
plug p2: not plugged yet
create c1: no such container
start c1: run 1 was asked for"""
    )


def test_what_a_port_goes_without_is_told():
    fixed = FixedIp(addr="10.0.0.5", prefix_length=24, routes=(("203.0.113.0/24", "192.0.2.1"),))
    plan = printed(on(dataclasses.replace(ONE, fixed_ips=(fixed,))), have(namespace=None)).splitlines()[0]
    assert plan == (
        "plug p1: not plugged yet; without the route to 203.0.113.0/24 by 192.0.2.1, for no network of the port reaches that next hop"
    )


def test_an_engine_that_makes_its_own_namespace_needs_the_ports_only():
    assert printed(on(ONE), have(namespace=None)).splitlines()[0] == "plug p1: not plugged yet"


def test_a_pod_of_neutron_without_a_port_has_a_namespace_of_its_own():
    assert printed(on(), have(namespace=False)).splitlines()[0] == "make_network c1: no network namespace"


def test_a_pod_on_the_engines_network_needs_nothing():
    assert printed(want(), have()) == "create c1: no such container\nstart c1: run 1 was asked for"


def test_a_port_that_was_plugged_halfway_is_plugged_again():
    plan = printed(on(ONE, TWO), running(plugs={"p1": True, "p2": False}))
    assert plan == "plug p2: its link or its place on the bridge is not there any more"


def test_a_network_is_attached_to_a_running_container():
    assert printed(on(ONE, TWO), running(plugs={"p1": True})) == "plug p2: not plugged yet"
    assert (
        printed(on(ONE, TWO), running("p1", namespace=None, plugs={"p1": True}))
        == """\
plug p2: not plugged yet
connect c1: a network was attached"""
    )


def test_a_network_is_detached_from_a_running_container():
    assert printed(on(TWO), running(plugs={"p1": True, "p2": True})) == "unplug p1: no longer a port of the pod"
    assert (
        printed(on(TWO), running("p1", "p2", namespace=None, plugs={"p1": True, "p2": True}))
        == """\
disconnect c1: a network was detached
unplug p1: no longer a port of the pod"""
    )


def test_after_a_restart_of_the_host_ports_are_plugged_before_the_start():
    stopped = have(facts(EngineState.STOPPED), run=1, namespace=False, plugs={"p1": False}, interrupted=frozenset({"c1"}))  # fmt: skip
    assert (
        printed(on(ONE), stopped)
        == """\
make_network c1: no network namespace
plug p1: its link or its place on the bridge is not there any more
start c1: the host was restarted and its restart policy is no"""
    )


def test_a_namespace_that_lost_its_name_is_left_to_those_inside():
    lost = running(namespace=False, plugs={"p1": True})
    assert printed(on(ONE), lost) == ""
    assert printed(on(ONE, desired=Desired.STOPPED), lost) == "stop c1: it is running"


def test_a_rebuild_keeps_the_ports():
    assert (
        printed(on(ONE, build=2, run=2), running(plugs={"p1": True}))
        == """\
stop c1: build 2 was asked for
remove c1: build 2 was asked for
create c1: build 2 was asked for
start c1: run 2 was asked for"""
    )


def test_a_deleted_pod_gives_its_ports_back_once_nothing_uses_them():
    assert (
        printed(on(ONE, desired=Desired.DELETED, stop_timeout_s=0), running(plugs={"p1": True, "old": False}))
        == """\
remove c1: the user deleted it
unplug old: the user deleted it
unplug p1: the user deleted it
remove_network c1: the user deleted it"""
    )


def test_members_of_a_capsule_share_the_connections_of_the_first():
    second = ContainerSpec(uuid="c2", name="side", image="nginx", pull_policy=PullPolicy.IF_NOT_PRESENT)
    both = have(
        facts(EngineState.RUNNING, ports=("p1",)), facts(EngineState.RUNNING, "c2", ports=()), run=1, plugs={"p1": True}
    )
    assert printed(on(ONE, others=(second,)), both) == ""
