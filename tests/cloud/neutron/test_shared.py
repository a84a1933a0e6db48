"""Networks that another project shares: what their users may do there, by Neutron's own rules, and for how long."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import openstack
import pytest

from higgins.control.requests import NetworkRequest
from higgins.core import errors
from higgins.core.status import Status, derive
from higgins.provision.groups import mark
from higgins.provision.ports import DEVICE_OWNER, mac_of
from tests.cloud.cloud_world import People
from tests.cloud.neutron.wired import Net, Wired


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


class Lent(NamedTuple):
    """A network that the stranger has lent to the member's project, and the policy that says so."""

    id: str
    policy: str


@pytest.fixture
def short(people: People, afterwards: list[Any]) -> Lent:
    """One that is lent for a while."""
    stranger, admin = people.connection("stranger").network, people.connection("admin").network
    made = stranger.create_network(name=f"short-{uuid.uuid4().hex[:8]}")
    afterwards.append(lambda: stranger.delete_network(made))
    stranger.create_subnet(network_id=made.id, ip_version=4, cidr="198.18.10.0/24")
    policy = admin.create_rbac_policy(
        object_type="network", object_id=made.id, action="access_as_shared",
        target_project_id=people.connection("member").current_project_id,
    )  # fmt: skip
    return Lent(made.id, policy.id)


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


def test_no_port_is_made_where_nothing_is_shared_any_more(wired: Wired, people: People, net: Net, short: Lent) -> None:
    pod = wired.made(NetworkRequest(network=net.id))
    late = wired.create(NetworkRequest(network=short.id))
    who = wired.who()
    wired.control.containers.network_attach(who, pod.uuid, network=short.id)
    people.connection("admin").network.delete_rbac_policy(short.policy)
    wired.settle()
    shown = derive(wired.now(late))
    assert (shown.status, "not shared with the container's project" in (shown.reason or "")) == (Status.ERROR, True)
    action, _ = wired.control.actions.get(who, pod.uuid, who.request_id)
    assert (action.message, "not shared with" in (action.reason or "")) == ("Error", True)
    assert wired.ports(late) == []
    assert [port.network_id for port in wired.ports(pod)] == [net.id]


@pytest.mark.parametrize("lost", [False, True])
def test_a_port_that_somebody_else_made_to_look_like_ours_is_left_alone(
    wired: Wired, people: People, lent: Any, afterwards: list[Any], lost: bool
) -> None:
    stranger = people.connection("stranger").network
    pod = wired.create(NetworkRequest(network=lent.id))
    theirs = stranger.create_port(
        network_id=lent.id, mac_address=mac_of(pod.uuid, lent.id), device_id=pod.uuid, device_owner=DEVICE_OWNER,
        description=mark(wired.installation),
    )  # fmt: skip
    afterwards.append(
        lambda: people.connection("admin").network.delete_port(theirs)
    )  # compute ports are not the owner's to delete
    if lost:
        wired.watched.lost.append("POST /ports")
        wired.settle()
        assert not wired.plugs(pod)
    else:
        wired.settle()
        [plug] = wired.plugs(pod)
        assert (plug.port != theirs.id, plug.mac != theirs.mac_address) == (True, True)
    wired.delete(pod)
    assert stranger.get_port(theirs.id).device_id == pod.uuid
