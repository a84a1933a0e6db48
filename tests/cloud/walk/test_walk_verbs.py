"""What users and operators type beside their walks: groups and networks of a container that lives, hosts, services, zones, images on hosts,
quotas and registries. Each by ``openstack`` against the real service."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.cloud.cloud_world import People, until
from tests.cloud.walk.typed_commands import OpenStack

pytestmark = pytest.mark.usefixtures("nothing_left")

PODMAN, DOCKER = "node1", "node1-docker"
SERVICE = "zun-compute"
IDLE = "sh -c 'trap exit TERM; sleep 1000 & wait'"
WITH_GROUPS = "--os-container-api-version 1.14 appcontainer"
"""Newer microversions leave groups to Neutron: the client's two commands work up to this one."""
Undo = Callable[[Callable[[], object]], object]


@pytest.fixture(scope="module")
def container(member: OpenStack, people: People) -> Iterator[str]:
    """A container on one network, with another one beside it."""
    name = f"{people.name}-verbs"
    with contextlib.ExitStack() as undo:
        for number, network in enumerate((name, f"{name}-2")):
            member(f"network create {network}")
            undo.callback(member, f"network delete {network}")
            member(f"subnet create --network {network} --subnet-range 10.6{number}.0.0/24 {network}")
        undo.callback(member.end, name)
        member(f"appcontainer run --cpu 0.2 --memory 64 --net network={name} --name {name} busybox {IDLE}")
        member.settled(name)
        yield name


def test_a_living_container_joins_a_group_and_leaves_it(member: OpenStack, container: str, afterwards: Undo) -> None:
    group = f"{container}-group"
    ident = member.shown(f"security group create {group}")["id"]
    afterwards(lambda: member(f"security group delete {group}"))
    uuid = member.settled(container)["uuid"]

    def groups() -> object:
        [port] = member.shown(f"port list --device-id {uuid} --long")
        return port["Security Groups"]

    before = groups()
    assert "accepted" in member(f"{WITH_GROUPS} add security group {container} {group}")
    member.settled(container)
    assert ident in str(groups())
    told = member.refused(f"{WITH_GROUPS} add security group {container} {group}")
    assert f"in the security group {group} already" in told, told
    assert "accepted" in member(f"{WITH_GROUPS} remove security group {container} {group}")
    member.settled(container)
    assert groups() == before
    told = member.refused(f"{WITH_GROUPS} remove security group {container} {container}-none")
    assert f"not in the security group {container}-none" in told, told


def test_a_living_container_gets_a_network_by_name_and_a_port_and_loses_them(
    member: OpenStack, container: str, afterwards: Undo
) -> None:
    second = f"{container}-2"
    addresses = f"appcontainer exec {container} ip -4 -o addr"
    assert "accepted" in member(f"appcontainer network attach --network {second} {container}")
    assert len(member.settled(container)["addresses"].split(", ")) == 2
    assert "10.61.0." in member(addresses)
    told = member.refused(f"appcontainer network attach --network {second} {container}")
    assert "already" in told, told
    assert "accepted" in member(f"appcontainer network detach --network {second} {container}")
    member.settled(container)
    assert "10.61.0." not in member(addresses)

    port = member.shown(f"port create --network {second} {second}")["id"]
    afterwards(lambda: member(f"port delete {port}"))
    assert "accepted" in member(f"appcontainer network attach --port {port} {container}")
    uuid = member.settled(container)["uuid"]
    assert member(f"port show {port} -f value -c device_id") == uuid
    assert "accepted" in member(f"appcontainer network detach --port {port} {container}")
    member.until(f"port show {port} -f value -c device_id", "")
    member.settled(container)
    told = member.refused(f"appcontainer network detach --port {port} {container}")
    assert "is not on the network or port" in told, told


def test_an_operator_looks_at_hosts_and_zones(admin: OpenStack, member: OpenStack) -> None:
    hosts = {one["hostname"]: one for one in admin.shown("appcontainer host list")}
    assert {PODMAN, DOCKER} <= set(hosts)
    for named in (PODMAN, hosts[PODMAN]["uuid"]):
        shown = admin.shown(f"appcontainer host show {named}")
        assert {word: shown[word] for word in ("uuid", "hostname", "cpus", "mem_total")} == {
            word: hosts[PODMAN][word] for word in ("uuid", "hostname", "cpus", "mem_total")
        }
        assert shown["architecture"] == "x86_64"
    told = admin.refused("appcontainer host show nowhere")
    assert "nowhere could not be found" in told, told
    told = member.refused("appcontainer host list")
    assert "Policy doesn't allow" in told, told
    assert member.shown("appcontainer availability zone list") == [{"availability_zone": "nova"}]


