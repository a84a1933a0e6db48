"""A user's walk with the OpenStackClient: networks, groups, floating IPs, volumes, images, sizes, quota; at its end nothing is left."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.cloud.cloud_world import People, until
from tests.cloud.pictured import archive
from tests.cloud.walk.typed_commands import OpenStack

pytestmark = pytest.mark.usefixtures("nothing_left")

PODMAN, DOCKER = "node1", "node1-docker"
"""Hosts; who may choose one is an administrator."""
IDLE = "sh -c 'trap exit TERM; sleep 1000 & wait'"
SERVES = "sh -c 'trap exit TERM; mkdir /www; echo well met > /www/index.html; httpd -p 8080 -h /www; sleep 1000 & wait'"
GREETING = "well met"
SMALL = "--cpu 0.2 --memory 64"


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A network with a way out, a group without rules, and two containers: the server is of the group, and on another host."""

    net: str
    group: str
    server: str
    client: str
    address: str


@pytest.fixture(scope="module")
def net(member: OpenStack, people: People) -> Iterator[str]:
    name = f"{people.name}-walk"
    with contextlib.ExitStack() as undo:
        member(f"network create {name}")
        undo.callback(member, f"network delete {name}")
        member(f"subnet create --network {name} --subnet-range 10.66.0.0/24 {name}")
        member(f"router create --external-gateway public {name}")
        undo.callback(member, f"router delete {name}")
        member(f"router add subnet {name} {name}")
        undo.callback(member, f"router remove subnet {name} {name}")
        yield name


@pytest.fixture(scope="module")
def pair(member: OpenStack, admin: OpenStack, net: str) -> Iterator[Pair]:
    server, client, group = f"{net}-server", f"{net}-client", f"{net}-closed"
    with contextlib.ExitStack() as undo:
        member(f"security group create {group}")
        undo.callback(member, f"security group delete {group}")
        undo.callback(member.end, server, client)
        start = f"appcontainer run {SMALL} --net network={net}"
        admin(f"{start} --name {server} --host {PODMAN} --security-group {group} busybox {SERVES}")
        admin(f"{start} --name {client} --host {DOCKER} busybox {IDLE}")
        address = member.settled(server)["addresses"]
        member.settled(client)
        yield Pair(net, group, server, client, address)


def fetched(address: str) -> str:
    """What its server says to somebody outside of the cloud's networks."""
    with contextlib.suppress(OSError), socket.create_connection((address, 8080), 3) as connection:
        connection.settimeout(3)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return connection.makefile().read().partition("\n\n")[2].strip()
    return ""


def test_a_container_reaches_another_and_is_reached_from_outside_as_rules_allow(
    member: OpenStack, pair: Pair, afterwards: Callable[..., object]
) -> None:
    echo = f"appcontainer exec {pair.client} ping -c 1 -W 1 {pair.address}"
    page = f"appcontainer exec {pair.client} timeout 3 wget -q -O - http://{pair.address}:8080/"
    refused = member.said(echo)
    assert (refused.code, "100% packet loss" in refused.out) == (1, True), refused
    member(f"security group rule create --protocol icmp {pair.group}")
    until("an echo", lambda: member.said(echo).code == 0)
    assert member.said(page).code != 0  # the way is there now, so this is the group's doing
    member(f"security group rule create --protocol tcp --dst-port 8080 {pair.group}")
    until("the page", lambda: GREETING in member.said(page).out)
    floating = member.shown("floating ip create public")["floating_ip_address"]
    afterwards(lambda: member(f"floating ip delete {floating}"))
    assert fetched(floating) == ""
    member(f"appcontainer add floating ip {pair.server} {floating}")
    until("the page from outside", lambda: fetched(floating) == GREETING)
    member(f"appcontainer remove floating ip {floating}")
    until("no page from outside any more", lambda: fetched(floating) == "")


