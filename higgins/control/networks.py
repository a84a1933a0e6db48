"""Networks: the records operators keep of them, and the facts of the one network an installation without Neutron has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from higgins.core.caller import Caller

if TYPE_CHECKING:
    from higgins.store.networks import Network


BRIDGE = "bridge"
"""The name of the embedded network."""


class Networks:
    """Records of networks."""

    def create(self, caller: Caller, *, name: str, neutron_net_id: str | None = None) -> Network:
        """Keep a record of a network known here; ``NotFound`` (code ``network-not-found``) for another, ``Conflict`` when there is one."""
        raise NotImplementedError

    def delete(self, caller: Caller, neutron_net_id: str) -> None:
        """Drop the record; ``NotFound``."""
        raise NotImplementedError
