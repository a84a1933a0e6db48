"""Networks through the API of the cloud's own Higgins, down to the interfaces in a container and back."""

from __future__ import annotations

from typing import Any

import pytest

from higgins.provision.groups import name_of
from tests.cloud.cloud_world import Api, People, until
from tests.cloud.neutron.wired import Net

pytestmark = pytest.mark.usefixtures("nothing_left")


def interfaces(api: Api, container: str) -> str:
    """What the container sees of its addresses."""
    answer = api("POST", f"/containers/{container}/execute", command="ip -o addr", run="true")
    assert answer.status == 200, answer.body
    return str(answer.body["output"])


def networks(api: Api, container: str) -> list[Any]:
    answer = api("GET", f"/containers/{container}/network_list")
    return list(answer.body["networks"])


def test_networks_are_attached_and_detached_while_it_runs(people: People, net: Net, other: Net, port: Any) -> None:
    api = people.api("member")
    with api.container(nets=[{"network": other.id, "v4-fixed-ip": "198.18.8.6"}], exposed_ports={"80/tcp": {}}) as made:
        ident = made["uuid"]
        assert [one["addr"] for one in made["addresses"][other.id]] == ["198.18.8.6"]
        assert "198.18.8.6/29" in interfaces(api, ident)
        assert api("POST", f"/containers/{ident}/network_attach", network=net.id, fixed_ip="198.18.7.50").status == 200
        shown = api.wait(ident, "Running")
        assert "198.18.7.50" in {one["addr"] for one in shown["addresses"][net.id]}
        assert "198.18.7.50/24" in interfaces(api, ident)
        assert [one["net_id"] for one in networks(api, ident)] == [other.id, net.id]
        assert api("POST", f"/containers/{ident}/network_attach", network=net.id).status == 400
        assert api("POST", f"/containers/{ident}/network_detach", network=net.id).status == 202
        api.wait(ident, "Running")
        assert "198.18.7.50" not in interfaces(api, ident)
        assert api("POST", f"/containers/{ident}/network_detach", network=net.id).status == 400
        assert api("POST", f"/containers/{ident}/network_attach", port=port.id).status == 200
        shown = api.wait(ident, "Running")
        assert {one["addr"]: one["preserve_on_delete"] for one in shown["addresses"][net.id]}[
            port.fixed_ips[0]["ip_address"]
        ]
        before = networks(api, ident)
        for action, status in (("stop", "Stopped"), ("start", "Running"), ("rebuild", "Running")):
            answer = api("POST", f"/containers/{ident}/{action}", **({"timeout": 0} if action == "stop" else {}))
            assert answer.status == 202, answer.body
            api.wait(ident, status)
            assert networks(api, ident) == before
    neutron = people.connection("member").network
    assert neutron.get_port(port.id).device_id == ""
    assert list(neutron.security_groups(name=name_of(ident))) == []


def test_one_that_removes_itself_at_its_end_leaves_no_port(people: People, other: Net, port: Any) -> None:
    api, neutron = people.api("member"), people.connection("member").network
    fields = {"image": "busybox", "command": ["sleep", "1"], "auto_remove": True, "exposed_ports": {"80/tcp": {}}}
    made = api("POST", "/containers", fields | {"nets": [{"network": other.id}, {"port": port.id}]}, run="true")
    assert made.status == 202, made.body
    ident = made.body["uuid"]
    until("it to be gone", lambda: api("GET", f"/containers/{ident}").status == 404, 120,
          lambda: str(api("GET", f"/containers/{ident}").body))  # fmt: skip
    assert list(neutron.ports(device_id=ident)) == []
    assert list(neutron.security_groups(name=name_of(ident))) == []
    assert neutron.get_port(port.id).device_id == ""


def test_groups_are_added_and_removed_while_it_runs(people: People, groups: tuple[Any, Any]) -> None:
    api, neutron = people.api("member"), people.connection("member").network
    with api.container(security_groups=[groups[0].name]) as made:
        ident = made["uuid"]
        for action, expected in (
            ("add_security_group", {groups[0].id, groups[1].id}),
            ("remove_security_group", {groups[0].id}),
        ):
            answer = api("POST", f"/containers/{ident}/{action}", version="1.14", name=groups[1].name)
            assert answer.status == 202, answer.body
            assert {*api.wait(ident, "Running")["security_groups"]} == expected
            assert {*next(iter(neutron.ports(device_id=ident))).security_group_ids} == expected