def test_an_operator_switches_a_service_off_and_on(admin: OpenStack, member: OpenStack, afterwards: Undo) -> None:
    def service() -> object:
        [found] = [one for one in admin.shown("appcontainer service list") if one["Host"] == DOCKER]
        return found["State"], found["Disabled"], found["Disabled Reason"]

    assert service() == ("up", False, None)
    for verb in ("enable", "forcedown --unset"):
        afterwards(lambda verb=verb: admin(f"appcontainer service {verb} {DOCKER} {SERVICE}"))  # type: ignore[misc]
    shown = admin.shown(f"appcontainer service disable --reason repair {DOCKER} {SERVICE}")
    assert (shown["Host"], shown["Disabled"], shown["Disabled Reason"]) == (DOCKER, True, "repair")
    assert service() == ("up", True, "repair")
    shown = admin.shown(f"appcontainer service enable {DOCKER} {SERVICE}")
    assert (shown["Disabled"], service()) == (False, ("up", False, None))
    assert admin.shown(f"appcontainer service forcedown {DOCKER} {SERVICE}")["Forced_down"] is True
    assert service() == ("down", False, None)
    assert admin.shown(f"appcontainer service forcedown --unset {DOCKER} {SERVICE}")["Forced_down"] is False
    assert service() == ("up", False, None)
    for user, host, expected in ((admin, "nowhere", "could not be found"), (member, DOCKER, "Policy doesn't allow")):
        told = user.refused(f"appcontainer service disable {host} {SERVICE}")
        assert expected in told, told


def test_a_host_with_containers_is_not_forgotten(admin: OpenStack, container: str) -> None:
    where = admin.settled(container)["host"]
    told = admin.refused(f"appcontainer service delete {where} {SERVICE}")
    assert "containers" in told, told
    assert where in {one["Host"] for one in admin.shown("appcontainer service list")}
    told = admin.refused(f"appcontainer service delete nowhere {SERVICE}")
    assert "could not be found" in told, told


def test_an_operator_has_a_host_pull_an_image_and_drop_it(
    admin: OpenStack, member: OpenStack, afterwards: Undo
) -> None:
    repo = "localhost:1/higgins/verbs"  # where nobody listens: what comes of it is not this test's business
    pulled = admin.shown(f"appcontainer image pull {repo}:1 {PODMAN}")
    ident = pulled["uuid"]
    afterwards(lambda: admin.said(f"appcontainer image delete {ident}"))
    assert (pulled["repo"], pulled["tag"]) == (repo, "1")
    assert ident in {one["uuid"] for one in admin.shown("appcontainer image list")}
    assert admin.shown(f"appcontainer image show {ident}")["repo"] == repo
    told = admin.refused(f"appcontainer image pull {repo}:1 {PODMAN}")
    assert "already" in told, told
    told = member.refused(f"appcontainer image pull {repo}:2 {PODMAN}")
    assert "Policy doesn't allow" in told, told
    assert "accepted" in admin(f"appcontainer image delete {ident}")
    until("the image to be dropped", lambda: not admin.said(f"appcontainer image show {ident}").well)


def test_quotas_of_a_project_and_of_all(admin: OpenStack, member: OpenStack, people: People, afterwards: Undo) -> None:
    project = people.project_ids[0]
    default = member.shown(f"appcontainer quota default {project}")
    assert {"containers", "cpu", "memory", "disk"} <= set(default)
    klass = admin.shown("appcontainer quota class get default")
    assert {word: klass[word] for word in ("containers", "cpu", "memory", "disk")} == {
        word: default[word] for word in ("containers", "cpu", "memory", "disk")
    }
    afterwards(lambda: admin(f"appcontainer quota class update --disk {klass['disk']} default"))
    assert (
        admin.shown(f"appcontainer quota class update --disk {klass['disk'] + 7} default")["disk"] == klass["disk"] + 7
    )
    assert admin.shown("appcontainer quota class get default")["disk"] == klass["disk"] + 7
    assert member.shown(f"appcontainer quota default {project}")["disk"] == klass["disk"] + 7
    told = member.refused("appcontainer quota class update --disk 1 default")
    assert "Policy doesn't allow" in told, told


def test_registries_of_a_project(member: OpenStack, people: People, afterwards: Undo) -> None:
    name, password = f"{people.name}-registry", "a canary in a registry"
    made = member.shown(
        f"appcontainer registry create --name {name} --domain r.example --username me --password '{password}'"
    )
    afterwards(lambda: member.said(f"appcontainer registry delete {made['uuid']}"))
    for named in (name, made["uuid"]):
        shown = member.shown(f"appcontainer registry show {named}")
        assert (shown["uuid"], shown["domain"], shown["username"]) == (made["uuid"], "r.example", "me")
        assert password not in str(shown)
    listed = member.shown("appcontainer registry list --domain r.example")
    assert [(one["uuid"], one["name"]) for one in listed] == [(made["uuid"], name)]
    changed = member.shown(f"appcontainer registry update {name} --domain r2.example --name {name}-2 --username you")
    assert (changed["uuid"], changed["domain"], changed["name"], changed["username"]) == (
        made["uuid"], "r2.example", f"{name}-2", "you",
    )  # fmt: skip
    told = member.refused(f"appcontainer registry show {name}")
    assert "could not be found" in told, told
    assert "accepted" in member(f"appcontainer registry delete {name}-2")
    assert member.shown("appcontainer registry list") == []
    told = member.refused(f"appcontainer registry delete {name}-2")
    assert "could not be found" in told, told
