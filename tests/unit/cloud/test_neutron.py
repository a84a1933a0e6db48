"""What the port to Neutron and the choice of networks do with answers, whoever gives them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from higgins.cloud.neutron import Neutron
from higgins.control.network.neutron import NeutronNetworks
from higgins.control.requests import NetworkRequest
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.core.model import NetworkWish
from higgins.policy.enforce import Policy

NET, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


@dataclasses.dataclass
class Answers:
    """Answers from tables of JSON as Neutron has them, filtered by equality; DELETE gives 404."""

    tables: dict[str, list[dict[str, Any]]]
    asked: list[tuple[str, str, str | None]] = dataclasses.field(default_factory=list)

    def call(self, method, path, *, body=None, query=None, headers=None, token=None):
        self.asked.append((method, path, token))
        table, _, ident = path.strip("/").partition("/")
        name = table.replace("-", "_")
        if method == "DELETE":
            raise errors.NotFound("Neutron: not found.")
        if ident:
            return {name.removesuffix("s"): next(one for one in self.tables[name] if one["id"] == ident)}
        wanted = {key: value for key, value in (query or {}).items() if key != "fields"}
        rows = [
            one
            for one in self.tables.get(name, [])
            if all(one.get(key) in (value if isinstance(value, list) else [value]) for key, value in wanted.items())
        ]
        return {name: rows}


def network(ident: str, project: str = "project-1", **more: Any) -> dict[str, Any]:
    return {"id": ident, "name": f"name of {ident}", "project_id": project, "mtu": 1442, "created_at": ident} | more


def caller(*roles: str, token: str | None = "token") -> Caller:
    return Caller(
        user_id="u", project_id="project-1", roles=frozenset(roles or ("member",)), request_id="req-1", token=token
    )


def networks(*rows: dict[str, Any], **tables: list[dict[str, Any]]) -> tuple[NeutronNetworks, Answers]:
    answers = Answers({"networks": list(rows)} | tables)
    return NeutronNetworks(Neutron(answers), Policy()), answers


def asked(
    found: NeutronNetworks, *wanted: NetworkRequest, who: Caller | None = None, project_id: str = "project-1"
) -> tuple[NetworkWish, ...]:
    return found.networks(who or caller(), wanted, project_id=project_id)


def test_networks_are_known_for_a_minute() -> None:
    now = [0.0]
    answers = Answers({"networks": [network(NET)], "subnets": []})
    neutron = Neutron(answers, clock=lambda: now[0])
    assert not neutron.knows(NET)
    assert neutron.layout(NET).network.mtu == 1442
    now[0] = 59.0
    neutron.layout(NET)
    assert (neutron.knows(NET), len(answers.asked)) == (True, 2)
    now[0] = 60.0
    assert not neutron.knows(NET)
    neutron.layout(NET)
    neutron.forget(NET)
    neutron.layout(NET)
    assert len(answers.asked) == 6


def test_whether_a_project_may_use_a_network_is_known_for_a_minute() -> None:
    now = [0.0]
    policy = {"object_type": "network", "object_id": OTHER, "action": "access_as_shared", "target_tenant": "project-2"}
    answers = Answers({"networks": [network(NET), network(OTHER)], "rbac_policies": [policy]})
    neutron = Neutron(answers, clock=lambda: now[0])
    assert [neutron.may_use(NET, f"project-{number}") for number in (1, 2)] == [True, False]
    assert [neutron.may_use(OTHER, f"project-{number}") for number in (1, 2, 3)] == [True, True, False]
    assert len(answers.asked) == 4
    answers.tables["rbac_policies"] = []
    assert neutron.may_use(OTHER, "project-2")
    now[0] = 60.0
    assert not neutron.may_use(OTHER, "project-2")
    policy["target_tenant"] = "*"
    answers.tables["rbac_policies"] = [policy]
    neutron.forget(OTHER)
    assert neutron.may_use(OTHER, "project-3")


def test_a_delete_that_is_contradicted_is_no_delete() -> None:
    neutron = Neutron(Answers({"ports": [{"id": "p", "network_id": NET, "mac_address": "m"}]}))
    neutron.delete_port("q")
    with pytest.raises(errors.Unavailable):
        neutron.delete_port("p")


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([network("b"), network("a")], "a"),
        ([network("a", "project-2", shared=True), network("b")], "b"),
        ([network("b", "project-2", shared=True), network("a", "project-3", shared=True)], "a"),
        ([network("a", **{"router:external": True}), network("b")], "b"),
        ([network("a", "project-2"), network("b")], "b"),
    ],
)
def test_the_default_network(rows: list[dict[str, Any]], chosen: str) -> None:
    found, answers = networks(*rows)
    assert [wish.network for wish in asked(found)] == [chosen]
    assert answers.asked == [("GET", "/networks", "token")]


def test_external_networks_need_a_power_unless_shared() -> None:
    found, _ = networks(
        network(NET, "project-2", **{"router:external": True}),
        network(OTHER, "project-2", **{"router:external": True}, shared=True),
    )
    with pytest.raises(errors.Forbidden) as refused:
        asked(found, NetworkRequest(network=NET))
    assert refused.value.code == "external-network-attach-forbidden"
    assert asked(found, NetworkRequest(network=NET), who=caller("admin"))[0].network == NET
    assert asked(found, NetworkRequest(network=OTHER))[0].network == OTHER


@pytest.mark.parametrize("asked", [{"v4": "10.0.0.9"}, {"v6": "fd00::9"}])
def test_only_a_networks_owner_and_administrators_choose_addresses_there(asked: dict[str, str]) -> None:
    subnets = [
        {"id": "s4", "network_id": NET, "ip_version": 4, "cidr": "10.0.0.0/24"},
        {"id": "s6", "network_id": NET, "ip_version": 6, "cidr": "fd00::/64"},
    ]
    request = (NetworkRequest(network=NET, **asked),)
    shared, _ = networks(network(NET, "project-2", shared=True), subnets=subnets)
    with pytest.raises(errors.Forbidden, match="Leave the fixed address out") as refused:
        shared.networks(caller(), request, project_id="project-1")
    assert refused.value.code == "fixed-ip-not-allowed"
    own, _ = networks(network(NET, shared=True), subnets=subnets)
    for found, who in ((shared, caller("admin")), (own, caller())):
        [wish] = found.networks(who, request, project_id="project-1")
        assert (wish.v4, wish.v6) == (asked.get("v4"), asked.get("v6"))


def test_of_several_of_one_name_ones_own_is_meant() -> None:
    same = {"name": "blue"}
    found, _ = networks(network(NET, **same), network(OTHER, "project-2", **same))
    assert asked(found, NetworkRequest(network="blue"))[0].network == NET
    shared = same | {"shared": True}
    found, _ = networks(network(NET, "project-3", **shared), network(OTHER, "project-2", **shared))
    with pytest.raises(errors.Conflict):
        asked(found, NetworkRequest(network="blue"))


def test_a_network_is_named_once() -> None:
    found, _ = networks(network(NET, name="blue"))
    with pytest.raises(errors.Invalid, match="twice"):
        asked(found, NetworkRequest(network=NET), NetworkRequest(network="blue"))


def test_with_network_and_port_the_port_decides() -> None:
    port = {"id": OTHER, "network_id": NET, "project_id": "project-1", "mac_address": "m", "fixed_ips": []}
    found, answers = networks(network(NET), ports=[port])
    [wish] = asked(found, NetworkRequest(network=NET, port=OTHER))
    assert (wish.network, wish.port, wish.key) == (NET, OTHER, OTHER)
    assert [path for _, path, _ in answers.asked] == ["/ports"]
    with pytest.raises(errors.Invalid, match="not on the network"):
        asked(found, NetworkRequest(network=OTHER, port=OTHER))


@pytest.mark.parametrize(
    ("change", "code"), [({"project_id": "project-2"}, "port-not-usable"), ({"device_id": "x"}, "port-in-use")]
)
def test_ports_that_cannot_be_used(change: dict[str, str], code: str) -> None:
    port = {"id": OTHER, "network_id": NET, "project_id": "project-1", "mac_address": "m"} | change
    found, _ = networks(ports=[port])
    with pytest.raises(errors.Invalid) as refused:
        asked(found, NetworkRequest(port=OTHER))
    assert refused.value.code == code


def test_without_a_users_token_neutron_is_not_asked() -> None:
    found, answers = networks(network(NET))
    for ask in (
        lambda who: asked(found, who=who),
        lambda who: found.groups(who, ("web",), project_id="project-1"),
    ):
        with pytest.raises(errors.Forbidden, match="Keystone"):
            ask(caller(token=None))
    assert answers.asked == []


def group(ident: str, project: str, **more: Any) -> dict[str, Any]:
    return {"id": ident, "name": "default", "project_id": project} | more


def policy_of(kind: str, ident: str, target: str) -> dict[str, str]:
    return {"object_type": kind, "object_id": ident, "action": "access_as_shared", "target_tenant": target}


def test_an_administrators_words_mean_what_the_containers_project_has() -> None:
    found, _ = networks(
        network(NET, "project-1", name="blue"),
        network(OTHER, "project-2", name="blue"),
        security_groups=[group(NET, "project-1"), group(OTHER, "project-2")],
    )
    admin = caller("admin")
    for project, meant in (("project-1", NET), ("project-2", OTHER)):
        assert asked(found, NetworkRequest(network="blue"), who=admin, project_id=project)[0].network == meant
        assert found.groups(admin, ("default",), project_id=project) == (meant,)


@pytest.mark.parametrize("project", ["project-1", "project-2"])
def test_what_the_containers_project_may_not_use_is_not_there(project: str) -> None:
    mine = "project-1" if project == "project-2" else "project-3"
    found, _ = networks(
        network(NET, mine), security_groups=[group(NET, mine)], rbac_policies=[policy_of("network", NET, "project-4")]
    )
    with pytest.raises(errors.NotFound) as missing:
        asked(found, NetworkRequest(network=NET), who=caller("admin"), project_id=project)
    assert missing.value.code == "network-not-found"
    with pytest.raises(errors.Invalid) as refused:
        found.groups(caller("admin"), (NET,), project_id=project)
    assert refused.value.code == "security-group-not-found"


@pytest.mark.parametrize("target", ["project-2", "*"])
def test_what_is_shared_with_the_containers_project_is_there(target: str) -> None:
    shared = {"shared": target == "*"}  # as Neutron shows it to the administrator, who is of another project
    found, _ = networks(
        network(NET, "project-3", **shared),
        security_groups=[group(OTHER, "project-3", **shared)],
        rbac_policies=[policy_of("network", NET, target), policy_of("security_group", OTHER, target)],
    )
    admin = caller("admin")
    assert asked(found, NetworkRequest(network=NET), who=admin, project_id="project-2")[0].network == NET
    assert found.groups(admin, (OTHER,), project_id="project-2") == (OTHER,)


def test_what_is_shared_with_the_administrators_own_project_only_is_not_there() -> None:
    found, _ = networks(network(NET, "project-3", shared=True), rbac_policies=[policy_of("network", NET, "project-1")])
    assert asked(found, NetworkRequest(network=NET))[0].network == NET
    with pytest.raises(errors.NotFound):
        asked(found, NetworkRequest(network=NET), who=caller("admin"), project_id="project-2")


def test_a_port_is_of_the_containers_project() -> None:
    port = {"id": OTHER, "network_id": NET, "project_id": "project-2", "mac_address": "m", "fixed_ips": []}
    found, _ = networks(network(NET), ports=[port])
    [wish] = asked(found, NetworkRequest(port=OTHER), who=caller("admin"), project_id="project-2")
    assert wish.port == OTHER
