"""A host's networks as the agent's loop sees them: which pods have a namespace, which ports are plugged, what nobody accounts for.

It knows the kernel and the switch only as protocols, and neither engines nor the wire. Everything may be done again, after a
crash at any point: what is there is found again by the tags of links, the names of namespaces and the rows of the switch.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from higgins.agent.hands.network import names, routes
from higgins.core import errors, model
from higgins.engine.api import Engine
from higgins.engine.ports import Link, TakesPorts

LOG = logging.getLogger(__name__)


class Kernel(Protocol):
    """Namespaces and links, as the module ``kernel`` has them."""

    def make_namespace(self, path: str) -> None: ...  # noqa: D102
    def remove_namespace(self, path: str) -> None: ...  # noqa: D102
    def has_namespace(self, path: str) -> bool: ...  # noqa: D102
    def namespaces(self) -> tuple[str, ...]: ...  # noqa: D102
    def make_pair(  # noqa: D102
        self, plug: model.Plug, tag: names.Tag, *, inside: str | None, among: Sequence[model.Plug] = ()
    ) -> None: ...
    def remove_link(self, name: str) -> None: ...  # noqa: D102
    def has_link(self, name: str) -> bool: ...  # noqa: D102
    def tags(self) -> dict[str, names.Tag]: ...  # noqa: D102
    def route_by(self, path: str, plugs: Sequence[model.Plug], *, leaving: str | None = None) -> None: ...  # noqa: D102


class Bridges(Protocol):
    """Where outer ends go, as ``switch.Switch`` has it."""

    def plug(self, pod: str, plug: model.Plug, mark: str) -> None: ...  # noqa: D102
    def unplug(self, pod: str, plug: model.Plug) -> None: ...  # noqa: D102
    def has(self, port: str) -> bool: ...  # noqa: D102
    def ports(self, mark: str) -> dict[str, str]: ...  # noqa: D102


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is of one pod's networks: as ``Have`` of the planner has it."""

    namespace: bool | None = None
    plugs: Mapping[str, bool] = dataclasses.field(default_factory=dict)


