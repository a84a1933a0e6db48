"""Puts containers of Docker on ports: a few networks of the plugin's driver, one for each place among a container's links.

A container can be on a Docker network once, so its first port is on the first of them, the second on the second, whatever the
networks of the ports are; Docker then names the links in this order. They hold no state and are made when they are missing.
"""

from __future__ import annotations

import contextlib
from typing import Any

from higgins.core import errors
from higgins.engine.dialect.verbs import Verbs
from higgins.engine.docker.plugin import PORT, PREFIX

MOST_PORTS = 64
LENGTH_OF_INSTALLATION = 12


class Networks:
    """The networks of one installation at one dockerd."""

    def __init__(self, engine: Verbs) -> None:
        self._engine = engine
        self.driver = "-".join(filter(None, (PREFIX, engine.installation[:LENGTH_OF_INSTALLATION])))
        self._made: set[str] = set()

    def body(self, body: dict[str, Any], ports: tuple[str, ...]) -> dict[str, Any]:
        """The body of a create, on the first of its ports: Docker takes one network there. ``connect`` it to the others."""
        host = body["HostConfig"] | {"NetworkMode": self.name(0) if ports else "none"}
        if not ports:
            return body | {"HostConfig": host}
        self.make(0)
        return body | {
            "HostConfig": host,
            "NetworkingConfig": {"EndpointsConfig": {self.name(0): {"DriverOpts": {PORT: ports[0]}}}},
        }

    def name(self, place: int) -> str:
        """The network for a container's link in that place."""
        return f"{self.driver}-{place}"

    def make(self, place: int) -> None:
        """Have that network; asked of Docker once."""
        name = self.name(place)
        if name in self._made:
            return
        with contextlib.suppress(errors.Conflict):
            body = {"Name": name, "Driver": self.driver, "CheckDuplicate": True, "IPAM": {"Driver": "null"}}
            self._engine.call_json("/networks/create", body, "make a network for ports", timeout_s=60.0)
        self._made.add(name)

    def connect(self, container: str, port: str) -> None:
        """Put a container on a port in its first free place."""
        there = self.of(container)
        if port in there.values():
            return
        if not there:  # one that was made without a port is in Docker's "none", which it does not share
            with contextlib.suppress(errors.HigginsError):
                self._ask("none", "disconnect", {"Container": container, "Force": True})
        place = next(place for place in range(MOST_PORTS) if self.name(place) not in there)
        for again in (True, False):
            self.make(place)
            try:
                words = {"Container": container, "EndpointConfig": {"DriverOpts": {PORT: port}}}
                self._ask(self.name(place), "connect", words)
            except errors.NotFound:
                self._made.discard(self.name(place))
                if not again:
                    raise
            else:
                return

    def disconnect(self, container: str, port: str) -> None:
        """Take a container off a port."""
        for network, found in self.of(container).items():
            if found == port:
                self._ask(network, "disconnect", {"Container": container, "Force": True})

    def anew(self, container: str) -> None:
        """Make a container's connections again: Docker kept what it could not take down while nobody answered it."""
        for network, port in sorted(self.of(container).items()):
            self._ask(network, "disconnect", {"Container": container, "Force": True})
            self._ask(network, "connect", {"Container": container, "EndpointConfig": {"DriverOpts": {PORT: port}}})

    def of(self, container: str) -> dict[str, str]:
        """The networks of ours that a container is on, and the port of each."""
        answer = self._engine.call("GET", f"/containers/{container}/json", "look at the container").json()
        return ports_of(answer)

    def _ask(self, network: str, verb: str, words: dict[str, Any]) -> None:
        self._engine.call_json(f"/networks/{network}/{verb}", words, f"{verb} the container's network", timeout_s=120.0)


def ports_of(answer: dict[str, Any]) -> dict[str, str]:
    """Docker's networks and the port on each, from an inspect; of a running container only those that it got onto."""
    networks = (answer.get("NetworkSettings") or {}).get("Networks") or {}
    running = (answer.get("State") or {}).get("Running")
    found = {
        name: ((one or {}).get("DriverOpts") or {}).get(PORT)
        for name, one in networks.items()
        if not running or (one or {}).get("EndpointID")
    }
    return {name: port for name, port in sorted(found.items()) if port}
