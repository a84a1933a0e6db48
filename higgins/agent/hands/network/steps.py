"""Does the steps of a plan that concern networks, and says what a new container's network is. It decides nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from higgins.agent.hands.network.plugs import Network
from higgins.agent.steps import Verb
from higgins.core import errors, model
from higgins.engine.api import Engine
from higgins.engine.ports import TakesPorts


class NetworkSteps:
    """Steps on the networks of pods; ``network`` is None on a host that has none but its engine's own."""

    def __init__(self, engine: Engine, network: Network | None, stepping: Callable[[Verb, str, str], None]) -> None:
        self._engine, self._network, self._stepping = engine, network, stepping
        self.verbs: dict[Verb, Callable[[model.Assignment, str], None]] = {
            Verb.MAKE_NETWORK: lambda want, pod: self._needed().make(pod),
            Verb.PLUG: lambda want, port: self._needed().plug(want, port),
            Verb.UNPLUG: self._unplug,
            Verb.REMOVE_NETWORK: lambda want, pod: self._needed().remove(pod),
            Verb.CONNECT: self._connect,
            Verb.DISCONNECT: self._disconnect,
        }

    def of_container(self, want: model.Assignment, spec: model.ContainerSpec) -> dict[str, Any]:
        """The words of a ``Creation`` on a container's network."""
        first = want.spec.containers[0].uuid
        joins = spec.uuid != first and spec in want.spec.containers
        if want.spec.network_driver != "neutron":
            return {"network": f"container:{first}" if joins else model.ENGINE_NETWORK}
        words: dict[str, Any] = {
            "dns_servers": _in_order(server for plug in want.plugs for server in plug.dns_servers),
            "dns_search": _in_order(domain for plug in want.plugs for domain in plug.dns_search),
        }
        network = self._needed()
        if network.joins:
            return words | {"network": f"ns:{network.path(want.uuid)}"}
        if joins:
            return {"network": f"container:{first}"}
        self._takes_ports()
        return words | {"network": "ports", "ports": tuple(plug.port for plug in want.plugs)}

    def forget(self, pod: str) -> None:
        """Lend the links of a pod's ports to nobody."""
        if self._network:
            self._network.forget(pod)

    def _connect(self, want: model.Assignment, uuid: str) -> None:
        engine, there = self._takes_ports(), self._ports(uuid)
        self._stepping(Verb.CONNECT, uuid, want.uuid)
        for plug in want.plugs:
            if plug.port not in there:
                engine.connect(uuid, plug.port)
        self._route(want, uuid)

    def _disconnect(self, want: model.Assignment, uuid: str) -> None:
        engine, wanted = self._takes_ports(), {plug.port for plug in want.plugs}
        self._stepping(Verb.DISCONNECT, uuid, want.uuid)
        for port in self._ports(uuid):
            if port not in wanted:
                engine.disconnect(uuid, port)

    def _unplug(self, want: model.Assignment, port: str) -> None:
        if not self._needed().joins and any(plug.port != port for plug in want.plugs):
            self._route(want, want.spec.containers[0].uuid)
        self._needed().unplug(want, port)

    def _route(self, want: model.Assignment, uuid: str) -> None:
        with contextlib.suppress(errors.NotFound):
            path = self._takes_ports().namespace(uuid)
            if path:
                self._needed().route(want, path)

    def _ports(self, uuid: str) -> tuple[str, ...]:
        return self._engine.inspect(uuid).ports or ()

    def _takes_ports(self) -> TakesPorts:
        if not isinstance(self._engine, TakesPorts):
            raise errors.Unsupported(f"The engine {self._engine.name} on this host cannot take ports into a container.")
        self._engine.take_ports(self._needed().lend)
        return self._engine

    def _needed(self) -> Network:
        if self._network is None:
            raise errors.Unsupported(
                "This host's agent does not plug ports of Neutron; configure it or use another host."
            )
        return self._network


def _in_order(words: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
