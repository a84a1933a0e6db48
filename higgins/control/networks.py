"""The records that operators keep of networks; what a network is, ``network`` knows."""

from __future__ import annotations

from higgins.control.means import Means
from higgins.control.network.driver import networking_of
from higgins.core.caller import Caller, Scope
from higgins.store.records import networks
from higgins.store.records.networks import Network


class Networks:
    """Records of networks."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._networking = networking_of(means)

    def create(self, caller: Caller, *, name: str, neutron_net_id: str | None = None) -> Network:
        """Keep a record of a network known here; ``NotFound`` (code ``network-not-found``) for another, ``Conflict`` when there is one."""
        self._means.policy.require(caller, "network:create")
        known = self._networking.network(caller, neutron_net_id, project_id=caller.project_id)
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
