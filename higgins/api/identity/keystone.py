"""Tokens of Keystone, confirmed by keystonemiddleware's auth_token, with a short memory in front of it. Knows no password and no policy."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keystoneauth1.exceptions

from higgins.cloud.session import translated
from higgins.core import errors
from higgins.core.caller import Caller

CACHE = "higgins.tokens"
"""Where in a request's environment auth_token finds its cache: one that keeps nothing."""

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_MOST_KEPT = 10_000


class _NoCache:
    """What keystonemiddleware would keep, in memory without bound or in memcached, is kept here in no place but ``Keystone``."""

    def get(self, _key: str) -> None:
        """Nothing is known."""

    def set(self, _key: str, _data: object, **_: object) -> None:
        """Forgotten at once."""


class Keystone:
    """Identity by the token in X-Auth-Token.

    ``auth_token`` makes of a WSGI application one that lets confirmed requests through, answers 401 to others, and 503 while Keystone
    cannot be asked: its option ``cache`` is ``CACHE``, and ``delay_auth_decision``, which takes the two for one, is off.
    Its answers are only read: refusals are the API's own.

    What was confirmed is kept for ``keep_s``, and never past the token's end, by a hash of the token keyed anew by each process.
    Not kept is what does not follow from the token alone: application credentials with access rules, requests with a service's token.
    """

    def __init__(
        self,
        auth_token: Callable[[WSGI], WSGI],
        *,
        www_authenticate_uri: str,
        keep_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.challenge: str | None = f'Keystone uri="{www_authenticate_uri}"'
        self._confirm = auth_token(_let_through)
        self._keep_s = keep_s
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, tuple[Caller, float]] = {}
        self._lock = threading.Lock()

    def identify(self, environ: Mapping[str, Any], request_id: str) -> Caller:
        """The caller whom Keystone's token names; ``Forbidden`` for a token without a project, ``Unavailable`` when Keystone does not answer."""
        token = (environ.get("HTTP_X_AUTH_TOKEN") or "").strip()
        if not token:
            raise errors.Unauthorized("Say who you are: send a token of Keystone in the header X-Auth-Token.")
        mark = hmac.digest(self._key, token.encode("latin-1", "replace"), hashlib.sha256)
        alone = "HTTP_X_SERVICE_TOKEN" not in environ
        found = self._known.get(mark) if alone else None
        if found is not None and self._clock() < found[1]:
            return dataclasses.replace(found[0], request_id=request_id, token=token)
        confirmed = self._ask(environ)
        caller = _caller(confirmed, request_id)
        info = confirmed.get("keystone.token_info", {}).get("token", {})
        if alone and not info.get("application_credential", {}).get("access_rules"):
            self._keep(mark, caller, info.get("expires_at"))
        return dataclasses.replace(caller, token=token)

    def _ask(self, environ: Mapping[str, Any]) -> dict[str, Any]:
        """What auth_token makes of the request; it is shown a copy, with no body to read."""
        shown = {name: value for name, value in environ.items() if not name.startswith("webob.")}
        shown[CACHE] = _NO_CACHE
        statuses: list[int] = []

        def start_response(status: str, *_: Any) -> Callable[[bytes], None]:
            statuses.append(int(status.split(" ", 1)[0]))
            return lambda _: None

        try:
            answer = self._confirm(shown, start_response)
            b"".join(answer)
        except keystoneauth1.exceptions.ClientException as error:
            raise translated(error, "Keystone") from error
        if statuses[-1] == 200 and shown.get("HTTP_X_IDENTITY_STATUS") == "Confirmed":
            return shown
        if statuses[-1] == 401:
            raise errors.Unauthorized(
                "Keystone does not confirm the token: it is wrong, over or revoked. Get a new one."
            )
        raise errors.Unavailable("Keystone cannot be asked who you are. Try again later.")

    def _keep(self, mark: bytes, caller: Caller, expires_at: str | None) -> None:
        now_s = self._clock()
        until_s = now_s + self._keep_s
        if expires_at is not None:
            until_s = min(until_s, datetime.datetime.fromisoformat(expires_at).timestamp())
        with self._lock:
            if len(self._known) >= _MOST_KEPT:
                self._known = {one: kept for one, kept in self._known.items() if now_s < kept[1]}
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[mark] = (caller, until_s)


_NO_CACHE = _NoCache()


def _let_through(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return ()


def _caller(confirmed: Mapping[str, Any], request_id: str) -> Caller:
    """Without the token: what is kept must not hold one."""
    project_id = confirmed.get("HTTP_X_PROJECT_ID")
    if not project_id:
        raise errors.Forbidden("The token is for no project. Ask Keystone for one that is scoped to a project.")
    roles = confirmed.get("HTTP_X_ROLES", "")
    return Caller(
        user_id=confirmed["HTTP_X_USER_ID"],
        project_id=project_id,
        roles=frozenset(role.strip().lower() for role in roles.split(",") if role.strip()),
        request_id=request_id,
        user_name=confirmed.get("HTTP_X_USER_NAME", ""),
        project_name=confirmed.get("HTTP_X_PROJECT_NAME", ""),
    )
