"""What tests of Neutron share: networks, ports and groups of the member's, and an installation over the real Neutron."""

from __future__ import annotations

import functools
import pathlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cloud.cloud_world import Cloud, People
from tests.cloud.neutron.wired import Net, Wired


@pytest.fixture(scope="module")
def net(people: People) -> Iterator[Net]:
    with_subnets = _Networks(people)
    yield with_subnets.make("198.18.7.0/24", "fd00:187::/64")
    with_subnets.remove()


@pytest.fixture(scope="module")
def other(people: People, net: Net) -> Iterator[Net]:
    """A younger network than ``net``, with room for two."""
    with_subnets = _Networks(people)
    yield with_subnets.make("198.18.8.0/29", None, pool=("198.18.8.5", "198.18.8.6"))
    with_subnets.remove()


@pytest.fixture
def afterwards() -> Iterator[list[Callable[[], object]]]:
    """What is to be done once the test's containers are gone."""
    to_do: list[Callable[[], object]] = []
    yield to_do
    for do in reversed(to_do):
        do()


@pytest.fixture
def wired(
    tmp_path: pathlib.Path, cloud: Cloud, people: People, net: Net, afterwards: list[Callable[[], object]]
) -> Iterator[Wired]:
    made = Wired(tmp_path, cloud, people)
    yield made
    made.end()


class _Networks:
    """Networks of the member's project."""

    def __init__(self, people: People) -> None:
        self._network = people.connection("member").network
        self._made: list[str] = []

    def make(self, v4: str, v6: str | None, pool: tuple[str, str] | None = None) -> Net:
        made = self._network.create_network(name=f"ports-{uuid.uuid4().hex[:8]}")
        self._made.append(made.id)
        pools = {} if pool is None else {"allocation_pools": [{"start": pool[0], "end": pool[1]}]}
        first = self._network.create_subnet(
            network_id=made.id, ip_version=4, cidr=v4, dns_nameservers=["9.9.9.9"],
            host_routes=[{"destination": "203.0.113.0/24", "nexthop": "198.18.7.9"}] if v6 else [], **pools,
        )  # fmt: skip
        second = None if v6 is None else self._network.create_subnet(network_id=made.id, ip_version=6, cidr=v6)
        return Net(made.id, first.id, "" if second is None else second.id)

    def remove(self) -> None:
        for network_id in self._made:
            self._network.delete_network(network_id)


@pytest.fixture
def port(people: People, net: Net, afterwards: list[Callable[[], object]]) -> Any:
    """A port of the user's own."""
    network = people.connection("member").network
    made = network.create_port(network_id=net.id, name="of the user")
    afterwards.append(lambda: network.delete_port(made))
    return made


@pytest.fixture
def groups(people: People, afterwards: list[Callable[[], object]]) -> tuple[Any, Any]:
    """Security groups of the user's own."""
    network = people.connection("member").network
    made = [network.create_security_group(name=f"group-{uuid.uuid4().hex[:8]}") for _ in range(2)]
    afterwards.extend(functools.partial(network.delete_security_group, one) for one in made)
    return made[0], made[1]
