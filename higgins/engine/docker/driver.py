"""What Docker says otherwise than the dialect: its info, digests by image, limits that can be changed, ports. Knows no Podman."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable
from typing import Any

from higgins.core import errors, model
from higgins.engine import address as addresses
from higgins.engine import api
from higgins.engine.dialect import translate
from higgins.engine.dialect.driver import Dialect
from higgins.engine.docker import translate as docker_translate
from higgins.engine.docker.networks import Networks, ports_of
from higgins.engine.docker.plugin import Plugin, bury_the_dead
from higgins.engine.ports import Link

SIGNAL_IN_STOP = (1, 42)
STALE = "already exists in network"


class DockerEngine(Dialect):
    """A Docker daemon at a unix socket.

    What a command wrote and dockerd has not copied two seconds after the command's end is lost, and nothing tells: it closes the output as if
    that were all, with the exit code as it is (``ProcessEvent`` in moby's ``daemon/monitor.go``).
    """

    name = "docker"

    def __init__(self, socket_path: str, installation: str) -> None:
        super().__init__(socket_path, installation)
        bury_the_dead()
        self.networks = Networks(self)
        self._plugin: Plugin | None = None
        self._plugin_lock = threading.Lock()

    def take_ports(self, lend: Callable[[str], Link]) -> None:
        """Be dockerd's network driver; nothing happens when it is so already."""
        with self._plugin_lock:
            if self._plugin is None:
                plugin = Plugin(self.networks.driver, lend)
                plugin.start()
                self._plugin = plugin

    def connect(self, uuid: str, port: str) -> None:
        """Have a container on a port."""
        self.networks.connect(translate.name_of(uuid), port)

    def disconnect(self, uuid: str, port: str) -> None:
        """Take a container off a port."""
        self.networks.disconnect(translate.name_of(uuid), port)

    def namespace(self, uuid: str) -> str | None:
        """The network namespace of its process; None also for an agent that sees other processes than dockerd does."""
        found = self.call("GET", f"/containers/{translate.name_of(uuid)}/json", "look at the container").json()
        pid = (found.get("State") or {}).get("Pid") or 0
        path = f"/proc/{pid}/ns/net"
        return path if pid and os.path.exists(path) else None

    def create(self, creation: api.Creation) -> None:
        """Make a container; one call, and one more for each port after the first."""
        super().create(creation)
        for port in creation.ports[1:]:
            self.connect(creation.spec.uuid, port)

    def start(self, uuid: str) -> None:
        """Start it; what dockerd could not end of its last run while no agent answered is ended first."""
        try:
            super().start(uuid)
        except errors.HigginsError as problem:
            if STALE not in problem.message:
                raise
            self.networks.anew(translate.name_of(uuid))
            super().start(uuid)

    def close(self) -> None:
        """Be its network driver no more, and give connections back."""
        with self._plugin_lock:
            if self._plugin:
                self._plugin.stop()
            self._plugin = None
        super().close()

    def _creation_body(self, creation: api.Creation, image: str) -> dict[str, Any]:
        body = super()._creation_body(creation, image)
        if self.known_info().keeps_log_files:
            body = docker_translate.with_log_limit(body)
        return self.networks.body(body, creation.ports) if creation.network == "ports" else body

    def _facts(self, answer: dict[str, Any]) -> model.ContainerFacts:
        return dataclasses.replace(super()._facts(answer), ports=tuple(ports_of(answer).values()))

    def stop(self, uuid: str, *, timeout_s: int, signal: str | None = None) -> None:
        """End it; one call with an engine that takes the signal along."""
        if signal is None or self.http.version() < SIGNAL_IN_STOP:
            super().stop(uuid, timeout_s=timeout_s, signal=signal)
        else:
            query: dict[str, str | int] = {"t": timeout_s, "signal": signal}
            self._post(uuid, "stop", "stop the container", query=query, timeout_s=timeout_s + 180.0)

    def resize(self, uuid: str, *, cpus: float | None, memory_mib: int | None) -> None:
        """Change the limits of a container, running or not."""
        words = translate.limits(cpus, memory_mib)
        if words:
            self.call_json(f"/containers/{translate.name_of(uuid)}/update", words, "change the container's limits")

    def _ask_info(self) -> api.EngineInfo:
        return docker_translate.info(self.call("GET", "/info", "tell about itself").json())

    def _refuse(self, creation: api.Creation) -> None:
        super()._refuse(creation)
        if creation.network.startswith("ns:"):
            raise errors.Unsupported(
                "Docker cannot join a network namespace that was made beforehand. Use podman on this host."
            )

    def _digest(self, answer: dict[str, Any]) -> str | None:
        """The digest of a container's image: from its name, or asked once for each image id."""
        named = (answer.get("Config") or {}).get("Image", "").partition("@")[2]
        image_id = answer.get("Image") or ""
        if named or not image_id:
            return named or None
        if image_id not in self._digests:
            with contextlib.suppress(errors.ImageNotFound, errors.NotFound):
                self._digests[image_id] = translate.image_facts(self._image(image_id)).digest
        return self._digests.get(image_id, image_id)


def open_engine(address: str) -> DockerEngine:
    """The driver for the daemon at ``unix:///PATH?installation=ID``; makes no call."""
    return DockerEngine(*addresses.split(address))
