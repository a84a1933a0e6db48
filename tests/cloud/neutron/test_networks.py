"""Which networks and groups a request means at the real Neutron, and changing them while a container lives."""

from __future__ import annotations

from typing import Any

import pytest

from higgins.control.requests import NetworkRequest
from higgins.core import errors
from higgins.core.phase import Phase
from higgins.core.status import Status, TaskState, derive
from tests.cloud.cloud_world import PASSWORD, Cloud, People
from tests.cloud.neutron.wired import Net, Wired, caller_of

PUBLIC = "public"


def test_the_oldest_network_of_the_project_is_the_default(wired: Wired, people: People, net: Net) -> None:
    [oldest] = people.connection("member").network.networks(name=people.name)
    assert [wish.network for wish in wired.create().spec.networks] == [oldest.id]


def test_networks_by_name_and_several_in_their_order(wired: Wired, people: People, net: Net, other: Net) -> None:
    name = people.connection("member").network.get_network(other.id).name
    pod = wired.made(NetworkRequest(network=name), NetworkRequest(network=net.id))
    assert [plug.network for plug in wired.plugs(pod)] == [other.id, net.id]


@pytest.mark.parametrize(
    ("asked", "error", "code"),
    [
        ({"network": "nowhere"}, errors.NotFound, "network-not-found"),
        ({"network": "5ca1ab1e-0000-4000-8000-000000000000"}, errors.NotFound, "network-not-found"),
        ({"port": "5ca1ab1e-0000-4000-8000-000000000000"}, errors.NotFound, "port-not-found"),
        ({"network": PUBLIC}, errors.Forbidden, "external-network-attach-forbidden"),
        ({"v4": "10.99.99.1"}, errors.Invalid, None),
        ({"v4": "fd00:187::5"}, errors.Invalid, None),
        ({"v6": "no address"}, errors.Invalid, None),
    ],
)
def test_what_a_network_cannot_be(
    wired: Wired, asked: dict[str, str], error: type[Exception], code: str | None
) -> None:
    with pytest.raises(error) as raised:
        wired.create(NetworkRequest(**asked))
    assert code is None or raised.value.code == code


def test_a_project_without_a_network(wired: Wired, cloud: Cloud, people: People) -> None:
    keystone, name = cloud.admin.identity, f"{people.name}-bare"
    project = keystone.create_project(name=name, domain_id="default")
    user = keystone.create_user(name=name, password=PASSWORD, domain_id="default")
    try:
        keystone.assign_project_role_to_user(project, user, keystone.find_role("member"))
        with pytest.raises(errors.Conflict, match="no network"):
            wired.create(who=caller_of(cloud.user(name, PASSWORD, name), "member"))
    finally:
        keystone.delete_user(user)
        keystone.delete_project(project)


def test_a_strangers_network_and_port_are_not_there(wired: Wired, net: Net, port: Any) -> None:
    for asked in (NetworkRequest(network=net.id), NetworkRequest(port=port.id)):
        with pytest.raises(errors.NotFound):
            wired.create(asked, who=wired.who("stranger"))


def test_an_administrators_words_mean_what_the_containers_project_may_use(
    wired: Wired, cloud: Cloud, people: People, net: Net, groups: tuple[Any, Any]
) -> None:
    containers, admin = wired.control.containers, cloud.admin.network
    [_, strangers] = people.project_ids
    pod = wired.made(who=wired.who("stranger"))
    try:
        [default] = people.connection("stranger").network.security_groups(name="default", project_id=strangers)
        added = containers.add_security_group(wired.who("admin"), pod.uuid, "default")
        assert added.spec.security_groups == (default.id,)
        with pytest.raises(errors.NotFound):
            containers.network_attach(wired.who("admin"), pod.uuid, network=net.id)
        with pytest.raises(errors.Invalid, match="could not be found"):
            containers.add_security_group(wired.who("admin"), pod.uuid, groups[0].id)
        shared = [
            admin.create_rbac_policy(
                object_type=kind, object_id=ident, action="access_as_shared", target_project_id=strangers
            )
            for kind, ident in (("network", net.id), ("security_group", groups[0].id))
        ]
        try:
            attached = containers.network_attach(wired.who("admin"), pod.uuid, network=net.id)
            assert attached.spec.networks[-1].network == net.id
            containers.network_detach(wired.who("stranger"), pod.uuid, network=net.id)
            again = containers.network_attach(wired.who("stranger"), pod.uuid, network=net.id)
            assert again.spec.networks[-1].network == net.id
            for persona in ("admin", "stranger"):
                grouped = containers.add_security_group(wired.who(persona), pod.uuid, groups[0].id)
                assert groups[0].id in grouped.spec.security_groups
                containers.remove_security_group(wired.who(persona), pod.uuid, groups[0].id)
        finally:
            for policy in shared:
                admin.delete_rbac_policy(policy)
    finally:
        containers.delete(wired.who("stranger"), pod.uuid, stop=True)
        wired.report(pod, Phase.GONE)
    assert wired.row(pod) is None


