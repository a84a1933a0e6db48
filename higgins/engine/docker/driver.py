"""What Docker says otherwise than the dialect: its info, digests by image, limits that can be changed. Knows no Podman."""

from __future__ import annotations

import contextlib
from typing import Any

from higgins.core import errors
from higgins.engine import address as addresses
from higgins.engine import api
from higgins.engine.dialect import translate
from higgins.engine.dialect.driver import Dialect
from higgins.engine.docker import translate as docker_translate

SIGNAL_IN_STOP = (1, 42)


class DockerEngine(Dialect):
    """A Docker daemon at a unix socket."""

    name = "docker"

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
                self._digests[image_id] = self.image(image_id).digest
        return self._digests.get(image_id, image_id)


def open_engine(address: str) -> DockerEngine:
    """The driver for the daemon at ``unix:///PATH?installation=ID``; makes no call."""
    return DockerEngine(*addresses.split(address))