def test_a_volume_outlives_its_container(
    member: OpenStack, admin: OpenStack, net: str, afterwards: Callable[..., object]
) -> None:
    volume, writer, reader = (f"{net}-{word}" for word in ("data", "writer", "reader"))
    state = f"volume show {volume} -f value -c status"
    member(f"volume create --size 1 {volume}")
    afterwards(lambda: member(f"volume delete {volume}"))
    member.until(state, "available")
    afterwards(lambda: member.end(writer, reader))
    start = f"appcontainer run {SMALL} --net network={net}"
    told = member.refused(f"{start} --mount source={volume}s,destination=/data busybox")
    assert "openstack volume list" in told, told
    told = member.refused(f"{start} --host {PODMAN} busybox")
    assert "Policy doesn't allow" in told, told
    admin(f"{start} --wait --host {PODMAN} --name {writer} --mount source={volume},destination=/data busybox {IDLE}")
    member(f"appcontainer exec {writer} sh -c 'echo kept > /data/note'")
    assert member(state) == "in-use"
    told = member.refused(f"{start} --name {reader} --mount source={volume},destination=/data busybox {IDLE}")
    assert "in use" in told, told
    member.end(writer)
    assert member(state) == "available"
    admin(f"{start} --host {DOCKER} --name {reader} --mount source={volume},destination=/srv busybox {IDLE}")
    member.settled(reader)
    assert member(f"appcontainer exec {reader} cat /srv/note") == "kept"
    member.end(reader)
    assert member(state) == "available"


def test_an_image_of_glance_and_what_is_committed_of_it_run(
    member: OpenStack, net: str, tmp_path: pathlib.Path, afterwards: Callable[..., object]
) -> None:
    image, committed, first, second = (f"{net}-{word}" for word in ("image", "committed", "first", "second"))
    file = tmp_path / "image.tar"
    file.write_bytes(archive(says=GREETING))
    member(f"image create --container-format docker --disk-format raw --file {file} {image}")
    afterwards(lambda: member(f"image delete {image}"))
    assert [one["Name"] for one in member.shown(f"appcontainer image search --image-driver glance {image}")] == [image]
    afterwards(lambda: member.end(first, second))
    start = f"appcontainer run {SMALL} --image-driver glance --net network={net}"
    member(f"{start} --name {first} {image} {IDLE}")
    member.settled(first)
    assert member(f"appcontainer exec {first} cat /says") == GREETING
    member(f"appcontainer exec {first} sh -c 'echo by hand > /added'")
    afterwards(lambda: member.said(f"image delete {committed}"))
    assert "has been accepted" in member(f"appcontainer commit {first} {committed}")
    member.until(f"image show {committed} -f value -c status", "active")
    member(f"{start} --name {second} {committed} {IDLE}")
    member.settled(second)
    assert member(f"appcontainer exec {second} cat /says /added") == f"{GREETING}by hand"
    told = member.refused(f"{start} {net}-nothing")
    assert f"{net}-nothing" in told, told


def test_a_container_grows_while_it_runs_and_so_does_what_it_takes_at_placement(
    member: OpenStack, admin: OpenStack, pair: Pair
) -> None:
    uuid = member.settled(pair.client)["uuid"]

    def taken() -> object:
        [one] = admin.shown(f"resource provider allocation show {uuid}")
        return one["resources"]

    limit = f"appcontainer exec {pair.client} sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>&- || cat /sys/fs/cgroup/memory.max'"
    assert taken() == {"VCPU": 1, "MEMORY_MB": 64}
    member(f"appcontainer exec {pair.client} touch /of-this-life")
    member(f"appcontainer set --cpu 1.5 --memory 128 {pair.client}")
    until("the allocation of the new size", lambda: taken() == {"VCPU": 2, "MEMORY_MB": 128})
    member.until(limit, str(128 << 20))
    shown = member.settled(pair.client)
    assert (float(shown["cpu"]), shown["memory"]) == (1.5, "128")
    member(f"appcontainer exec {pair.client} ls /of-this-life")


def test_more_than_the_quota_is_refused_and_the_message_says_what_of(
    member: OpenStack, admin: OpenStack, people: People, pair: Pair, afterwards: Callable[..., object]
) -> None:
    project = people.project_ids[0]
    member.settled(pair.server)
    afterwards(lambda: admin(f"appcontainer quota delete {project}"))
    admin(f"appcontainer quota update --memory 512 {project}")
    told = member.refused(f"appcontainer run --memory 500 --net network={pair.net} busybox {IDLE}")
    assert "quota" in told.lower(), told
    assert "memory" in told, told
    told = member.refused(f"appcontainer set --memory 500 {pair.server}")
    assert "quota" in told.lower(), told
    assert member.settled(pair.server)["memory"] == "64"
    usage = member.shown(f"appcontainer quota get --usages {project}")
    assert usage["containers"]["in_use"] == 2, usage
