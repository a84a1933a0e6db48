"""Networks: the facts of the one network that an installation without Neutron has, and the records operators keep of networks."""

from __future__ import annotations

import uuid

from higgins.control.means import Means
from higgins.control.requests import NetworkRequest
from higgins.core.caller import Caller, Scope
from higgins.core.errors import HigginsError, Invalid, NotFound, Unsupported
from higgins.core.model import NetworkWish
from higgins.store.records import networks
from higgins.store.records.networks import Network

BRIDGE = "bridge"
"""The name of the embedded network, which is the engine's own."""


def bridge_uuid(installation: str) -> str:
    """The embedded network's uuid: always the same one in one installation."""
    return str(uuid.uuid5(uuid.UUID(installation), BRIDGE))


def resolve(asked: NetworkRequest, installation: str) -> NetworkWish:
    """The network meant; ``NotFound`` for another network or any port, ``Invalid`` for a fixed address."""
    if asked.port:
        raise NotFound(
            f"The port {asked.port} could not be found: this installation has no ports, only the network '{BRIDGE}'.",
            code="port-not-found",
        )
    if asked.network not in (None, "", BRIDGE, bridge_uuid(installation)):
        raise NotFound(
            f"The network {asked.network} could not be found: this installation has one network, '{BRIDGE}'.",
            code="network-not-found",
        )
    if asked.v4 or asked.v6:
        raise Invalid(f"The network '{BRIDGE}' chooses addresses itself. Leave the fixed address out.")
    return NetworkWish(network=bridge_uuid(installation))


def resolve_all(asked: tuple[NetworkRequest, ...], installation: str) -> tuple[NetworkWish, ...]:
    """The networks of a new container; the embedded one when none is named."""
    if len(asked) > 1:
        for one in asked:
            resolve(one, installation)
        raise Invalid(f"A container can be on the network '{BRIDGE}' only once. Name it once, or no network at all.")
    return (resolve(asked[0] if asked else NetworkRequest(), installation),)


def attached_already(asked: NetworkRequest, container: str, installation: str) -> HigginsError:
    """Why a network cannot be attached."""
    if not asked.network and not asked.port:
        return Invalid("Name a network or a port to attach.")
    resolve(asked, installation)
    return Invalid(f"The container {container} is on the network '{BRIDGE}' already.")


def not_detachable(asked: NetworkRequest, container: str, installation: str) -> HigginsError:
    """Why a network cannot be detached."""
    if not asked.network and not asked.port:
        return Invalid("Name the network or the port to detach.")
    try:
        resolve(asked, installation)
    except NotFound:
        return Invalid(f"The container {container} is not on the network or port {asked.network or asked.port}.")
    return Unsupported(f"The network '{BRIDGE}' comes with every container here and cannot be detached.")


def unknown_security_group(name: str) -> HigginsError:
    """What a security group is answered with: the embedded network has none."""
    return Invalid(
        f"The security group {name} could not be found: the network '{BRIDGE}' has no security groups.",
        code="security-group-not-found",
    )


class Networks:
    """Records of networks."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def create(self, caller: Caller, *, name: str, neutron_net_id: str | None = None) -> Network:
        """Keep a record of a network known here; ``NotFound`` (code ``network-not-found``) for another, ``Conflict`` when there is one."""
        self._means.policy.require(caller, "network:create")
        known = resolve(NetworkRequest(network=neutron_net_id), self._means.installation).network
        with self._means.db.write() as tx:
            return networks.insert(
                tx,
                project_id=caller.project_id,
                user_id=caller.user_id,
                name=name,
                network_id=known,
                neutron_net_id=known,
            )

    def delete(self, caller: Caller, neutron_net_id: str) -> None:
        """Drop the record; ``NotFound``."""
        self._means.policy.require(caller, "network:delete")
        with self._means.db.write() as tx:
            networks.delete(tx, networks.get(tx, neutron_net_id, Scope(None)))
