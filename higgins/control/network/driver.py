"""What the use cases ask of whatever connects containers, be it the engine's bridge or Neutron. Knows neither."""

from __future__ import annotations

import dataclasses
from typing import Literal, Protocol

from higgins.control.means import Means
from higgins.control.network.bridge import Bridge
from higgins.control.requests import NetworkRequest
from higgins.core.caller import Caller
from higgins.core.model import NetworkWish, PodSpec
from higgins.threads.together import both


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a new container is to be connected to; ``security_groups`` are uuids."""

    network_driver: Literal["bridge", "neutron"]
    networks: tuple[NetworkWish, ...]
    security_groups: tuple[str, ...] = ()


class Networking(Protocol):
    """Finds out what a caller's words mean, in the project whose container it is: an administrator's own may be another.

    Never called within a transaction: it may ask another service, as the caller himself.
    """

    @property
    def name(self) -> Literal["bridge", "neutron"]:
        """What a spec calls it."""
        ...

    def networks(
        self, caller: Caller, asked: tuple[NetworkRequest, ...], *, project_id: str
    ) -> tuple[NetworkWish, ...]:
        """The networks of a new container, the default one when none is named; ``NotFound``, ``Invalid``, ``Forbidden``, ``Conflict``."""
        ...

    def groups(self, caller: Caller, asked: tuple[str, ...], *, project_id: str) -> tuple[str, ...]:
        """The uuids of security groups; ``Invalid`` for an unknown one, ``Conflict`` for a name that several have."""
        ...

    def network(self, caller: Caller, ident: str | None, *, project_id: str) -> str:
        """The uuid of one network, of the default one without a name."""
        ...

    def port(self, caller: Caller, ident: str, *, project_id: str) -> str:
        """The uuid of one port."""
        ...

    def check_changeable(self, spec: PodSpec) -> None:
        """``Unsupported`` when what a living container of this spec is connected to cannot be changed."""
        ...


def choose(networking: Networking, caller: Caller, nets: tuple[NetworkRequest, ...], groups: tuple[str, ...]) -> Chosen:
    """What a new container of the caller's project is to be connected to; groups and networks are asked for at the same time."""
    project_id = caller.project_id
    if not groups:
        return Chosen(network_driver=networking.name, networks=networking.networks(caller, nets, project_id=project_id))
    networks, found = both(
        lambda: networking.networks(caller, nets, project_id=project_id),
        lambda: networking.groups(caller, groups, project_id=project_id),
    )
    return Chosen(network_driver=networking.name, networks=networks, security_groups=found)


def networking_of(means: Means) -> Networking:
    """What connects the containers of this installation."""
    services = means.services
    if services is None or services.neutron is None:
        return Bridge(means.installation)
    from higgins.control.network.neutron import NeutronNetworks

    return NeutronNetworks(services.neutron, means.policy)
