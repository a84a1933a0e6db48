"""The host's side of networks, on the real switch with the real Neutron: what agents with podman and docker do with the plugs of their pods."""

from __future__ import annotations

import subprocess
from typing import Any

from higgins.agent.hands.network import kernel, names
from higgins.core.phase import Desired, Phase
from tests.cloud.cloud_world import Cloud, until
from tests.cloud.plugs.plugged import ENGINES, OVSDB, SIZE, Host, Networks, Ports, address, fetched


def let_in(cloud: Cloud, group: Any) -> None:
    for family, protocol, port in (("IPv4", "icmp", None), ("IPv6", "ipv6-icmp", None), ("IPv4", "tcp", 8080)):
        cloud.demo.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype=family, protocol=protocol,
            port_range_min=port, port_range_max=port,
        )  # fmt: skip


def test_containers_of_two_engines_reach_each_other_once_their_group_allows_it(
    cloud: Cloud, hosts: dict[str, Host], ports: Ports, group: Any
) -> None:
    one, two = ports.plug(), ports.plug()
    podman, docker = hosts["podman"], hosts["docker"]
    first, second = podman.run(one), docker.run(two)
    for plug in (one, two):
        ports.active(plug)
    assert not podman.reaches(first, address(two))
    let_in(cloud, group)
    for version in (4, 6):
        until("an echo to docker", lambda v=version: podman.reaches(first, address(two, v)), 90)
        until("an echo to podman", lambda v=version: docker.reaches(second, address(one, v)), 90)
    until("all of docker's data", lambda: podman.fetches(first, address(two)))
    until("all of podman's data", lambda: docker.fetches(second, address(one)))
    for plug in (one, two):
        public = cloud.demo.network.find_network("public")
        floating = cloud.demo.network.create_ip(floating_network_id=public.id, port_id=plug.port)
        try:
            until("a floating IP", lambda ip=floating: fetched(ip.floating_ip_address) > SIZE, 90)
        finally:
            cloud.demo.network.delete_ip(floating)


def test_addresses_routes_and_names_are_those_of_the_port(host: Host, ports: Ports) -> None:
    plug = ports.plug()
    pod = host.run(plug)
    told = host.controller.status[pod].addresses
    assert [(one.network, one.addr, one.port, one.version) for one in told] == [
        (plug.network, fixed.addr, plug.port, fixed.version) for fixed in plug.fixed_ips
    ]
    shown = host.inside(pod, "sh", "-c", "ip addr; ip route; ip -6 route; cat /etc/resolv.conf")
    assert f"mtu {plug.mtu} " in shown.split("eth0")[1]
    assert plug.mac in shown
    for fixed in plug.fixed_ips:
        assert f"{fixed.addr}/{fixed.prefix_length}" in shown
        assert f"default via {fixed.gateway} dev eth0" in shown
    assert "search cloud.example" in shown
    assert "192.0.2.53" in shown or "127.0.0.11" in shown  # docker's own resolver asks the server


def test_a_container_only_made_has_its_address(host: Host, ports: Ports) -> None:
    plug = ports.plug()
    pod = host.run(plug, desired=Desired.CREATED, run=0)
    assert host.controller.status[pod].addresses[0].addr == plug.fixed_ips[0].addr
    ports.active(plug)


def test_an_address_survives_stop_start_rebuild_and_the_agents_restart(host: Host, ports: Ports) -> None:
    plug = ports.plug()
    pod = host.run(plug)
    for words in ({"desired": Desired.STOPPED}, {"desired": Desired.RUNNING, "run": 2}, {"build": 2, "run": 3}):
        phase = Phase.STOPPED if words.get("desired") is Desired.STOPPED else Phase.RUNNING
        assert host.change(pod, phase, **words).addresses[0].addr == address(plug)
    host.stop()
    host.start()
    host.change(pod, run=4)
    assert f"{address(plug)}/" in host.inside(pod, "ip", "addr")
    assert host.left()
    ports.active(plug)


