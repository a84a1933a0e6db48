"""The plain verbs in the dialect that Docker and Podman share. What only one of them says otherwise is overridden in its driver."""

from __future__ import annotations

import contextlib
import functools
import http.client
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from higgins.core import errors, model
from higgins.core.phase import EngineState
from higgins.engine import api
from higgins.engine import reference as references
from higgins.engine.dialect import faults, pulls, streams, translate
from higgins.engine.dialect.http import Answer, Body, Client, Query, Stream

NEWEST_VERSION = (1, 47)
CREATE_TIMEOUT_S = 180.0
START_TIMEOUT_S = 180.0
REMOVE_TIMEOUT_S = 120.0
GONE_TIMEOUT_S = 10.0
WAIT_STEP_S = 0.05
LOOK_PAUSES_S = (0.01, 0.05, 0.25)


class Verbs:
    """One engine at one socket. Threads may share it; every thread gets a connection of its own from the client."""

    name = "dialect"

    def __init__(self, socket_path: str, installation: str) -> None:
        self.http = Client(socket_path, NEWEST_VERSION)
        self.installation = installation
        self._info: api.EngineInfo | None = None
        self._digests: dict[str, str] = {}

    def info(self) -> api.EngineInfo:
        """What the engine says of itself, asked anew."""
        self._info = self._ask_info()
        return self._info

    def known_info(self) -> api.EngineInfo:
        """What it said of itself last; asked when it never did."""
        return self._info or self.info()

    def _ask_info(self) -> api.EngineInfo:
        raise NotImplementedError

    def list(self) -> Iterable[model.ContainerFacts]:
        """Every container of this installation; one call, and one more for each of them."""
        filters = filters_of(label=[f"{translate.INSTALLATION}={self.installation}"])
        rows = self.call("GET", "/containers/json", "list the containers", query={"all": 1, "filters": filters}).json()
        found = []
        for row in (row for row in rows or [] if self.is_own(row.get("Labels"))):
            with contextlib.suppress(errors.NotFound):
                found.append(self._inspect(row["Id"]))
        return tuple(found)

    def is_own(self, labels: Mapping[str, str] | None) -> bool:
        """Whether what carries these labels is of this installation: podman takes a filter without a value for one on the name alone."""
        return (labels or {}).get(translate.INSTALLATION) == self.installation

    def inspect(self, uuid: str) -> model.ContainerFacts:
        """The facts of one container."""
        return self._inspect(translate.name_of(uuid))

    def _inspect(self, name: str) -> model.ContainerFacts:
        answer = self.call("GET", f"{self.container_root}/{quoted(name)}/json", "look at the container").json()
        return self._facts(answer)

    def _facts(self, answer: dict[str, Any]) -> model.ContainerFacts:
        return translate.facts(answer, self._digest(answer))

    container_root = "/containers"

    def _digest(self, answer: dict[str, Any]) -> str | None:
        raise NotImplementedError

    def images(self) -> Iterable[api.ImageFacts]:
        """Every image that has a name."""
        rows = self.call("GET", f"{self.image_root}/json", "list the images").json()
        return tuple(facts for facts in map(translate.image_facts, rows or []) if facts.names)

    image_root = "/images"

    def image(self, reference: str) -> api.ImageFacts:
        """The image of this name on this host; the engine is never given a name that could be an id to it."""
        name = references.parse(reference)
        answer = self._image(name.full)
        if name.digest and name.repository not in translate.repositories(answer):  # podman takes it from any repository
            raise errors.ImageNotFound(f"The image {name.full} is not on this host. Pull it first.")
        return translate.image_facts(answer)

    def _image(self, name: str) -> dict[str, Any]:
        """What the engine says of the image of a full name, or of an id that it gave itself."""
        try:
            return dict(self.call("GET", f"{self.image_root}/{quoted(name)}/json", f"look at the image {name}").json())
        except (errors.NotFound, errors.ImageNotFound) as problem:
            raise errors.ImageNotFound(f"The image {name} is not on this host. Pull it first.") from problem

    def pull(
        self,
        reference: str,
        *,
        login: model.RegistryLogin | None = None,
        progress: Callable[[api.PullProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> api.ImageFacts:
        """Fetch an image; a registry on this machine may speak plain HTTP."""
        name = references.parse(reference)
        path, query = self._pull_request(name)
        headers = translate.login_header(login)
        pulls.run(
            self.http, path, reference=reference, query=query, headers=headers, progress=progress, cancelled=cancelled
        )
        return self.image(name.full)

    def _pull_request(self, name: references.Reference) -> tuple[str, Query]:
        return "/images/create", {"fromImage": name.repository, "tag": name.digest or name.tag}

    def remove_image(self, reference: str) -> None:
        """Take an image's name away, and the image with its last name."""
        with contextlib.suppress(errors.NotFound, errors.ImageNotFound):
            name = references.parse(reference)
            if name.digest:
                self.image(reference)
            self.call("DELETE", f"/images/{quoted(name.full)}", f"remove the image {reference}")

    def create(self, creation: api.Creation) -> None:
        """Make a container; one call."""
        self._refuse(creation)
        image = creation.image_id or references.parse(creation.image).full
        if "@" in image:
            image = self.image(image).image_id
        body = self._creation_body(creation, image)
        query = {"name": translate.name_of(creation.spec.uuid)}
        self.call_json("/containers/create", body, "create the container", query=query, timeout_s=CREATE_TIMEOUT_S)

    def _creation_body(self, creation: api.Creation, image: str) -> dict[str, Any]:
        return translate.creation_body(creation, image, self.installation)

    def _refuse(self, creation: api.Creation) -> None:
        if creation.spec.disk_gib and not self.known_info().disk_quota:
            raise errors.Unsupported(
                "This host's engine cannot limit a container's disk: its storage needs XFS with project quotas. Leave the disk out."
            )

    def start(self, uuid: str) -> None:
        """Start it; one call."""
        self._post(uuid, "start", "start the container", timeout_s=START_TIMEOUT_S)

    def stop(self, uuid: str, *, timeout_s: int, signal: str | None = None) -> None:
        """End it; one call, and two more when another signal is wanted."""
        left_s = timeout_s
        if signal is not None:
            left_s = self._ask_to_end(uuid, signal, timeout_s)
        what = "stop the container"
        self._post(uuid, "stop", what, query={"t": left_s}, timeout_s=left_s + START_TIMEOUT_S)

    def _ask_to_end(self, uuid: str, signal: str, timeout_s: int) -> int:
        """Send the signal and wait; then a stop finds it ended, or has to kill it, and either way no restart policy starts it again."""
        with contextlib.suppress(errors.Conflict):
            self.signal(uuid, signal)
            self._wait_until(
                timeout_s, lambda: self.inspect(uuid).state not in (EngineState.RUNNING, EngineState.PAUSED)
            )
        return 0

    @staticmethod
    def _wait_until(timeout_s: float, reached: Callable[[], bool]) -> bool:
        deadline, pause = time.monotonic() + timeout_s, threading.Event()
        while not (done := reached()) and time.monotonic() < deadline:
            pause.wait(WAIT_STEP_S)
        return done

    def signal(self, uuid: str, signal: str) -> None:
        """Send a signal to its first process."""
        path = f"{self.container_root}/{quoted(translate.name_of(uuid))}/kill"
        self.call("POST", path, f"send {signal} to the container", query={"signal": signal})

    def remove(self, uuid: str) -> None:
        """Remove it with its nameless volumes; one call. Waits for a removal that goes on already."""
        try:
            self._remove(translate.name_of(uuid))
        except errors.NotFound:
            return
        except errors.Conflict as problem:
            if not faults.is_going(problem) or not self._wait_until(GONE_TIMEOUT_S, lambda: self._is_gone(uuid)):
                raise

    def _remove(self, name: str) -> None:
        query: Query = {"force": True, "v": True}
        self.call(
            "DELETE", f"/containers/{quoted(name)}", "remove the container", query=query, timeout_s=REMOVE_TIMEOUT_S
        )

    def _is_gone(self, uuid: str) -> bool:
        try:
            self.inspect(uuid)
        except errors.NotFound:
            return True
        return False

    def events(self, connected: Callable[[], None]) -> Iterator[api.EngineEvent]:
        """Follow the containers of this installation."""
        filters = filters_of(type=["container"], label=[f"{translate.INSTALLATION}={self.installation}"])
        with self.opened("GET", "/events", "follow its events", query={"filters": filters}) as stream:
            connected()
            for text in streams.translated(stream.lines(), "follow its events"):
                event = msgspec.json.decode(text) if text.strip() else {}
                labels = (event.get("Actor") or {}).get("Attributes") or {}
                what = event.get("Action") or event.get("status") or ""
                # A health check is an exec every few seconds: of no interest, unlike what it found.
                if labels.get(translate.UUID) and self.is_own(labels) and not what.startswith("exec_"):
                    yield api.EngineEvent(
                        container=labels[translate.UUID], pod=labels.get(translate.POD) or "", what=what
                    )
        raise errors.Unavailable("The container engine ended the stream of its events. Start it if it was stopped.")

    def close(self) -> None:
        """Break open streams and close idle connections."""
        self.http.close()

    def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Query | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = 60.0,
    ) -> Answer:
        """One call, its failures told in Higgins' own errors; a look that came too late is taken again."""
        ask = functools.partial(
            self.http.call, method, path, query=query, body=body, headers=headers, timeout_s=timeout_s
        )
        try:
            answer = ask()
            for pause_s in LOOK_PAUSES_S if method == "GET" else ():
                if not faults.came_too_late(answer):
                    break
                time.sleep(pause_s)
                answer = ask()
        except (OSError, http.client.HTTPException) as problem:
            raise faults.translate(problem, what) from problem
        if answer.status >= 400:
            raise faults.translate(answer, what)
        return answer

    def call_json(
        self, path: str, content: Any, what: str, *, query: Query | None = None, timeout_s: float = 60.0
    ) -> Any:
        """A POST of JSON and the decoded answer."""
        headers = {"Content-Type": "application/json"}
        body = msgspec.json.encode(content)
        return self.call("POST", path, what, query=query, body=body, headers=headers, timeout_s=timeout_s).json()

    @contextlib.contextmanager
    def opened(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Query | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Stream]:
        """A stream that is closed at the end; a refusal is raised at once."""
        try:
            stream = self.http.stream(method, path, query=query, body=body, headers=headers)
        except (OSError, http.client.HTTPException) as problem:
            raise faults.translate(problem, what) from problem
        try:
            if stream.status >= 400:
                raise faults.translate(stream.whole(), what)
            yield stream
        finally:
            stream.close()

    def _post(self, uuid: str, verb: str, what: str, *, query: Query | None = None, timeout_s: float = 60.0) -> None:
        self.call(
            "POST", f"/containers/{quoted(translate.name_of(uuid))}/{verb}", what, query=query, timeout_s=timeout_s
        )


def quoted(name: str) -> str:
    """A name as a part of a path; an image's name keeps its slashes."""
    return urllib.parse.quote(name, safe="/:@")


def filters_of(**words: object) -> str:
    """Filters as the dialect writes them in a query."""
    return msgspec.json.encode(words).decode()
