"""The one network that an installation without Neutron has: the engine's own. It has no ports and no security groups."""

from __future__ import annotations

import uuid
from typing import Literal

from higgins.control.requests import NetworkRequest
from higgins.core.caller import Caller
from higgins.core.errors import Invalid, NotFound, Unsupported
from higgins.core.model import NetworkWish, PodSpec

BRIDGE = "bridge"
"""The name of the embedded network, which is the engine's own."""


def bridge_uuid(installation: str) -> str:
    """The embedded network's uuid: always the same one in one installation."""
    return str(uuid.uuid5(uuid.UUID(installation), BRIDGE))


class Bridge:
    """Answers for the embedded network (see ``driver.Networking``)."""

    name: Literal["bridge", "neutron"] = "bridge"

    def __init__(self, installation: str) -> None:
        self._uuid = bridge_uuid(installation)

    def networks(
        self, caller: Caller, asked: tuple[NetworkRequest, ...], *, project_id: str
    ) -> tuple[NetworkWish, ...]:
        """The embedded network; ``NotFound`` for another or any port, ``Invalid`` for a fixed address or for naming it twice."""
        for one in asked:
            self._check(caller, one, project_id)
        if len(asked) > 1:
            raise Invalid(
                f"A container can be on the network '{BRIDGE}' only once. Name it once, or no network at all."
            )
        return (NetworkWish(network=self._uuid),)

    def groups(self, caller: Caller, asked: tuple[str, ...], *, project_id: str) -> tuple[str, ...]:
        """None; ``Invalid`` for any."""
        for name in asked:
            raise Invalid(
                f"The security group {name} could not be found: the network '{BRIDGE}' has no security groups.",
                code="security-group-not-found",
            )
        return ()

    def network(self, caller: Caller, ident: str | None, *, project_id: str) -> str:
        """The embedded network's uuid; ``NotFound`` for another."""
        if ident not in (None, "", BRIDGE, self._uuid):
            raise NotFound(
                f"The network {ident} could not be found: this installation has one network, '{BRIDGE}'.",
                code="network-not-found",
            )
        return self._uuid

    def port(self, caller: Caller, ident: str, *, project_id: str) -> str:
        """``NotFound``."""
        raise NotFound(
            f"The port {ident} could not be found: this installation has no ports, only the network '{BRIDGE}'.",
            code="port-not-found",
        )

    def check_changeable(self, spec: PodSpec) -> None:
        """``Unsupported``: there is nothing else to connect a container to."""
        raise Unsupported(
            f"Every container here is on the one network '{BRIDGE}' and stays there: nothing can be attached to it or detached."
        )

    def _check(self, caller: Caller, asked: NetworkRequest, project_id: str) -> None:
        if asked.port:
            self.port(caller, asked.port, project_id=project_id)
        self.network(caller, asked.network, project_id=project_id)
        if asked.v4 or asked.v6:
            raise Invalid(f"The network '{BRIDGE}' chooses addresses itself. Leave the fixed address out.")