def test_groups_by_name_added_and_removed(wired: Wired, groups: tuple[Any, Any]) -> None:
    containers, (group, more) = wired.control.containers, groups
    pod = wired.made(security_groups=(group.name, group.id))
    assert pod.spec.security_groups == (group.id,)
    assert wired.groups(pod) == {group.id}
    with pytest.raises(errors.Invalid, match="already"):
        containers.add_security_group(wired.who(), pod.uuid, group.name)
    with pytest.raises(errors.Invalid, match="could not be found"):
        containers.add_security_group(wired.who(), pod.uuid, "nowhere")
    with pytest.raises(errors.Invalid, match="not in the security group"):
        containers.remove_security_group(wired.who(), pod.uuid, "default")
    added = containers.add_security_group(wired.who(), pod.uuid, more.name)
    assert derive(added).task_state is TaskState.SG_ADDING
    wired.settle()
    assert wired.groups(pod) == {group.id, more.id}
    wired.report(pod)
    containers.remove_security_group(wired.who(), pod.uuid, more.id)
    wired.settle()
    assert wired.groups(pod) == {group.id}
    assert derive(wired.report(pod)) == (Status.RUNNING, None, None)


def test_what_users_do_to_a_port_themselves_is_not_undone(
    wired: Wired, people: People, groups: tuple[Any, Any]
) -> None:
    pod, (group, more) = wired.made(), groups
    network = people.connection("member").network
    network.update_port(wired.ports(pod)[0], security_groups=[group.id])  # as the dashboard does it
    wired.watched.since()
    wired.control.containers.stop(wired.who(), pod.uuid)
    wired.settle()
    wired.stopped(pod)
    assert wired.watched.since() == []
    wired.control.containers.add_security_group(wired.who(), pod.uuid, more.id)
    wired.settle()
    assert wired.groups(pod) == {group.id, more.id}


def test_a_group_that_is_gone_fails_alone(wired: Wired, people: People, groups: tuple[Any, Any]) -> None:
    pod, network, who = wired.made(), people.connection("member").network, wired.who()
    before = wired.groups(pod)
    group = network.create_security_group(name="short-lived")
    wired.control.containers.add_security_group(who, pod.uuid, group.id)
    network.delete_security_group(group)
    wired.settle()
    action, _ = wired.control.actions.get(who, pod.uuid, who.request_id)
    assert (action.message, "is gone" in (action.reason or "")) == ("Error", True)
    wired.settle()
    assert derive(wired.report(pod)) == (Status.RUNNING, None, None)
    assert (wired.now(pod).spec.security_groups, wired.groups(pod)) == ((), before)
    wired.control.containers.add_security_group(wired.who(), pod.uuid, groups[0].id)
    wired.settle()
    assert wired.groups(pod) == {*before, groups[0].id}


def test_networks_come_and_go(wired: Wired, net: Net, other: Net, port: Any) -> None:
    containers = wired.control.containers
    pod = wired.made(NetworkRequest(network=net.id))
    with pytest.raises(errors.Invalid, match="already"):
        containers.network_attach(wired.who(), pod.uuid, network=net.id)
    wished = containers.network_attach(wired.who(), pod.uuid, network=other.id, fixed_ip="198.18.8.6")
    assert derive(wished) == (Status.RUNNING, TaskState.NETWORK_ATTACHING, None)
    wired.settle()
    assert [plug.network for plug in wired.plugs(pod)] == [net.id, other.id]
    assert wired.plugs(pod)[1].fixed_ips[0].addr == "198.18.8.6"
    wired.report(pod)
    containers.network_attach(wired.who(), pod.uuid, port=port.id)
    wired.settle()
    wired.report(pod)
    assert len(wired.ports(pod)) == 3
    made = wired.plugs(pod)[1].port
    containers.network_detach(wired.who(), pod.uuid, port=made)
    containers.network_detach(wired.who(), pod.uuid, port=port.id)
    wired.settle()
    assert len(wired.ports(pod)) == 3, "the host has not left them yet"
    assert [plug.network for plug in wired.plugs(pod)] == [net.id]
    wired.report(pod)
    assert [found.network_id for found in wired.ports(pod)] == [net.id]
    for gone in ({"network": other.id}, {"port": made}, {"network": "nowhere"}):
        with pytest.raises(errors.Invalid, match="is not on the network or port"):
            containers.network_detach(wired.who(), pod.uuid, **gone)


