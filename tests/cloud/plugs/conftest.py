"""Hosts under agents of the tests' own, and the networks, ports and groups that they are told of."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.cloud_world import Cloud
from tests.cloud.plugs.plugged import ENGINES, Host, Networks, Ports


@pytest.fixture(scope="module")
def hosts(cloud: Cloud) -> Iterator[dict[str, Host]]:
    made = {name: Host(name) for name in ENGINES}
    yield made
    for host in made.values():
        host.end()
    assert [left for host in made.values() for left in host.left()] == []


@pytest.fixture(params=ENGINES)
def host(request: pytest.FixtureRequest, hosts: dict[str, Host]) -> Host:
    return hosts[request.param]


@pytest.fixture
def group(cloud: Cloud) -> Iterator[Any]:
    """A security group that lets nothing in."""
    made = cloud.demo.network.create_security_group(name=f"plugs-{uuid.uuid4().hex[:8]}")
    yield made
    cloud.demo.network.delete_security_group(made)


@pytest.fixture
def networks(cloud: Cloud) -> Iterator[Networks]:
    made = Networks(cloud)
    yield made
    made.remove()


@pytest.fixture
def ports(cloud: Cloud, group: Any, hosts: dict[str, Host], networks: Networks) -> Iterator[Ports]:
    made = Ports(cloud, group)
    yield made
    for each in hosts.values():
        for pod in [*each.controller.wants]:
            each.delete(pod)
    made.remove()
