"""Neutron's REST API, thinly typed: networks, subnets, ports, security groups and their rules.

Must not know what a container is, nor which port it gets.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from higgins.core import errors
from higgins.threads.together import both

if TYPE_CHECKING:  # so that types alone need no keystoneauth1
    from higgins.cloud.session import Caller, Session

T = TypeVar("T")

_REMEMBERED_S = 60.0
BINDING_FAILED = ("binding_failed", "unbound", "")
"""What ``Port.vif_type`` says of a port that no host can plug."""


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A network. ``external`` is one that a router's gateway is on; ``dns_domain`` is empty where Neutron has none for it."""

    id: str
    name: str
    project_id: str
    mtu: int
    shared: bool
    external: bool
    dns_domain: str
    created_at: str


@dataclasses.dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet; ``routes`` are pairs of destination and next hop."""

    id: str
    network_id: str
    version: Literal[4, 6]
    cidr: str
    gateway: str | None
    dns_servers: tuple[str, ...]
    routes: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """A port; ``fixed_ips`` are pairs of subnet and address. What is bound where is shown to an administrator's account only.

    ``revision`` counts its changes. ``dns_domain`` is that of the names which Neutron gives its addresses.
    """

    id: str
    name: str
    description: str
    network_id: str
    project_id: str
    mac: str
    fixed_ips: tuple[tuple[str, str], ...]
    device_id: str
    device_owner: str
    security_groups: tuple[str, ...]
    revision: int
    host: str = ""
    vif_type: str = ""
    bridge: str = ""
    datapath_type: str = ""
    dns_domain: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group without its rules. ``shared``, as of a network: with the project of whoever asks, or with all."""

    id: str
    name: str
    project_id: str
    description: str
    shared: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a security group lets in, from anywhere."""

    version: Literal[4, 6]
    protocol: str
    port: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewPort:
    """A port to make. Without ``fixed_ips`` Neutron chooses, without ``security_groups`` it is the project's default one."""

    network_id: str
    project_id: str
    name: str
    description: str
    device_id: str
    device_owner: str
    host: str
    mac: str | None = None
    fixed_ips: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """What a host must know of a network beside its own port there."""

    network: Network
    subnets: tuple[Subnet, ...]