def test_networks_come_and_go_while_a_container_runs(cloud: Cloud, host: Host, ports: Ports, group: Any) -> None:
    let_in(cloud, group)
    one, two = ports.plug(), ports.plug()
    pod, other = host.run(), host.run(two)
    assert "eth0" not in host.inside(pod, "ip", "link")
    host.change(pod, plugs=(one,))
    until("an echo through the new port", lambda: host.reaches(pod, address(two)), 90)
    started = host.engine.inspect(pod).started_at
    host.change(pod, plugs=())
    assert "eth0" not in host.inside(pod, "ip", "link")
    assert host.engine.inspect(pod).started_at == started
    assert not [name for name in host.left() if one.port[:11] in name]
    host.delete(other)


def test_the_next_ports_gateway_is_the_default_route_when_the_first_goes(
    host: Host, networks: Networks, ports: Ports
) -> None:
    one, two = ports.plug(), ports.plug(networks.make({"cidr": "198.18.9.0/24"}))
    pod = host.run(one, two)
    assert "dev eth0" in host.inside(pod, "sh", "-c", "ip route | grep default")
    host.change(pod, plugs=(two,))
    assert "dev eth1" in host.inside(pod, "sh", "-c", "ip route | grep default")


def test_a_port_without_addresses_is_a_link_alone(host: Host, networks: Networks, ports: Ports) -> None:
    plug, routed = ports.plug(networks.make()), ports.plug()
    pod = host.run(plug)
    assert plug.mac in host.inside(pod, "ip", "link")
    host.change(pod, plugs=(plug, routed))
    shown = host.inside(pod, "sh", "-c", "ip addr; ip route")
    assert f"{address(routed)}/" in shown
    assert "default via" in shown


def test_a_restart_of_the_host_plugs_again_before_the_start(host: Host, ports: Ports) -> None:
    plug = ports.plug()
    pod = host.run(plug)
    host.change(pod, Phase.STOPPED, desired=Desired.STOPPED)
    host.stop()
    kernel.remove_link(names.outer(plug.port))
    kernel.remove_namespace(host.network.path(pod))
    host.boot = "boot-2"
    host.start()
    host.change(pod, desired=Desired.RUNNING, run=2)
    assert f"{address(plug)}/" in host.inside(pod, "ip", "addr")
    ports.active(plug)


def test_a_port_that_the_switch_lost_is_plugged_again(host: Host, ports: Ports) -> None:
    plug = ports.plug()
    pod = host.run(plug)
    switch = ("ovs-vsctl", f"--db={OVSDB}")
    subprocess.run([*switch, "del-port", "br-int", names.outer(plug.port)], check=True)
    until("the switch's row to be gone", lambda: not host.switch.has(plug.port), 10)
    host.change(pod, run=2)
    assert host.switch.has(plug.port)
    ports.active(plug)


def test_what_nobody_was_assigned_is_taken_away(host: Host, ports: Ports) -> None:
    plug = ports.plug()
    pod = host.run(plug)
    with host.controller.changed:  # the controller forgets it, as if its database had been put back
        want = host.controller.wants.pop(pod)[1]
    host.stop()
    host.start()
    until("nothing of the pod to be left", lambda: not host.left(), 90)
    assert want.uuid not in {facts.uuid for facts in host.engine.list()}


def test_two_ports_of_one_subnet(hosts: dict[str, Host], ports: Ports) -> None:
    """Docker says at once that it cannot, and the container goes on with the one that it has."""
    plugs = {name: (ports.plug(), ports.plug()) for name in ENGINES}
    pods = {name: hosts[name].run(plugs[name][0]) for name in ENGINES}
    for name in ENGINES:
        hosts[name].change(pods[name], plugs=plugs[name])
    shown = hosts["podman"].inside(pods["podman"], "ip", "addr")
    assert all(f"{address(plug)}/" in shown for plug in plugs["podman"])
    assert "two ports of one subnet" in hosts["docker"].controller.status[pods["docker"]].reason
    assert f"{address(plugs['docker'][0])}/" in hosts["docker"].inside(pods["docker"], "ip", "addr")
