"""What Podman says otherwise than the dialect: facts with digests, a kill at once on removal, health checks without a clock. Knows no Docker."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import threading
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from higgins.core import errors, model, units
from higgins.core.phase import EngineState, Health
from higgins.engine import address as addresses
from higgins.engine import api, reference
from higgins.engine.dialect import cgroups, translate
from higgins.engine.dialect.driver import Dialect
from higgins.engine.dialect.http import Query
from higgins.engine.dialect.verbs import REMOVE_TIMEOUT_S
from higgins.engine.podman import translate as podman_translate

LOG = logging.getLogger(__name__)

ARCHIVE_TRIES = 5
CREATION_TAKES_S = 2.0
CHECK_TAKES_S = 30.0
CHECK_SPARE_S = 5.0


class PodmanEngine(Dialect):
    """A Podman service at a unix socket."""

    name = "podman"
    container_root = "/libpod/containers"
    image_root = "/libpod/images"
    load_path = "/libpod/images/load"

    def __init__(self, socket_path: str, installation: str) -> None:
        super().__init__(socket_path, installation)
        self._image_ports: dict[str, tuple[int, ...]] = {}

    def create(self, creation: api.Creation) -> None:
        """Make a container; one that a service which was killed in the middle has made only in its store, where it has the name, is removed first."""
        try:
            super().create(creation)
        except errors.NameTaken:
            if not self._is_only_in_store(creation.spec.uuid):
                raise
            LOG.warning("Podman has the container %s only in its store: it is made anew", creation.spec.uuid)
            self._remove(translate.name_of(creation.spec.uuid))
            super().create(creation)

    def _is_only_in_store(self, uuid: str) -> bool:
        """Whether it is not known as a container, nor a moment later: a creation whose answer was not waited for may still go on."""
        for pause_s in (0.0, CREATION_TAKES_S):
            threading.Event().wait(pause_s)
            with contextlib.suppress(errors.NotFound):
                self.inspect(uuid)
                return False
        return True

    def halves(self) -> dict[str, str]:
        """What it has in its store alone under a name of ours; one that it knows, whoever made it under whatever name, is in another state."""
        query: Query = {"all": True, "external": True}
        rows = self.call("GET", "/libpod/containers/json", "list what is in its store", query=query).json()
        named = [(name, row["Id"]) for row in rows or [] if row["State"] == "storage" for name in row["Names"] or ()]
        return {name.removeprefix(translate.PREFIX): id_ for name, id_ in named if name.startswith(translate.PREFIX)}

    def remove_half(self, store_id: str) -> None:
        """Take it away, unless it has become a container meanwhile."""
        if store_id in self.halves().values():
            with contextlib.suppress(errors.NotFound):
                self._remove(store_id)

    def resize(self, uuid: str, *, cpus: float | None, memory_mib: int | None) -> None:
        """Change the limits of a process: one that does not run gets the process that its start will let go.

        Podman 4 keeps no other limits than those of the creation: each new process has these.
        """
        cannot = self.known_info().cannot_limit
        words = podman_translate.resources(
            None if "cpus" in cannot else cpus, None if "memory_mib" in cannot else memory_mib
        )
        if words:
            if self.inspect(uuid).state not in (EngineState.RUNNING, EngineState.PAUSED):
                with contextlib.suppress(errors.Conflict):  # it has been prepared already
                    self.call("POST", f"/libpod/containers/{translate.name_of(uuid)}/init", "prepare the container")
            path = f"/libpod/containers/{translate.name_of(uuid)}/update"
            headers = {"Content-Type": "application/json"}
            self.call("POST", path, "change the container's limits", body=msgspec.json.encode(words), headers=headers)

    def stop(self, uuid: str, *, timeout_s: int, signal: str | None = None) -> None:
        """End it; a frozen one is thawed first, since Podman does not end it otherwise."""
        try:
            super().stop(uuid, timeout_s=timeout_s, signal=signal)
        except errors.Conflict:
            if self.inspect(uuid).state is not EngineState.PAUSED:
                raise
            self.unpause(uuid)
            super().stop(uuid, timeout_s=timeout_s, signal=signal)

    @contextlib.contextmanager
    def get_archive(self, uuid: str, path: str) -> Iterator[tuple[api.PathStat, Iterator[bytes]]]:
        """A tar of a path; asked again when it is empty, as it is while Podman puts away a container that has just ended."""
        for left in reversed(range(ARCHIVE_TRIES)):
            with super().get_archive(uuid, path) as (stat, chunks):
                first = next(chunks, b"")
                if first or not left:
                    yield stat, itertools.chain((first,), chunks)
                    return
            threading.Event().wait(0.2)

    def put_archive(self, uuid: str, path: str, tar: IO[bytes]) -> None:
        """Unpack a tar; asks first whether the directory is there, which Podman does not tell."""
        target = f"/containers/{translate.name_of(uuid)}/archive"
        self.call(
            "HEAD", target, f"write to {path} in the container, which has no such directory", query={"path": path}
        )
        super().put_archive(uuid, path, tar)

    def top(self, uuid: str, ps_args: str | None = None) -> api.Processes:
        """Its processes; with arguments it is the ``ps`` inside the container that is run."""
        if ps_args:
            try:
                return super().top(uuid, ps_args)
            except errors.Conflict:
                if self.inspect(uuid).state is not EngineState.RUNNING:
                    raise
                raise errors.Invalid(
                    f"The container's own ps does not take the arguments '{ps_args}'. Leave them out."
                ) from None
        path = f"/libpod/containers/{translate.name_of(uuid)}/top"
        return translate.processes(self.call("GET", path, "list the container's processes").json())

    def _facts(self, answer: dict[str, Any]) -> model.ContainerFacts:
        """The facts, with the limits in force: Podman's own words are those of the creation, whatever was changed since."""
        facts = super()._facts(answer)
        ports = tuple(sorted({*facts.exposed_ports, *self._ports_of(answer.get("Image") or "")}))
        cannot = self.known_info().cannot_limit
        facts = dataclasses.replace(facts, exposed_ports=ports, keeps_limits=False, cannot_limit=cannot)
        groups = cgroups.Groups(answer["State"].get("Pid") or 0, facts.engine_id)
        if facts.state not in (EngineState.RUNNING, EngineState.PAUSED) or not groups.seen():
            return facts
        cpus, memory_bytes = groups.limits()
        return dataclasses.replace(
            facts, cpus=cpus, memory_mib=units.bytes_to_mib(memory_bytes) if memory_bytes else None
        )

    def probe(self, uuid: str) -> Health:
        """Run its health check once; Podman counts the failures. ``Timeout`` for one that goes on: Podman neither ends nor counts it."""
        path, what = f"/libpod/containers/{translate.name_of(uuid)}", "check the container's health"
        check = self.call("GET", f"{path}/json", what).json()["Config"].get("Healthcheck") or {}
        timeout_s = check.get("Timeout", 0) / 1e9 or CHECK_TAKES_S
        answer = self.call("GET", f"{path}/healthcheck", what, timeout_s=timeout_s + CHECK_SPARE_S).json()
        return Health(answer.get("Status") or Health.STARTING)

    def _pull_request(self, name: reference.Reference) -> tuple[str, Query]:
        # Only libpod's own path may be told to speak plain HTTP, and only the dialect's tells bytes.
        if name.is_local:
            return "/libpod/images/pull", {"reference": name.full, "tlsVerify": False, "compatMode": True}
        return super()._pull_request(name)

    def _ask_info(self) -> api.EngineInfo:
        info = podman_translate.info(self.call("GET", "/libpod/info", "tell about itself").json())
        if info.cannot_limit and (self._info is None or self._info.cannot_limit != info.cannot_limit):
            LOG.warning(
                "Podman without root cannot hold these limits on this host, so containers run without them: %s."
                " It needs cgroup v2 with their controllers delegated to the user.",
                ", ".join(info.cannot_limit),
            )
        return info

    def _refuse(self, creation: api.Creation) -> None:
        super()._refuse(creation)
        if creation.spec.dedicated_cpus and "cpu_policy" in self.known_info().cannot_limit:
            raise errors.Unsupported("Podman without root cannot give a container processors of its own on this host.")
        if creation.spec.runtime is not None and creation.spec.runtime not in self.known_info().runtimes:
            known = ", ".join(self.known_info().runtimes)
            raise errors.Unsupported(
                f"Podman on this host runs everything with {known}; '{creation.spec.runtime}' needs a Podman service of its own."
            )

    def _creation_body(self, creation: api.Creation, image: str) -> dict[str, Any]:
        body = super()._creation_body(creation, image)
        known = self.known_info()
        return podman_translate.creation_body(
            body, keeps_clock=known.keeps_health_clock, cannot_limit=known.cannot_limit
        )

    def _remove(self, name: str) -> None:
        query: Query = {"force": True, "v": True, "timeout": 0}
        self.call(
            "DELETE", f"/libpod/containers/{name}", "remove the container", query=query, timeout_s=REMOVE_TIMEOUT_S
        )

    def _ports_of(self, image_id: str) -> tuple[int, ...]:
        """Ports that an image exposes, asked once: Podman's facts of a container leave them out."""
        if image_id not in self._image_ports:
            with contextlib.suppress(errors.NotFound, errors.ImageNotFound):
                config = (
                    self.call("GET", f"/libpod/images/{image_id}/json", "look at the image").json().get("Config") or {}
                )
                self._image_ports[image_id] = translate.ports(config.get("ExposedPorts"))
        return self._image_ports.get(image_id, ())

    def _digest(self, answer: dict[str, Any]) -> str | None:
        return answer.get("ImageDigest") or None

    def _forget_exec(self, exec_id: str) -> None:
        with contextlib.suppress(errors.HigginsError):
            self.call("POST", f"/libpod/exec/{exec_id}/remove", "forget the command", query={"force": True})


def open_engine(address: str) -> PodmanEngine:
    """The driver for the service at ``unix:///PATH?installation=ID``; makes no call."""
    return PodmanEngine(*addresses.split(address))
