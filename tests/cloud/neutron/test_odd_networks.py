"""Networks without subnets or without port security, and groups changed on ports of several kinds at once, at the real Neutron."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from higgins.control.requests import NetworkRequest
from higgins.core.status import Status, derive
from higgins.store.pods import Pod
from tests.cloud.cloud_world import People
from tests.cloud.neutron.wired import Net, Wired

Odd = Callable[..., str]


@pytest.fixture
def odd(people: People, afterwards: list[Callable[[], object]]) -> Odd:
    """Makes networks that are gone after the test."""
    neutron = people.connection("member").network

    def make(*, cidr: str | None = None, **words: Any) -> str:
        made = neutron.create_network(name=f"odd-{uuid.uuid4().hex[:8]}", **words)

        def gone() -> None:
            for port in neutron.ports(network_id=made.id, device_id=""):
                neutron.delete_port(port)
            neutron.delete_network(made)

        afterwards.append(gone)
        if cidr:
            neutron.create_subnet(network_id=made.id, ip_version=4, cidr=cidr)
        return str(made.id)

    return make


def on_ports(wired: Wired, pod: Pod) -> dict[str, set[str]]:
    """The groups of each port, by its network."""
    return {port.network_id: {*port.security_group_ids} for port in wired.ports(pod)}


def test_groups_change_on_a_port_of_ours_and_a_given_one_beside_exposed_ports(
    wired: Wired, net: Net, other: Net, port: Any, groups: tuple[Any, Any]
) -> None:
    containers = wired.control.containers
    pod = wired.made(NetworkRequest(network=other.id), NetworkRequest(port=port.id), exposed_ports=("80/tcp",))
    before = on_ports(wired, pod)
    assert {*port.security_group_ids} < before[net.id]
    containers.add_security_group(wired.who(), pod.uuid, groups[0].id)
    wired.settle()
    wired.report(pod)
    assert on_ports(wired, pod) == {network: {*there, groups[0].id} for network, there in before.items()}
    containers.remove_security_group(wired.who(), pod.uuid, groups[0].id)
    wired.settle()
    wired.report(pod)
    assert on_ports(wired, pod) == before


def test_a_group_that_a_given_port_had_before_stays_on_it(
    wired: Wired, people: People, other: Net, port: Any, groups: tuple[Any, Any]
) -> None:
    containers, group = wired.control.containers, groups[0]
    people.connection("member").network.update_port(port, security_groups=[group.id])
    pod = wired.made(NetworkRequest(network=other.id), NetworkRequest(port=port.id))
    for change in (containers.add_security_group, containers.remove_security_group):
        change(wired.who(), pod.uuid, group.id)
        wired.settle()
        wired.report(pod)
    assert on_ports(wired, pod)[port.network_id] == {group.id}
    assert group.id not in on_ports(wired, pod)[other.id]
    people.connection("member").network.update_port(port, security_groups=[])


def test_a_network_without_subnets_gives_a_port_without_addresses(wired: Wired, odd: Odd) -> None:
    bare = odd()
    pod = wired.made(NetworkRequest(network=bare))
    [plug] = wired.plugs(pod)
    assert (plug.network, plug.fixed_ips) == (bare, ())
    assert derive(wired.now(pod)).status is Status.RUNNING


@pytest.mark.parametrize(
    "words", [{"security_groups": True}, {"exposed_ports": ("80/tcp",)}], ids=["groups", "exposed ports"]
)
@pytest.mark.parametrize("given", [False, True])
def test_without_port_security_groups_are_refused_with_what_to_do(
    wired: Wired, people: People, odd: Odd, groups: tuple[Any, Any], words: dict[str, Any], given: bool
) -> None:
    network = odd(cidr="198.18.12.0/24", is_port_security_enabled=False)
    asked = NetworkRequest(network=network)
    if given:
        asked = NetworkRequest(port=people.connection("member").network.create_port(network_id=network).id)
    pod = wired.create(asked, **(words | ({"security_groups": (groups[0].id,)} if "security_groups" in words else {})))
    wired.settle()
    shown = derive(wired.now(pod))
    assert shown.status is Status.ERROR
    assert f"{'port ' + str(asked.port) if given else 'network ' + network} has port security switched off" in str(
        shown.reason
    )
    assert "Neutron:" not in str(shown.reason)


def test_a_network_without_subnets_takes_groups(wired: Wired, odd: Odd, groups: tuple[Any, Any]) -> None:
    pod = wired.made(NetworkRequest(network=odd()), security_groups=(groups[0].id,), exposed_ports=("80/tcp",))
    assert groups[0].id in wired.groups(pod)


def test_a_group_added_without_port_security_fails_alone(wired: Wired, odd: Odd, groups: tuple[Any, Any]) -> None:
    network = odd(cidr="198.18.12.0/24", is_port_security_enabled=False)
    pod, who = wired.made(NetworkRequest(network=network)), wired.who()
    assert wired.groups(pod) == set()
    wired.control.containers.add_security_group(who, pod.uuid, groups[0].id)
    wired.settle()
    action, _ = wired.control.actions.get(who, pod.uuid, who.request_id)
    assert (action.message, "has port security switched off" in (action.reason or "")) == ("Error", True)
    wired.settle()
    assert derive(wired.report(pod)) == (Status.RUNNING, None, None)
