"""Believes what the request says of itself: for tests and for a machine of one's own. Never for a network."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from higgins.core import errors
from higgins.core.caller import Caller

DEFAULT_USER = "noauth"
DEFAULT_PROJECT = "noauth"


class NoAuth:
    """The headers X-User-Id, X-Project-Id and X-Roles (a list with commas) say who it is; without them an administrator.

    ``guarded`` refuses what a browser may have been led to send: a request to a name that is not this machine's (whoever owns the name
    can have it mean any address), and one that a page of another origin sends, unless it is one of ``origins``.
    """

    challenge: str | None = None

    def __init__(
        self,
        *,
        user_id: str = DEFAULT_USER,
        project_id: str = DEFAULT_PROJECT,
        roles: tuple[str, ...] = ("admin",),
        guarded: bool = False,
        origins: Collection[str] = (),
    ) -> None:
        self._guarded, self._origins = guarded, frozenset(origins)
        self._user_id = user_id
        self._project_id = project_id
        self._roles = frozenset(roles)

    def identify(self, environ: Mapping[str, Any], request_id: str) -> Caller:
        """The caller that the headers name; ``Forbidden`` for one that a browser was led to."""
        if self._guarded:
            self._check_browser(environ.get("HTTP_HOST") or "", environ.get("HTTP_ORIGIN"))
        said = environ.get("HTTP_X_ROLES")
        roles = (
            self._roles if said is None else frozenset(role.strip().lower() for role in said.split(",") if role.strip())
        )
        user_id = environ.get("HTTP_X_USER_ID") or self._user_id
        project_id = environ.get("HTTP_X_PROJECT_ID") or self._project_id
        return Caller(
            user_id=user_id[:64],
            project_id=project_id[:64],
            roles=roles,
            request_id=request_id,
            user_name=environ.get("HTTP_X_USER_NAME") or user_id,
            project_name=environ.get("HTTP_X_PROJECT_NAME") or project_id,
        )

    def _check_browser(self, host: str, origin: str | None) -> None:
        if not _is_no_foreign_name(host):
            raise errors.Forbidden(
                "Without identity this service answers to localhost and to IP addresses alone. Use one of them in the URL, or start it with identity."
            )
        if origin is not None and origin not in self._origins and urlsplit(origin).netloc != host:
            raise errors.Forbidden(
                "Without identity this service takes nothing from pages of other origins. Start it with identity."
            )


def _is_no_foreign_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
