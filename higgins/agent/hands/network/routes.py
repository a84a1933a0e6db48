"""Which routes a pod gets from its ports, the same with every engine. Pure: it looks at nothing.

Where several ports have a way to one destination, the default one above all, the first of them has it; the next when that one leaves. What a
subnet's ``host_routes`` say and no link can do is left out, as a machine's DHCP client leaves it out; the rest holds.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator

from higgins.core import model

EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
NOWHERE = ("0.0.0.0", "::")  # noqa: S104  how Neutron writes a route without a next hop


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route by a port's link; without ``hop`` what it leads to is on the link itself."""

    port: str
    destination: str
    hop: str | None = None

    @property
    def version(self) -> int:
        """The family."""
        return ipaddress.ip_network(self.destination).version

    @property
    def is_default(self) -> bool:
        """Whether it is where everything goes that no other route is for."""
        return self.destination in EVERYWHERE.values()


def table(plugs: Iterable[model.Plug]) -> list[Route]:
    """The routes of a pod with these ports, in an order in which each next hop can be reached when its turn comes."""
    found: dict[str, Route] = {}
    for plug in plugs:
        for route in sorted(_possible(plug), key=lambda route: route.hop is not None):
            found.setdefault(route.destination, route)
        for version, destination in EVERYWHERE.items():
            hop = None if destination in found else _way_out(plug, version)
            if hop and not _reaches(plug, hop):  # as a port with a prefix of 32 bits, which has no neighbours
                alone = f"{hop}/{ipaddress.ip_address(hop).max_prefixlen}"
                found.setdefault(alone, Route(port=plug.port, destination=alone))
            if hop:
                found[destination] = Route(port=plug.port, destination=destination, hop=hop)
    return list(found.values())


def left_out(plug: model.Plug) -> str:
    """What a port's subnets say and its link cannot do, as the end of a sentence about the port; empty where all can be done."""
    possible = set(_possible(plug))
    lost = [route for route in _said(plug) if route not in possible]
    if not lost:
        return ""
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return f"; without the route to {lost[0].destination} by {lost[0].hop}{more}, for no network of the port reaches that next hop"


def _way_out(plug: model.Plug, version: int) -> str | None:
    own = [fixed for fixed in plug.fixed_ips if fixed.version == version]
    hops = [fixed.gateway for fixed in own if fixed.gateway]
    hops += [route.hop for route in _everything_said(own, plug.port) if route.is_default and route.hop]
    return next((hop for hop in hops if not _is_own(plug, hop)), None)


def _possible(plug: model.Plug) -> list[Route]:
    return [route for route in _said(plug) if route.hop is None or _reaches(plug, route.hop)]


def _said(plug: model.Plug) -> Iterator[Route]:
    return (route for route in _everything_said(plug.fixed_ips, plug.port) if not route.is_default)


def _everything_said(fixed_ips: Iterable[model.FixedIp], port: str) -> Iterator[Route]:
    for fixed in fixed_ips:
        for destination, hop in fixed.routes:
            whole = str(ipaddress.ip_network(destination, strict=False))
            yield Route(port=port, destination=whole, hop=None if hop in NOWHERE else hop)


def _reaches(plug: model.Plug, hop: str) -> bool:
    address = ipaddress.ip_address(hop)
    near = [f"{fixed.addr}/{fixed.prefix_length}" for fixed in plug.fixed_ips]
    near += [route.destination for route in _said(plug) if route.hop is None]
    is_near = any(address in ipaddress.ip_network(one, strict=False) for one in near)
    return (is_near or (address.version == 6 and address.is_link_local)) and not _is_own(plug, hop)


def _is_own(plug: model.Plug, hop: str) -> bool:
    return any(ipaddress.ip_address(hop) == ipaddress.ip_address(fixed.addr) for fixed in plug.fixed_ips)
