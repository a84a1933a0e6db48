"""Neutron's networks, ports and security groups as their user sees them: asked with his own token, so that what he may not see is not there.

Changes nothing at Neutron: ports and groups are made by provisioning.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Literal, TypeVar

from higgins.cloud.neutron import Network, Neutron, Port, SecurityGroup
from higgins.control.requests import NetworkRequest
from higgins.core.caller import Caller
from higgins.core.errors import Conflict, Forbidden, Invalid, NotFound, Unsupported
from higgins.core.model import NetworkWish, PodSpec
from higgins.core.names import is_uuid
from higgins.policy.enforce import Policy
from higgins.threads.together import together

Shared = TypeVar("Shared", Network, SecurityGroup)
Found = TypeVar("Found", Network, SecurityGroup, Port)


class NeutronNetworks:
    """Answers for Neutron (see ``driver.Networking``)."""

    name: Literal["bridge", "neutron"] = "neutron"

    def __init__(self, neutron: Neutron, policy: Policy) -> None:
        self._neutron = neutron
        self._policy = policy

    def networks(
        self, caller: Caller, asked: tuple[NetworkRequest, ...], *, project_id: str
    ) -> tuple[NetworkWish, ...]:
        """Each network or port asked for; without any the project's oldest network, else the oldest that is shared with it.

        ``NotFound``, ``Conflict`` (a name that several have, no network at all), ``Forbidden`` for an external network and for an
        address of one's own choice on another project's, ``Invalid`` for a port in use, a port of another project or an address outside the network.
        """
        wishes = together(lambda one: self._wish(caller, one, project_id), asked or (NetworkRequest(),))
        keys = [wish.key for wish in wishes]
        for key in keys:
            if keys.count(key) > 1:
                raise Invalid(f"The network or port {key} is named twice. Name it once.")
        return tuple(wishes)

    def groups(self, caller: Caller, asked: tuple[str, ...], *, project_id: str) -> tuple[str, ...]:
        """The uuids of security groups; ``Invalid`` for an unknown one, ``Conflict`` for a name that several have."""
        return tuple(dict.fromkeys(together(lambda one: self._group(caller, one, project_id), asked)))

    def network(self, caller: Caller, ident: str | None, *, project_id: str) -> str:
        """The uuid of a network that the project may use; ``NotFound``, ``Conflict``."""
        return self._network(caller, ident, project_id).id

    def port(self, caller: Caller, ident: str, *, project_id: str) -> str:
        """The uuid of a port of the project; ``NotFound``, ``Conflict``, ``Invalid`` for another project's."""
        return self._port(caller, ident, project_id).id

    def check_changeable(self, spec: PodSpec) -> None:
        """``Unsupported`` for a container that was made when the installation had no Neutron."""
        if spec.network_driver != self.name:
            raise Unsupported(
                "The container was made when this installation had other networks, and keeps its own. Create it anew to connect it otherwise."
            )

    def _wish(self, caller: Caller, asked: NetworkRequest, project_id: str) -> NetworkWish:
        if asked.port:
            return self._given(caller, asked, asked.port, project_id)
        network = self._network(caller, asked.network, project_id)
        is_special = self._is_external(caller, network)
        if asked.v4 or asked.v6:
            self._check_may_choose(caller, network)
            self._check_addresses(caller, network.id, asked)
        return NetworkWish(network=network.id, v4=_plain(asked.v4), v6=_plain(asked.v6), external=is_special)

    def _is_external(self, caller: Caller, network: Network) -> bool:
        """Whether it is external and not shared; ``Forbidden`` for who may not attach to such a one."""
        is_special = network.external and not network.shared
        if is_special and not self._policy.allows(caller, "network:attach_external_network"):
            raise Forbidden(
                f"The network {network.id} is external. Use a network of your project, and a floating IP to be reached from outside.",
                code="external-network-attach-forbidden",
            )
        return is_special

    @staticmethod
    def _check_may_choose(caller: Caller, network: Network) -> None:
        """As Neutron's own policy has it, which cannot see who he is when the port is made for him later."""
        if network.project_id != caller.project_id and not caller.is_admin:
            raise Forbidden(
                f"The network {network.id} is shared with your project, and only its owner may choose addresses there. "
                "Leave the fixed address out, or have its owner make a port with it in your project, and name that port.",
                code="fixed-ip-not-allowed",
            )

    def _given(self, caller: Caller, asked: NetworkRequest, ident: str, project_id: str) -> NetworkWish:
        port = self._port(caller, ident, project_id)
        if port.device_id:
            raise Invalid(f"The port {port.id} is in use by {port.device_id}. Use another port.", code="port-in-use")
        if asked.network and is_uuid(asked.network) and asked.network != port.network_id:
            raise Invalid(f"The port {port.id} is not on the network {asked.network}. Name one of both.")
        addresses = {addr for _, addr in port.fixed_ips}
        for addr in (_plain(asked.v4), _plain(asked.v6)):
            if addr and addr not in addresses:
                raise Invalid(f"The port {port.id} does not have the address {addr}. Leave the fixed address out.")
        return NetworkWish(network=port.network_id, port=port.id)

    def _check_addresses(self, caller: Caller, network_id: str, asked: NetworkRequest) -> None:
        subnets = self._neutron.subnets(token=_token(caller), network_id=network_id)
        for text, version in ((asked.v4, 4), (asked.v6, 6)):
            if not text:
                continue
            addr = _address(text)
            if addr.version != version:
                raise Invalid(f"'{text}' is no IPv{version} address.")
            if not any(addr in ipaddress.ip_network(subnet.cidr) for subnet in subnets):
                raise Invalid(f"The address {text} is in no subnet of the network {network_id}. Use another, or none.")

    def _network(self, caller: Caller, ident: str | None, project_id: str) -> Network:
        if not ident:
            return self._default(caller, project_id)
        found = self._neutron.networks(token=_token(caller), **_by(ident))
        usable = self._usable(caller, found, project_id, "network") or [one for one in found if one.external]
        return _one(usable, ident, "network", NotFound)

    def _default(self, caller: Caller, project_id: str) -> Network:
        found = self._neutron.networks(token=_token(caller))
        usable = self._usable(caller, [one for one in found if not one.external or one.shared], project_id, "network")
        if not usable:
            raise Conflict(
                "There is no network for the container: the project has none, and none is shared with it. Create a network with a subnet.",
                code="network-not-found",
            )
        return min(usable, key=lambda one: (one.created_at, one.id))

    def _port(self, caller: Caller, ident: str, project_id: str) -> Port:
        found = self._neutron.ports(token=_token(caller), **_by(ident))
        own = [one for one in found if one.project_id == project_id]
        if found and not own:
            raise Invalid(
                f"The port {found[0].id} belongs to another project than the container. Use one of the container's project.",
                code="port-not-usable",
            )
        return _one(own, ident, "port", NotFound)

    def _group(self, caller: Caller, ident: str, project_id: str) -> str:
        found = self._neutron.security_groups(token=_token(caller), **_by(ident))
        return _one(self._usable(caller, found, project_id, "security_group"), ident, "security group", Invalid).id

    def _usable(
        self, caller: Caller, found: Sequence[Shared], project_id: str, kind: Literal["network", "security_group"]
    ) -> Sequence[Shared]:
        """Of what the caller sees, which may be every project's, what the project may use: its own, else what is shared with it."""
        own = [one for one in found if one.project_id == project_id]
        if own or not found:
            return own
        if project_id == caller.project_id:
            return [one for one in found if one.shared]
        shared = self._neutron.shared_with(project_id, kind, [one.id for one in found], token=_token(caller))
        return [one for one in found if one.id in shared]


def _token(caller: Caller) -> str:
    """The caller's own token: Neutron is never asked with more rights than his in a question of his."""
    if caller.token is None:
        raise Forbidden(
            "Neutron's networks are for callers whom Keystone knows. Ask the operator to set backend = keystone in [identity]."
        )
    return caller.token


def _by(ident: str) -> dict[str, str]:
    return {"id": ident} if is_uuid(ident) else {"name": ident}


def _one(usable: Sequence[Found], ident: str, what: str, missing: type[NotFound | Invalid]) -> Found:
    if not usable:
        raise missing(
            f"The {what} {ident} could not be found among those that the container's project may use. "
            f"List them with: openstack {what} list",
            code=f"{what.replace(' ', '-')}-not-found",
        )
    if len(usable) > 1:
        raise Conflict(f"Several {what}s have the name {ident}. Use the uuid instead.")
    return usable[0]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise Invalid(f"'{text}' is no IP address.") from error


def _plain(text: str | None) -> str | None:
    """An address as Neutron writes it."""
    return str(_address(text)) if text else None
