"""HTTP Basic against the users file. A confirmed password costs microseconds for a minute, an unknown user as much as a known one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import pathlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from higgins.api.identity import users
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.core.defaults import API_THREADS

_KEEP_S = 60.0
_LOOK_AGAIN_S = 1.0
_MOST_KEPT = 10_000
_CHECKS_AT_ONCE = 2
"""Each check takes 16 MiB and a processor for some 50 ms; more of them at once would let strangers take the machine."""


class Basic:
    """Identity by user name and password.

    Half of the server's ``threads`` check passwords or wait for that: who is known already is let through by the others.
    Confirmed credentials are kept in memory for a minute as a hash keyed anew by each process; a change of the users file
    forgets them all and is seen within a second.
    """

    challenge: str | None = 'Basic realm="higgins", charset="UTF-8"'

    def __init__(
        self, users_file: pathlib.Path, *, threads: int = API_THREADS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = users_file
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._stamp: tuple[int, int] = (0, 0)
        self._looked_at_s = float("-inf")
        self._users: dict[str, users.User] = {}
        self._confirmed: dict[bytes, tuple[users.User, float]] = {}
        self._lock = threading.Lock()
        self._checks = threading.BoundedSemaphore(_CHECKS_AT_ONCE)
        self._line = threading.BoundedSemaphore(max(_CHECKS_AT_ONCE, threads // 2))
        self._nobody = users.hash_password(secrets.token_hex(16))

    def identify(self, environ: Mapping[str, Any], request_id: str) -> Caller:
        """The user whose name and password the request has."""
        credentials = _credentials(environ.get("HTTP_AUTHORIZATION"))
        self._reload()
        user = self._known(credentials) or self._check(credentials)
        return Caller(
            user_id=user.user_id,
            project_id=user.project_id,
            roles=frozenset(role.lower() for role in user.roles),
            request_id=request_id,
            user_name=user.name,
            project_name=user.project_name,
        )

    def _mark(self, credentials: bytes) -> bytes:
        return hmac.digest(self._key, credentials, hashlib.sha256)

    def _known(self, credentials: bytes) -> users.User | None:
        found = self._confirmed.get(self._mark(credentials))
        return found[0] if found is not None and self._clock() < found[1] else None

    def _check(self, credentials: bytes) -> users.User:
        name, _, password = credentials.decode("utf-8", "replace").partition(":")
        user = self._users.get(name)
        if not self._line.acquire(blocking=False):
            raise errors.Unavailable("Too many passwords are being checked just now. Try again in a moment.")
        try:
            with self._checks:
                right = users.check_password(password, user.password_hash if user is not None else self._nobody)
        finally:
            self._line.release()
        if user is None or not right:
            raise errors.Unauthorized("The user name or the password is wrong.")
        with self._lock:
            if len(self._confirmed) >= _MOST_KEPT:
                self._confirmed.clear()
            if self._users.get(name) is user:
                self._confirmed[self._mark(credentials)] = (user, self._clock() + _KEEP_S)
        return user

    def _reload(self) -> None:
        now_s = self._clock()
        if now_s - self._looked_at_s < _LOOK_AGAIN_S:
            return
        with self._lock:
            try:
                status = self._path.stat()
            except OSError as error:
                raise errors.Unavailable(f"The users file {self._path} cannot be read: {error.strerror}.") from error
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._users = users.load(self._path)
                self._confirmed.clear()
                self._stamp = stamp
            self._looked_at_s = now_s


def _credentials(header: str | None) -> bytes:
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        raise errors.Unauthorized("Say who you are: send a user name and a password (HTTP Basic).")
    try:
        credentials = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        credentials = b""
    if b":" not in credentials:
        raise errors.Unauthorized("The Authorization header is not HTTP Basic: it must be base64 of NAME:PASSWORD.")
    return credentials
