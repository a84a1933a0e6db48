"""The routes that a container has of its ports, the same with podman and docker: which port leads where, and what comes and goes with it."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.cloud.plugs.plugged import Host, Networks, Ports, address

# No port has an address that a test uses as a next hop: a route by way of the pod itself is left out.
V4_POOL = [{"start": "198.18.9.128", "end": "198.18.9.254"}]
V4, V6 = {"cidr": "198.18.9.0/24", "allocation_pools": V4_POOL}, {"cidr": "fd00:189::/64"}
ALONE = {"cidr": "198.18.10.0/24", "gateway_ip": None}
BY_V4, BY_V6 = "default via 198.18.9.1", "default via fd00:189::"


def routes(host: Host, pod: str) -> list[str]:
    """All but what the kernel keeps for itself."""
    shown = host.inside(pod, "sh", "-c", "ip route; ip -6 route").splitlines()
    return [line for line in shown if not line.startswith(("fe80::/64", "ff00::/8", "unreachable"))]


def defaults(host: Host, pod: str) -> list[str]:
    """Of each family: next hop and link."""
    return [" ".join(line.split()[:5]) for line in routes(host, pod) if line.startswith("default")]


def hops(host: Host, pod: str) -> list[str]:
    """Of each family the next hop, for engines that count links anew after a restart, or go on counting."""
    return [line.partition(" dev")[0] for line in defaults(host, pod)]


def test_a_first_network_without_a_gateway_leaves_the_way_out_to_the_second(
    host: Host, networks: Networks, ports: Ports
) -> None:
    alone, routed = ports.plug(networks.make(ALONE)), ports.plug(networks.make(V4, V6))
    expected = [f"{BY_V4} dev eth1", f"{BY_V6} dev eth1"]
    pod = host.run(alone, routed)
    assert defaults(host, pod) == expected
    host.change(pod, plugs=(alone,))
    assert defaults(host, pod) == []
    host.change(pod, plugs=(alone, routed))
    assert hops(host, pod) == [BY_V4, BY_V6]
    host.change(pod, run=2)
    assert hops(host, pod) == [BY_V4, BY_V6]


def test_each_family_has_its_own_way_out(host: Host, networks: Networks, ports: Ports) -> None:
    four, six, both = (
        ports.plug(networks.make(*one))
        for one in ((V4,), (V6,), ({"cidr": "198.18.11.0/24"}, {"cidr": "fd00:18b::/64"}))
    )
    pod = host.run(four)
    host.change(pod, plugs=(four, six))
    assert f"{address(six, 6)}/64" in host.inside(pod, "ip", "addr")
    assert defaults(host, pod) == [f"{BY_V4} dev eth0", f"{BY_V6} dev eth1"]
    host.change(pod, plugs=(four, six, both))
    assert defaults(host, pod) == [f"{BY_V4} dev eth0", f"{BY_V6} dev eth1"]
    host.change(pod, plugs=(four, both))
    assert defaults(host, pod) == [f"{BY_V4} dev eth0", "default via fd00:18b:: dev eth2"]
    host.change(pod, run=2)
    assert hops(host, pod) == [BY_V4, "default via fd00:18b::"]


def test_a_network_that_leaves_takes_no_route_along_but_its_own(host: Host, networks: Networks, ports: Ports) -> None:
    said = [{"destination": "203.0.113.0/24", "nexthop": "198.18.9.9"}]
    one = ports.plug(networks.make(V4 | {"host_routes": said}))
    two = ports.plug(
        networks.make(
            {
                "cidr": "198.18.11.0/24",
                "allocation_pools": [{"start": "198.18.11.128", "end": "198.18.11.254"}],
                "host_routes": [*said, {"destination": "203.0.114.0/24", "nexthop": "198.18.11.9"}],
            }
        )
    )
    pod = host.run(one, two)
    own_hand = ("192.0.2.0/24 via 198.18.9.7", "default via 198.18.9.8 metric 50")
    for words in own_hand:
        enter(host, pod, "ip", "route", "add", *words.split())
    before = routes(host, pod)
    assert any("203.0.114.0/24 via 198.18.11.9 dev eth1" in line for line in before)
    host.change(pod, plugs=(one,))
    assert routes(host, pod) == [line for line in before if "dev eth1" not in line]
    assert any("203.0.113.0/24 via 198.18.9.9 dev eth0" in line for line in before)
    host.change(pod, plugs=(one, two))
    assert [line for line in routes(host, pod) if "dev eth0" in line] == [line for line in before if "dev eth0" in line]
    host.change(pod, plugs=(two,))
    assert len([line for line in routes(host, pod) if line.startswith(("default via 198.18.11.1", "203.0.11"))]) == 2


def test_a_next_hop_that_cannot_be_reached_costs_that_route_only(host: Host, networks: Networks, ports: Ports) -> None:
    said = [
        {"destination": "203.0.113.0/24", "nexthop": "192.0.2.1"},
        {"destination": "203.0.114.0/24", "nexthop": "198.18.9.9"},
    ]
    pod = host.run(ports.plug(networks.make(V4 | {"host_routes": said})))
    assert any("203.0.114.0/24 via 198.18.9.9" in line for line in routes(host, pod))
    assert defaults(host, pod) == [f"{BY_V4} dev eth0"]
    assert not any("203.0.113" in line for line in routes(host, pod))


def enter(host: Host, pod: str, *command: str) -> None:
    """A command of the host's, in the container's network."""
    engine: Any = host.engine
    path = host.network.path(pod) if host.network.joins else engine.namespace(pod)
    subprocess.run(["nsenter", f"--net={path}", *command], check=True)