def test_a_network_that_comes_back_with_another_address(wired: Wired, net: Net, other: Net) -> None:
    containers = wired.control.containers
    pod = wired.made(NetworkRequest(network=net.id), NetworkRequest(network=other.id, v4="198.18.8.5"))
    [_, before] = wired.plugs(pod)
    containers.network_detach(wired.who(), pod.uuid, network=other.id)
    wired.settle()
    containers.network_attach(wired.who(), pod.uuid, network=other.id)
    wired.settle()
    assert wired.plugs(pod)[1] == before
    containers.network_detach(wired.who(), pod.uuid, network=other.id)
    wired.settle()
    containers.network_attach(wired.who(), pod.uuid, network=other.id, fixed_ip="198.18.8.6")
    wired.settle()
    [_, after] = wired.plugs(pod)
    assert (after.fixed_ips[0].addr, after.port != before.port) == ("198.18.8.6", True)
    assert {port.id for port in wired.ports(pod)} == {plug.port for plug in wired.plugs(pod)}


def test_an_attach_that_is_refused_fails_alone(wired: Wired, net: Net, other: Net) -> None:
    containers = wired.control.containers
    full = [wired.made(NetworkRequest(network=other.id)) for _ in range(2)]
    pod = wired.made(NetworkRequest(network=net.id))
    who = wired.who()
    containers.network_attach(who, pod.uuid, network=other.id)
    wired.settle()
    action, _ = wired.control.actions.get(who, pod.uuid, who.request_id)
    assert action.message == "Error"
    assert "no free address left" in (action.reason or "")
    wired.settle()
    assert derive(wired.report(pod)) == (Status.RUNNING, None, None)
    assert [wish.network for wish in wired.now(pod).spec.networks] == [net.id]
    assert [entry.key for entry in wired.ledger(pod)] == [net.id]
    wired.delete(full[0])
    containers.network_attach(wired.who(), pod.uuid, network=other.id)
    wired.settle()
    assert len(wired.ports(pod)) == 2


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.RUNNING])
def test_an_attach_that_its_host_cannot_do_fails_alone(wired: Wired, net: Net, other: Net, phase: Phase) -> None:
    pod, who = wired.made(NetworkRequest(network=net.id)), wired.who()
    before = wired.plugs(pod)
    wired.control.containers.network_attach(who, pod.uuid, network=other.id)
    wired.settle()
    failed = wired.report(pod, phase, plugged=before, reason="The bridge br-int is not there.")
    assert derive(failed).status is (Status.ERROR if phase is Phase.FAILED else Status.RUNNING)
    action, _ = wired.control.actions.get(who, pod.uuid, who.request_id)
    assert action.finished_at is None
    wired.undo.run_once()
    wired.settle()
    assert derive(wired.report(pod)) == (Status.RUNNING, None, None)
    action, _ = wired.control.actions.get(who, pod.uuid, who.request_id)
    assert (action.message, action.reason) == ("Error", "The bridge br-int is not there.")
    assert [port.network_id for port in wired.ports(pod)] == [net.id]
    wired.undo.run_once()
    assert derive(wired.now(pod)).status is Status.RUNNING


def test_a_network_that_was_attached_is_never_taken_for_what_its_host_says_later(
    wired: Wired, net: Net, other: Net
) -> None:
    pod, who = wired.made(NetworkRequest(network=net.id)), wired.who()
    wired.control.containers.network_attach(who, pod.uuid, network=other.id)
    wired.settle()
    wired.report(pod)
    for phase in (Phase.FAILED, Phase.RUNNING):
        wired.report(pod, phase, plugged=(), reason="Open vSwitch does not answer.")
        wired.undo.run_once()
        wired.settle()
    action, _ = wired.control.actions.get(who, pod.uuid, who.request_id)
    assert (action.message, len(wired.ports(pod))) == (None, 2)
