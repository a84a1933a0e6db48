"""The routes of a pod's ports: which port leads where, and what of a subnet's host routes cannot be."""

from __future__ import annotations

import pytest

from higgins.agent.hands.network.routes import left_out, table
from higgins.core.model import FixedIp, Plug

V4 = FixedIp(addr="198.18.1.5", prefix_length=24, gateway="198.18.1.1")
V6 = FixedIp(addr="fd00:1::5", prefix_length=64, version=6, gateway="fd00:1::1")
ALONE = FixedIp(addr="198.18.2.5", prefix_length=24)


def plug(port: str, *fixed: FixedIp) -> Plug:
    return Plug(port=port, network=port, mac="fa:16:3e:00:00:01", mtu=1442, fixed_ips=fixed)


def shown(*plugs: Plug) -> list[str]:
    return [f"{route.destination} by {route.hop} {route.port}" for route in table(plugs)]


def routed(*routes: tuple[str, str], **words: object) -> FixedIp:
    return FixedIp(addr="198.18.1.5", prefix_length=24, routes=routes, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("plugs", "expected"),
    [
        ([plug("a", V4, V6), plug("b", V4, V6)], ["0.0.0.0/0 by 198.18.1.1 a", "::/0 by fd00:1::1 a"]),
        ([plug("a", ALONE), plug("b", V4, V6)], ["0.0.0.0/0 by 198.18.1.1 b", "::/0 by fd00:1::1 b"]),
        ([plug("a", V4), plug("b", V6)], ["0.0.0.0/0 by 198.18.1.1 a", "::/0 by fd00:1::1 b"]),
        ([plug("a", V6), plug("b", V4, V6)], ["::/0 by fd00:1::1 a", "0.0.0.0/0 by 198.18.1.1 b"]),
        ([plug("a"), plug("b", ALONE)], []),
    ],
)
def test_the_first_port_with_a_gateway_has_the_default_route_of_its_family(
    plugs: list[Plug], expected: list[str]
) -> None:
    assert shown(*plugs) == expected


def test_a_host_route_to_everywhere_counts_where_there_is_no_gateway() -> None:
    everywhere = ("0.0.0.0/0", "198.18.1.9")
    assert shown(plug("a", routed(everywhere))) == ["0.0.0.0/0 by 198.18.1.9 a"]
    assert shown(plug("a", routed(everywhere, gateway="198.18.1.1"))) == ["0.0.0.0/0 by 198.18.1.1 a"]
    assert shown(plug("a", V4), plug("b", routed(everywhere))) == ["0.0.0.0/0 by 198.18.1.1 a"]


def test_a_gateway_outside_of_its_subnet_is_on_the_link() -> None:
    narrow = FixedIp(addr="198.18.3.5", prefix_length=32, gateway="198.18.3.1")
    assert shown(plug("a", narrow)) == ["198.18.3.1/32 by None a", "0.0.0.0/0 by 198.18.3.1 a"]


def test_a_gateway_that_is_the_ports_own_address_is_none() -> None:
    assert shown(plug("a", FixedIp(addr="198.18.1.1", prefix_length=24, gateway="198.18.1.1"))) == []


def test_what_a_next_hop_needs_comes_before_it() -> None:
    fixed = routed(("203.0.113.0/24", "192.0.2.9"), ("192.0.2.0/24", "0.0.0.0"))
    assert shown(plug("a", fixed)) == ["192.0.2.0/24 by None a", "203.0.113.0/24 by 192.0.2.9 a"]


def test_two_ports_that_lead_to_the_same_place() -> None:
    one = FixedIp(addr="198.18.2.5", prefix_length=24, routes=(("203.0.113.0/24", "198.18.2.9"),))
    plugs = plug("a", routed(("203.0.113.0/24", "198.18.1.9"))), plug("b", one)
    assert shown(*plugs) == ["203.0.113.0/24 by 198.18.1.9 a"]
    assert shown(plugs[1]) == ["203.0.113.0/24 by 198.18.2.9 b"]


@pytest.mark.parametrize("hop", ["192.0.2.1", "198.18.1.5"])
def test_a_next_hop_that_no_link_reaches_costs_that_route_only(hop: str) -> None:
    one = plug("a", routed(("203.0.113.0/24", hop), ("203.0.114.0/24", "198.18.1.9"), gateway="198.18.1.1"))
    assert shown(one) == ["203.0.114.0/24 by 198.18.1.9 a", "0.0.0.0/0 by 198.18.1.1 a"]
    assert f"without the route to 203.0.113.0/24 by {hop}," in left_out(one)
    assert left_out(plug("b", V4, V6)) == ""