class Network:
    """The networks of the pods of one agent; every method may be called from any thread, for one pod from one at a time.

    ``joins`` says that the engine's containers join a namespace of ours; else the engine makes its own and takes ``lend``'s links.
    ``eager`` has the switch asked before the first port comes, which then need not wait for what that loads.
    """

    def __init__(self, mark: str, kernel: Kernel, bridges: Bridges, *, joins: bool, eager: bool = False) -> None:
        self._mark, self._kernel, self._bridges, self.joins, self._eager = mark, kernel, bridges, joins, eager
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, names.Tag]] = {}
        self._wanted: dict[str, tuple[model.Assignment, model.Plug]] = {}

    def path(self, pod: str) -> str:
        """Where a pod's namespace is, or will be."""
        return names.namespace(self._mark, pod)

    def resume(self, wants: Iterable[model.Assignment], engine: Engine) -> None:
        """Know the ports of the last agent's pods: an engine may start containers by itself and ask for their links."""
        plugged = [want for want in wants if want.plugs]
        for want in plugged:
            self.expect(want)
        if plugged and isinstance(engine, TakesPorts):
            engine.take_ports(self.lend)

    def expect(self, want: model.Assignment) -> None:
        """Keep what a pod's ports are, for an engine that may ask for their links at any time."""
        with self._lock:
            self._wanted |= {plug.port: (want, plug) for plug in want.plugs}

    def forget(self, pod: str) -> None:
        """Keep nothing of what a pod's assignment says, its secrets among it."""
        with self._lock:
            self._wanted = {port: wanted for port, wanted in self._wanted.items() if wanted[0].uuid != pod}

    def have(self, want: model.Assignment) -> Found:
        """What there is for a pod, without asking another process."""
        self.expect(want)
        with self._lock:
            known = dict(self._known.get(want.uuid, {}))
        if want.spec.network_driver != "neutron" and not known:
            return Found()
        plugs, answers = {}, True
        for port in {*known, *(plug.port for plug in want.plugs)}:
            linked, placed = self._kernel.has_link(names.outer(port)), self._has_place(port) if answers else None
            answers = placed is not None  # a switch that is away is not waited for again
            if linked or placed is not False:
                plugs[port] = bool(linked and port in known and known[port].bridge and placed)
            else:
                self._forget(want.uuid, port)
        return Found(namespace=self._kernel.has_namespace(self.path(want.uuid)) if self.joins else None, plugs=plugs)

    def _has_place(self, port: str) -> bool | None:
        """Whether a port is on its bridge; ``None`` when the switch does not say: then a plug or unplug will, and what runs is still seen."""
        try:
            return self._bridges.has(port)
        except errors.NotReady as silent:
            LOG.warning("Whether port %s is plugged is not known: %s", port, silent.message)
            return None

    def make(self, pod: str) -> None:
        """A pod's namespace, with nothing but ``lo``."""
        self._kernel.make_namespace(self.path(pod))

    def plug(self, want: model.Assignment, port: str) -> None:
        """Have a port's link on its bridge and in the pod's namespace, or where the engine takes it from."""
        plug = next(plug for plug in want.plugs if plug.port == port)
        if not self.joins:
            _refuse_twins(want, plug)
        self.expect(want)
        self._plug(want, plug)

    def _plug(self, want: model.Assignment, plug: model.Plug) -> None:
        outer = names.outer(plug.port)
        tag = names.Tag(mark=self._mark, pod=want.uuid, port=plug.port, bridge=plug.bridge)
        known = self._tag(want.uuid, plug.port)
        # Of one without a tag nobody knows how far it came.
        if not (known and known.bridge and self._kernel.has_link(outer)):
            self._kernel.remove_link(outer)
            inside = self.path(want.uuid) if self.joins else None
            self._kernel.make_pair(plug, tag, inside=inside, among=want.plugs)
            self._keep(tag)
        self._bridges.plug(want.uuid, plug, self._mark)

    def route(self, want: model.Assignment, path: str) -> None:
        """Have a pod's routes in the namespace that its engine made."""
        self._kernel.route_by(path, want.plugs)

    def unplug(self, want: model.Assignment, port: str) -> None:
        """Take a port's link away, once other ports lead where only it did."""
        others = any(plug.port != port for plug in want.plugs)
        if self.joins and others and self._kernel.has_namespace(self.path(want.uuid)):
            self._kernel.route_by(self.path(want.uuid), want.plugs, leaving=names.outer(port))
        self._unplug(want.uuid, port)

    def _unplug(self, pod: str, port: str) -> None:
        with self._lock:
            wanted = self._wanted.get(port)
        plug = wanted[1] if wanted else None
        tag = self._tag(pod, port)
        if plug is None:
            plug = model.Plug(port=port, network=port, mac="00:00:00:00:00:00", mtu=0)
            plug = dataclasses.replace(plug, bridge=tag.bridge if tag and tag.bridge else plug.bridge)
        self._bridges.unplug(pod, plug)
        self._kernel.remove_link(names.outer(port))
        self._forget(pod, port)
        with self._lock:
            self._wanted.pop(port, None)

    def remove(self, pod: str) -> None:
        """Take away everything of a pod; nothing happens when there is nothing."""
        with self._lock:
            ports = list(self._known.get(pod, {}))
        for port in ports:
            self._unplug(pod, port)
        self._kernel.remove_namespace(self.path(pod))

    def lend(self, port: str) -> Link:
        """The link of a port, on the host and ready to be moved into a container: made anew when it was lost with the last one.

        ``NotFound`` for a port that no pod of this host has.
        """
        with self._lock:
            if port not in self._wanted:
                raise errors.NotFound(f"Port {port} belongs to no container of this host.")
            want, plug = self._wanted[port]
        if not self._kernel.has_link(names.inner(port)):
            self._kernel.remove_link(names.outer(port))
        self._plug(want, plug)
        own = [route for route in routes.table(want.plugs) if route.port == port]
        told = tuple((route.destination, route.hop) for route in own)
        return Link(name=names.inner(port), mac=plug.mac, fixed_ips=plug.fixed_ips, routes=told)

    def look(self) -> None:
        """Find what an agent before this one left, or somebody planted: links, rows of the switch."""
        tags = [tag for tag in self._kernel.tags().values() if tag.mark == self._mark]
        for tag in tags:
            with self._lock:
                self._known.setdefault(tag.pod, {}).setdefault(tag.port, tag)
        if not (self._eager or tags or self._known or self._wanted):
            return  # nothing here ever used the switch, which then need not be there
        try:
            rows = self._bridges.ports(self._mark)
        except errors.HigginsError as silent:
            LOG.warning("What is plugged is not known: %s", silent.message)
            return
        for port, pod in rows.items():
            with self._lock:
                tag = names.Tag(mark=self._mark, pod=pod, port=port, bridge="")
                self._known.setdefault(pod, {}).setdefault(port, tag)

    def strangers(self, assigned: Callable[[str], bool]) -> tuple[str, ...]:
        """Pods that nobody assigned and of which there is a namespace or a port."""
        named = (names.pod_of(self._mark, name) for name in self._kernel.namespaces())
        with self._lock:
            pods = {pod for pod, ports in self._known.items() if ports} | {pod for pod in named if pod}
        return tuple(sorted(pod for pod in pods if not assigned(pod)))

    def _tag(self, pod: str, port: str) -> names.Tag | None:
        with self._lock:
            return self._known.get(pod, {}).get(port)

    def _keep(self, tag: names.Tag) -> None:
        with self._lock:
            self._known.setdefault(tag.pod, {})[tag.port] = tag

    def _forget(self, pod: str, port: str) -> None:
        with self._lock:
            ports = self._known.get(pod, {})
            ports.pop(port, None)
            if not ports:
                self._known.pop(pod, None)


def _refuse_twins(want: model.Assignment, plug: model.Plug) -> None:
    """Engines that set addresses themselves take none of a subnet that a container has an address of."""
    earlier = {ip.subnet for other in want.plugs[: want.plugs.index(plug)] for ip in other.fixed_ips}
    if any(ip.subnet in earlier for ip in plug.fixed_ips):
        raise errors.Unsupported(
            "The engine of this host cannot have two ports of one subnet in a container; detach one, or use a host with podman."
        )
