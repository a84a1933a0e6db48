"""Networks that another project shares: what their users may do there, by Neutron's own rules, and for how long."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from cloud_world import People
from wired import Wired

from higgins.control.requests import NetworkRequest
from higgins.core import errors


@pytest.fixture(scope="module")
def lent(people: People) -> Iterator[Any]:
    """A network of the stranger's, lent to the member's project."""
    stranger, admin = people.connection("stranger").network, people.connection("admin").network
    made = stranger.create_network(name=f"lent-{uuid.uuid4().hex[:8]}")
    stranger.create_subnet(network_id=made.id, ip_version=4, cidr="198.18.9.0/24")
    admin.create_rbac_policy(
        object_type="network", object_id=made.id, action="access_as_shared",
        target_project_id=people.connection("member").current_project_id,
    )  # fmt: skip
    yield made
    stranger.delete_network(made)


@pytest.fixture
def port_there(people: People, lent: Any, afterwards: list[Any]) -> Any:
    """A port with an address of the owner's choice, which he has made in the member's project."""
    admin = people.connection("admin").network
    made = admin.create_port(
        network_id=lent.id,
        project_id=people.connection("member").current_project_id,
        fixed_ips=[{"ip_address": "198.18.9.99"}],
    )
    afterwards.append(lambda: admin.delete_port(made))
    return made


def test_its_users_get_the_addresses_that_neutron_gives(wired: Wired, people: People, lent: Any) -> None:
    asked = NetworkRequest(network=lent.id, v4="198.18.9.98")
    with pytest.raises(openstack.exceptions.ForbiddenException):  # as Neutron answers the user himself
        people.connection("member").network.create_port(network_id=lent.id, fixed_ips=[{"ip_address": asked.v4}])
    with pytest.raises(errors.Forbidden, match="Leave the fixed address out"):
        wired.create(asked)
    pod = wired.made()
    with pytest.raises(errors.Forbidden, match="Leave the fixed address out"):
        wired.control.containers.network_attach(wired.who(), pod.uuid, network=lent.id, fixed_ip=asked.v4)
    assert [plug.network for plug in wired.plugs(wired.made(NetworkRequest(network=lent.id)))] == [lent.id]


def test_a_port_that_its_owner_made_may_be_given(wired: Wired, port_there: Any) -> None:
    pod = wired.made(NetworkRequest(port=port_there.id, v4="198.18.9.99"))
    assert [ip.addr for ip in wired.plugs(pod)[0].fixed_ips] == ["198.18.9.99"]
