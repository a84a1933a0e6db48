"""The container API as the verbs use it: versions, containers by any name, actions, events. It must not print.

It speaks to Higgins and to a plain Zun; what only Higgins has (from microversion 1.41) is asked for where it is, and what
stands in for it elsewhere is marked.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from higgins.cli.client.transport import Server
from higgins.cli.errors import ApiError, CliError, Unreachable, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from higgins.cli.client.auth import Auth
    from higgins.cli.client.cloud import Cloud

OURS = (1, 41)
"""The newest microversion spoken here; the first one that only Higgins has."""

Json = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """A decoded answer; ``request_id`` is the key of the container action that the request began."""

    body: Any
    request_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Events:
    """The events of a container, oldest first; ``complete`` is false on a plain Zun, which tells less."""

    items: list[Json]
    complete: bool = True


class Api:
    """One cloud's container service. Asks nothing before the first call."""

    def __init__(self, cloud: Cloud, auth: Auth, *, debug: bool = False) -> None:
        self._cloud, self._auth, self._debug = cloud, auth, debug

    @functools.cached_property
    def _endpoint(self) -> tuple[Server, str]:
        url = self._auth.endpoint.rstrip("/")
        root = urlsplit(url).path.rstrip("/").removesuffix("/v1").rstrip("/")
        return Server(url, self._cloud.trust, debug=self._debug), root

    @functools.cached_property
    def version(self) -> tuple[int, int]:
        """The newest microversion that both sides speak; raises ``CliError`` when this is no container service."""
        server, root = self._endpoint
        reply = self._ask("GET", f"{root}/", {}, None, 60, "NAME")
        try:
            entries = reply.body["versions"]
            current = next(entry for entry in entries if entry.get("status") == "CURRENT")
            major, _, minor = str(current["max_version"]).partition(".")
            return min(OURS, (int(major), int(minor)))
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise CliError(
                f"What answers at {server.url}{root}/ is no container service.", "Check the endpoint in clouds.yaml."
            ) from error

    @property
    def is_higgins(self) -> bool:
        """Whether the service has what Higgins adds to Zun's API."""
        return self.version >= OURS

    @property
    def project_id(self) -> str | None:
        """The project acted for, where that is known without asking the service."""
        return self._auth.project_id

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        about: str = "NAME",
        timeout_s: float = 60,
        once: bool = False,
    ) -> Reply:
        """One request below ``/v1``; raises ``ApiError`` or ``Unreachable``.

        ``once`` sends a key with it, by which Higgins knows a request that is sent again when its answer was lost.
        """
        major, minor = self.version
        headers = {"OpenStack-API-Version": f"container {major}.{minor}"}
        if once:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        told = {k: v for k, v in (query or {}).items() if v is not None}
        target = f"{self._endpoint[1]}/v1/{path}" + (f"?{urlencode(told)}" if told else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            return self._ask(method, target, headers, data, timeout_s, about)
        except Unreachable:
            if not (once and self.is_higgins):
                raise
        return self._ask(method, target, headers, data, timeout_s, about)

    def _ask(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, timeout_s: float, about: str
    ) -> Reply:
        server = self._endpoint[0]
        base = {"Accept": "application/json", "User-Agent": "higgins", **headers}
        if body is not None:
            base["Content-Type"] = "application/json"
        elif method != "GET":
            base["Content-Length"] = "0"
        while True:
            answer = server.request(method, target, {**base, **self._auth.headers()}, body, timeout_s)
            if answer.status != 401 or not self._auth.renew():
                break
        request_id = answer.headers.get("x-openstack-request-id", "")
        if answer.status >= 300:
            raise refusal(answer.status, answer.body, about=about, who=self._cloud.who, request_id=request_id)
        try:
            return Reply(json.loads(answer.body) if answer.body.strip() else None, request_id)
        except ValueError as error:
            raise Unreachable(
                f"What answers at {server.url} is no container service.", "Check the endpoint in clouds.yaml."
            ) from error

    def pages(self, plural: str, query: Mapping[str, object] | None = None) -> Iterator[Json]:
        """All items of a list, page by page."""
        marker: str | None = None
        while True:
            body = self.call("GET", plural, query={**(query or {}), "marker": marker}).body
            items = body.get(plural) or []
            yield from items
            last = items[-1].get("uuid") if items else None
            if not body.get("next") or last is None or last == marker:
                return
            marker = last

    def show(self, container: str) -> Json:
        """One container by uuid or name."""
        shown: Json = self.call("GET", f"containers/{quote(container, safe='')}", about=container).body
        return shown

    def container(self, ident: str) -> Json:
        """One container by name, uuid, or the unique beginning of a uuid; raises ``CliError`` that says what to do."""
        if not ident.strip():
            raise CliError("A container's name cannot be empty.", "higgins ps -a lists the containers.")
        try:
            return self.show(ident)
        except ApiError as error:
            if error.status == 409:
                same = [c["uuid"] for c in self.pages("containers", {"name": ident})]
                raise CliError(
                    f"Several containers are named {ident}.", f"Name one by its uuid: {', '.join(same)}"
                ) from error
            if error.status not in {400, 404}:
                raise
        matches = []
        if re.fullmatch(r"[0-9a-f][0-9a-f-]*", ident):
            matches = [c for c in self.pages("containers") if c["uuid"].startswith(ident)]
        if len(matches) == 1:
            return self.show(matches[0]["uuid"])
        if matches:
            several = ", ".join(f"{c['uuid']} ({c['name']})" for c in matches[:5])
            raise CliError(f"Several containers begin with {ident}: {several}.", "Give more of the uuid.")
        raise CliError(f"There is no container {ident}.", "higgins ps -a lists the containers.")

    def act(self, container: Json, action: str, query: Mapping[str, object] | None = None, **more: Any) -> Reply:
        """Ask for an action on a container."""
        path = f"containers/{container['uuid']}/{action}"
        return self.call("POST", path, query=query, about=str(container["name"]), **more)

    def ask(self, container: Json, what: str, query: Mapping[str, object] | None = None, **more: Any) -> Any:
        """Ask a live question about a container."""
        path = f"containers/{container['uuid']}/{what}"
        return self.call("GET", path, query=query, about=str(container["name"]), **more).body

    def actions(self, container: Json) -> list[Json]:
        """The actions on a container, newest first."""
        return list((self.ask(container, "container_actions") or {}).get("containerActions") or [])

    def action(self, uuid_: str, request_id: str) -> Json | None:
        """One action; ``None`` when there is no record of it."""
        try:
            found: Json = self.call("GET", f"containers/{uuid_}/container_actions/{request_id}").body
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def events(self, container: Json) -> Events:
        """The steps done for a container and why; on a plain Zun, what its newest actions tell."""
        if self.is_higgins:
            return Events(list((self.ask(container, "events") or {}).get("events") or []))
        items = []
        for action in reversed(self.actions(container)[:10]):
            whole = self.action(container["uuid"], action["request_id"]) or action
            items += [_as_event(action, event) for event in whole.get("events") or [{}]]
        return Events(items, complete=False)


def _as_event(action: Json, event: Json) -> Json:
    """An event of Zun's, in the shape of ours."""
    finished = event.get("finish_time") or action.get("finish_time")
    failed = action.get("message") == "Error"
    result = event.get("result") or (("Error" if failed else "Success") if finished else "")
    return {
        "key": f"{action['request_id']}/{event.get('event') or action['action']}",
        "request_id": action["request_id"],
        "verb": str(event.get("event") or action["action"]).rpartition("do_container_")[2],
        "target": "",
        "why": f"{action['action']} was asked for",
        "started_at": event.get("start_time") or action.get("start_time"),
        "finished_at": finished,
        "result": result,
        "detail": event.get("traceback") or "",
    }