class Neutron:
    """The service asks as itself, or with a user's ``token``: then it sees what he may see. Raises what ``Service.call`` raises.

    Filters are Neutron's own; a list or tuple means any of its values. Safe to share between threads.
    """

    def __init__(self, service: Caller, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._networks: dict[str, tuple[float, Network]] = {}
        self._subnets: dict[str, tuple[float, tuple[Subnet, ...]]] = {}
        self._shared: dict[str, tuple[float, frozenset[str]]] = {}

    @classmethod
    def of(cls, session: Session) -> Neutron:
        """The Neutron of the catalogue."""
        return cls(session.service("network", "Neutron", path="/v2.0"))

    def networks(self, *, token: str | None = None, **filters: Any) -> list[Network]:
        """The networks that are so."""
        return [_network(one) for one in self._list("networks", filters, token)]

    def subnets(self, *, token: str | None = None, **filters: Any) -> list[Subnet]:
        """The subnets that are so."""
        return [_subnet(one) for one in self._list("subnets", filters, token)]

    def network(self, network_id: str) -> Network:
        """One network, as it was up to a minute ago; ``NotFound``."""
        return self._remembered(
            self._networks, network_id, lambda: _network(self._get(f"/networks/{network_id}", "network"))
        )

    def subnets_of(self, network_id: str) -> tuple[Subnet, ...]:
        """A network's subnets, as they were up to a minute ago."""
        return self._remembered(self._subnets, network_id, lambda: tuple(self.subnets(network_id=network_id)))

    def layout(self, network_id: str) -> Layout:
        """Both of a network; Neutron is not asked when it was within the last minute, else for both at once."""
        if self.knows(network_id):
            return Layout(self.network(network_id), self.subnets_of(network_id))
        return Layout(*both(lambda: self.network(network_id), lambda: self.subnets_of(network_id)))

    def knows(self, network_id: str) -> bool:
        """Whether ``layout`` can answer without asking."""
        with self._lock:
            return all(self._clock() < kept.get(network_id, (0.0,))[0] for kept in (self._networks, self._subnets))

    def forget(self, network_id: str) -> None:
        """Have ``layout`` ask again: what was known turned out to be old."""
        with self._lock:
            self._networks.pop(network_id, None)
            self._subnets.pop(network_id, None)
            self._shared.pop(network_id, None)

    def may_use(self, network_id: str, project_id: str) -> bool:
        """Whether a network is the project's own or shared with it, as it was up to a minute ago; ``NotFound``."""
        if self.network(network_id).project_id == project_id:
            return True
        shared = self._remembered(self._shared, network_id, lambda: self._shares(network_id))
        return not shared.isdisjoint((project_id, "*"))

    def _shares(self, network_id: str) -> frozenset[str]:
        wanted = {"object_type": "network", "object_id": network_id, "action": "access_as_shared"}
        return frozenset(one["target_tenant"] for one in self._list("rbac-policies", wanted, None))

    def ports(self, *, token: str | None = None, **filters: Any) -> list[Port]:
        """The ports that are so."""
        return [_port(one) for one in self._list("ports", filters, token)]

    def port(self, port_id: str, *, token: str | None = None) -> Port:
        """One port; ``NotFound``."""
        return _port(self._get(f"/ports/{port_id}", "port", token))

    def create_port(self, new: NewPort) -> Port:
        """Make a port and bind it to its host."""
        body: dict[str, Any] = {
            "network_id": new.network_id,
            "project_id": new.project_id,
            "name": new.name,
            "description": new.description,
            "device_id": new.device_id,
            "device_owner": new.device_owner,
            "binding:host_id": new.host,
            "admin_state_up": True,
        }
        if new.mac is not None:
            body["mac_address"] = new.mac
        if new.fixed_ips:
            body["fixed_ips"] = [{"ip_address": addr} for addr in new.fixed_ips]
        if new.security_groups:
            body["security_groups"] = list(new.security_groups)
        return _port(self._service.call("POST", "/ports", body={"port": body})["port"])

    def update_port(
        self,
        port: Port,
        *,
        device_id: str | None = None,
        device_owner: str | None = None,
        host: str | None = None,
        security_groups: Sequence[str] | None = None,
    ) -> Port:
        """Change what is not ``None``; ``Conflict`` when somebody changed the port since it was read."""
        given = {
            "device_id": device_id,
            "device_owner": device_owner,
            "binding:host_id": host,
            "security_groups": None if security_groups is None else list(security_groups),
        }
        body = {name: value for name, value in given.items() if value is not None}
        headers = {"If-Match": f"revision_number={port.revision}"}
        return _port(self._service.call("PUT", f"/ports/{port.id}", body={"port": body}, headers=headers)["port"])

    def delete_port(self, port_id: str) -> None:
        """Delete a port; nothing happens when it is not there."""
        self._delete("ports", port_id)

    def security_groups(self, *, token: str | None = None, **filters: Any) -> list[SecurityGroup]:
        """The security groups that are so."""
        wanted = {"fields": ["id", "name", "project_id", "description", "shared"]}
        return [_group(one) for one in self._list("security-groups", filters | wanted, token)]

    def shared_with(
        self, project_id: str, kind: Literal["network", "security_group"], idents: Sequence[str], *, token: str
    ) -> set[str]:
        """Those of these networks or groups that another project may use because they are shared with it, or with all."""
        wanted = {
            "object_type": kind,
            "object_id": list(idents),
            "action": "access_as_shared",
            "target_tenant": [project_id, "*"],
            "fields": ["object_id"],
        }
        return {str(one["object_id"]) for one in self._list("rbac-policies", wanted, token)}

    def create_security_group(self, *, name: str, project_id: str, description: str) -> SecurityGroup:
        """Make a group that lets everything out and nothing in."""
        body = {"security_group": {"name": name, "project_id": project_id, "description": description}}
        return _group(self._service.call("POST", "/security-groups", body=body)["security_group"])

    def rename_security_group(self, group_id: str, *, name: str, description: str) -> None:
        """Give a group another name and description."""
        body = {"security_group": {"name": name, "description": description}}
        self._service.call("PUT", f"/security-groups/{group_id}", body=body)

    def delete_security_group(self, group_id: str) -> None:
        """Delete a group; nothing happens when it is not there, ``Conflict`` while a port is in it."""
        self._delete("security-groups", group_id)

    def rules(self, group_id: str) -> set[Rule]:
        """What a group lets in to single ports from anywhere."""
        found = self._list("security-group-rules", {"security_group_id": group_id, "direction": "ingress"}, None)
        return {
            Rule(6 if one["ethertype"] == "IPv6" else 4, one["protocol"], one["port_range_min"])
            for one in found
            if one["protocol"] and one["port_range_min"] == one["port_range_max"] and one["port_range_min"]
        }

    def create_rules(self, group_id: str, project_id: str, rules: Iterable[Rule]) -> None:
        """Let these in, all of them or none."""
        bodies = [
            {
                "security_group_id": group_id,
                "project_id": project_id,
                "direction": "ingress",
                "ethertype": f"IPv{rule.version}",
                "protocol": rule.protocol,
                "port_range_min": rule.port,
                "port_range_max": rule.port,
            }
            for rule in rules
        ]
        if bodies:
            self._service.call("POST", "/security-group-rules", body={"security_group_rules": bodies})

    def _list(self, what: str, filters: Mapping[str, Any], token: str | None) -> list[dict[str, Any]]:
        answer = self._service.call("GET", f"/{what}", query=filters, token=token)
        found: list[dict[str, Any]] = answer[what.replace("-", "_")]
        return found

    def _get(self, path: str, name: str, token: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._service.call("GET", path, token=token)[name]
        return found

    def _delete(self, what: str, ident: str) -> None:
        try:
            self._service.call("DELETE", f"/{what}/{ident}")
        except errors.NotFound as error:
            # A gateway on the way may answer so too, and then the thing would be forgotten and stay.
            if self._list(what, {"id": ident, "fields": "id"}, None):
                raise errors.Unavailable("Neutron contradicts itself. Try again later.") from error

    def _remembered(self, kept: dict[str, tuple[float, T]], key: str, ask: Callable[[], T]) -> T:
        with self._lock:
            until, known = kept.get(key, (0.0, None))
            if known is not None and self._clock() < until:
                return known
        found = ask()
        with self._lock:
            now = self._clock()
            for old in [one for one, (until, _) in kept.items() if until <= now]:
                del kept[old]
            kept[key] = (now + _REMEMBERED_S, found)
        return found


def _network(said: Mapping[str, Any]) -> Network:
    return Network(
        id=said["id"],
        name=said.get("name") or "",
        project_id=said.get("project_id") or said.get("tenant_id") or "",
        mtu=said.get("mtu") or 1500,
        shared=bool(said.get("shared")),
        external=bool(said.get("router:external")),
        dns_domain=(said.get("dns_domain") or "").rstrip("."),
        created_at=said.get("created_at") or "",
    )


def _subnet(said: Mapping[str, Any]) -> Subnet:
    return Subnet(
        id=said["id"],
        network_id=said["network_id"],
        version=6 if said["ip_version"] == 6 else 4,
        cidr=said["cidr"],
        gateway=said.get("gateway_ip"),
        dns_servers=tuple(said.get("dns_nameservers") or ()),
        routes=tuple((one["destination"], one["nexthop"]) for one in said.get("host_routes") or ()),
    )


def _port(said: Mapping[str, Any]) -> Port:
    details = said.get("binding:vif_details") or {}
    return Port(
        id=said["id"],
        name=said.get("name") or "",
        description=said.get("description") or "",
        network_id=said["network_id"],
        project_id=said.get("project_id") or said.get("tenant_id") or "",
        mac=said["mac_address"],
        fixed_ips=tuple((one["subnet_id"], one["ip_address"]) for one in said.get("fixed_ips") or ()),
        device_id=said.get("device_id") or "",
        device_owner=said.get("device_owner") or "",
        security_groups=tuple(said.get("security_groups") or ()),
        revision=said.get("revision_number") or 0,
        host=said.get("binding:host_id") or "",
        vif_type=said.get("binding:vif_type") or "",
        bridge=details.get("bridge_name") or "",
        datapath_type=details.get("datapath_type") or "",
        dns_domain=_domain(said.get("dns_assignment") or ()),
    )


def _domain(assignments: Sequence[Mapping[str, str]]) -> str:
    for one in assignments:
        name, fqdn = one.get("hostname") or "", (one.get("fqdn") or "").rstrip(".")
        if name and fqdn.startswith(f"{name}."):
            return fqdn.removeprefix(f"{name}.")
    return ""


def _group(said: Mapping[str, Any]) -> SecurityGroup:
    return SecurityGroup(
        id=said["id"],
        name=said.get("name") or "",
        project_id=said.get("project_id") or "",
        description=said.get("description") or "",
        shared=bool(said.get("shared")),
    )
