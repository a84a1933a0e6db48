"""Ports and security groups made at the real Neutron, found again, taken back, counted and audited."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from higgins.control.requests import NetworkRequest
from higgins.core import errors
from higgins.core.status import Status, derive
from higgins.provision.groups import mark, name_of
from higgins.provision.ports import DEVICE_OWNER, mac_of
from tests.cloud.cloud_world import Cloud, People
from tests.cloud.neutron.wired import CHASSIS, Net, Wired, data_of


def test_create_start_and_delete_ask_neutron_three_times_at_most(wired: Wired, net: Net) -> None:
    warm = wired.made()
    wired.delete(warm)
    wired.watched.since()
    pod = wired.made()
    assert wired.watched.since() == ["GET /networks", "POST /ports"]
    wired.delete(pod)
    assert wired.watched.since() == ["DELETE /ports"]


def test_a_port_is_bound_and_owned_as_clients_expect(wired: Wired, people: People, net: Net) -> None:
    pod = wired.made(NetworkRequest(network=net.id))
    [port] = people.connection("admin").network.ports(device_id=pod.uuid)
    assert (port.device_owner, port.name, port.description) == (
        DEVICE_OWNER,
        name_of(pod.uuid),
        mark(wired.installation),
    )
    assert (port.project_id, port.binding_host_id, port.binding_vif_type) == (pod.project_id, CHASSIS, "ovs")
    assert port.mac_address == mac_of(pod.uuid, net.id)


def test_a_host_is_told_all_that_it_plugs(wired: Wired, net: Net) -> None:
    pod = wired.made(NetworkRequest(network=net.id))
    [plug] = wired.plugs(pod)
    [port] = wired.ports(pod)
    v4, v6 = sorted(plug.fixed_ips, key=lambda ip: ip.version)
    assert (plug.port, plug.mac, plug.network, plug.given) == (port.id, port.mac_address, net.id, False)
    assert plug.mtu == 1442
    assert (v4.subnet, v4.prefix_length, v4.gateway) == (net.v4, 24, "198.18.7.1")
    assert v4.routes == (("203.0.113.0/24", "198.18.7.9"),)
    assert (v6.subnet, v6.prefix_length, v6.gateway) == (net.v6, 64, "fd00:187::")
    assert (plug.dns_servers, plug.dns_search) == (("9.9.9.9",), ("cloud.test",))
    assert (plug.vif_type, plug.bridge, plug.datapath_type) == ("ovs", "br-int", "netdev")


def test_fixed_addresses(wired: Wired, net: Net) -> None:
    pod = wired.made(NetworkRequest(network=net.id, v4="198.18.7.77", v6="fd00:187:0::77"))
    assert [ip.addr for ip in wired.plugs(pod)[0].fixed_ips] == ["198.18.7.77", "fd00:187::77"]
    taken = wired.create(NetworkRequest(network=net.id, v4="198.18.7.77"))
    wired.settle()
    shown = derive(wired.now(taken))
    assert shown.status is Status.ERROR
    assert "198.18.7.77 is in use" in (shown.reason or "")


def test_a_given_port_is_bound_and_given_back(wired: Wired, people: People, net: Net, port: Any) -> None:
    pod = wired.made(NetworkRequest(network=net.id, port=port.id))
    [plug] = wired.plugs(pod)
    assert (plug.port, plug.given, plug.mac) == (port.id, True, port.mac_address)
    bound = people.connection("admin").network.get_port(port.id)
    assert (bound.device_id, bound.device_owner, bound.binding_host_id) == (pod.uuid, DEVICE_OWNER, CHASSIS)
    with pytest.raises(errors.Invalid) as raised:
        wired.create(NetworkRequest(port=port.id))
    assert raised.value.code == "port-in-use"
    wired.delete(pod)
    free = people.connection("admin").network.get_port(port.id)
    assert (free.device_id, free.device_owner, free.binding_host_id) == ("", "", "")
    assert (free.name, free.security_group_ids, free.fixed_ips) == (port.name, port.security_group_ids, port.fixed_ips)


def test_exposed_ports_have_a_group_of_their_own(wired: Wired, people: People, net: Net) -> None:
    pod = wired.made(exposed_ports=("80/tcp", "53/udp"))
    network = people.connection("member").network
    [group] = network.security_groups(name=name_of(pod.uuid))
    rules = {
        (rule.ether_type, rule.protocol, rule.port_range_min)
        for rule in network.security_group_rules(security_group_id=group.id, direction="ingress")
    }
    assert rules == {(version, *one) for version in ("IPv4", "IPv6") for one in (("tcp", 80), ("udp", 53))}
    [default] = network.security_groups(name="default", project_id=pod.project_id)
    assert {*wired.ports(pod)[0].security_group_ids} == {group.id, default.id}
    wired.delete(pod)
    assert list(network.security_groups(name=name_of(pod.uuid))) == []


def test_a_group_that_its_user_uses_elsewhere_is_left_to_him(wired: Wired, people: People, port: Any) -> None:
    pod = wired.made(exposed_ports=("80/tcp",))
    network = people.connection("member").network
    [group] = network.security_groups(name=name_of(pod.uuid))
    network.update_port(port, security_groups=[group.id])
    wired.delete(pod)
    assert network.get_security_group(group.id).name == f"of-{name_of(pod.uuid)}"
    network.update_port(port, security_groups=[])
    network.delete_security_group(group)


def test_exposed_ports_on_a_given_port(wired: Wired, people: People, port: Any) -> None:
    pod = wired.made(NetworkRequest(port=port.id), exposed_ports=("80/tcp",))
    assert len(wired.ports(pod)[0].security_group_ids) == 2
    wired.delete(pod)
    assert people.connection("member").network.get_port(port.id).security_group_ids == port.security_group_ids


def test_a_full_network_is_told(wired: Wired, other: Net) -> None:
    for _ in range(2):
        wired.made(NetworkRequest(network=other.id))
    late = wired.create(NetworkRequest(network=other.id))
    wired.settle()
    shown = derive(wired.now(late))
    assert shown.status is Status.ERROR
    assert "no free address left" in (shown.reason or "")


def test_a_port_quota_is_told(wired: Wired, people: People, net: Net) -> None:
    admin = people.connection("admin").network
    project = wired.who().project_id
    admin.update_quota(project, ports=0)
    try:
        pod = wired.create()
        wired.settle()
    finally:
        admin.update_quota(project, ports=500)
    shown = derive(wired.now(pod))
    assert shown.status is Status.ERROR
    assert "no more ports" in (shown.reason or "")


@pytest.mark.parametrize("lost", ["POST /ports", "POST /security-groups", "POST /security-group-rules"])
def test_lost_answers_make_nothing_twice(wired: Wired, people: People, net: Net, lost: str) -> None:
    pod = wired.create(exposed_ports=("80/tcp",))
    wired.watched.lost.append(lost)
    wired.settle()
    assert not wired.plugs(pod)
    wired.settle_again()
    [plug] = wired.plugs(pod)
    assert [port.id for port in wired.ports(pod)] == [plug.port]
    assert len(list(people.connection("member").network.security_groups(name=name_of(pod.uuid)))) == 1
    wired.delete(pod)


@pytest.mark.parametrize("given", [False, True])
def test_a_port_whose_making_was_never_confirmed_is_taken_back(
    wired: Wired, people: People, net: Net, port: Any, given: bool
) -> None:
    pod = wired.create(NetworkRequest(port=port.id) if given else NetworkRequest(network=net.id))
    wired.watched.lost.append("PUT /ports" if given else "POST /ports")
    wired.settle()
    assert len(wired.ports(pod)) == 1
    wired.delete(pod)
    assert wired.ports(pod) == []
    assert people.connection("member").network.get_port(port.id).device_id == ""


@pytest.mark.parametrize("again", [False, True])
def test_a_given_port_leaves_groups_whose_adding_was_never_confirmed(
    wired: Wired, people: People, port: Any, groups: tuple[Any, Any], again: bool
) -> None:
    network, of_the_user = people.connection("admin").network, list(port.security_group_ids)
    network.update_port(port, security_groups=[*of_the_user, groups[1].id])
    before = {*of_the_user, groups[1].id}
    pod = wired.create(NetworkRequest(port=port.id), security_groups=(groups[0].id, groups[1].id))
    wired.watched.lost.append("PUT /ports")
    wired.settle()
    assert set(wired.ports(pod)[0].security_group_ids) == {*before, groups[0].id}
    if again:
        wired.settle_again()
        assert wired.plugs(pod)
    wired.delete(pod)
    assert set(network.get_port(port.id).security_group_ids) == before
    network.update_port(port, security_groups=of_the_user)


@pytest.mark.parametrize("given", [False, True])
def test_a_group_whose_adding_was_never_confirmed_is_taken_off_when_it_is_not_wished_any_more(
    wired: Wired, net: Net, port: Any, groups: tuple[Any, Any], given: bool
) -> None:
    pod = wired.made(NetworkRequest(port=port.id) if given else NetworkRequest(network=net.id))
    before = set(wired.ports(pod)[0].security_group_ids)
    wired.control.containers.add_security_group(wired.who(), pod.uuid, groups[0].id)
    wired.watched.lost.append("PUT /ports")
    wired.settle()
    assert set(wired.ports(pod)[0].security_group_ids) == {*before, groups[0].id}
    wired.control.containers.remove_security_group(wired.who(), pod.uuid, groups[0].id)
    wired.settle_again()
    assert set(wired.ports(pod)[0].security_group_ids) == before
    wired.delete(pod)


def test_a_delete_whose_answer_is_lost_is_done_again(wired: Wired) -> None:
    pod = wired.made()
    wired.watched.lost.append("DELETE /ports")
    with pytest.raises(AssertionError):
        wired.delete(pod)
    wired.settle_again()
    assert wired.row(pod) is None
    assert wired.ports(pod) == []


def test_a_port_deleted_behind_our_back(wired: Wired, people: People, net: Net, groups: tuple[Any, Any]) -> None:
    pod, network = wired.made(NetworkRequest(network=net.id)), people.connection("admin").network
    network.delete_port(wired.ports(pod)[0])
    wired.control.containers.add_security_group(wired.who(), pod.uuid, groups[0].id)
    wired.settle()
    [port] = wired.ports(pod)
    assert wired.plugs(pod)[0].port == port.id
    assert port.mac_address == mac_of(pod.uuid, net.id)
    network.delete_port(port)
    wired.delete(pod)


def test_a_host_that_neutron_does_not_know_is_waited_for(
    tmp_path: pathlib.Path, cloud: Cloud, people: People, net: Net
) -> None:
    wired = Wired(tmp_path, cloud, people, chassis="nowhere")
    pod = wired.create()
    wired.settle()
    shown = derive(wired.now(pod))
    assert shown.status is Status.CREATING
    assert "cannot connect port" in (shown.reason or "")
    wired.move(CHASSIS)
    wired.settle_again()
    [plug] = wired.plugs(pod)
    assert plug.vif_type == "ovs"
    assert len(wired.ports(pod)) == 1
    assert data_of(wired.ledger(pod)[0])["port"] == plug.port
    wired.end()
