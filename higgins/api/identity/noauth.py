"""Believes what the request says of itself: for tests and for a machine of one's own. Never for a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from higgins.core.caller import Caller

DEFAULT_USER = "noauth"
DEFAULT_PROJECT = "noauth"


class NoAuth:
    """The headers X-User-Id, X-Project-Id and X-Roles (a list with commas) say who it is; without them an administrator."""

    challenge: str | None = None

    def __init__(
        self, *, user_id: str = DEFAULT_USER, project_id: str = DEFAULT_PROJECT, roles: tuple[str, ...] = ("admin",)
    ) -> None:
        self._user_id = user_id
        self._project_id = project_id
        self._roles = frozenset(roles)

    def identify(self, environ: Mapping[str, Any], request_id: str) -> Caller:
        """The caller that the headers name."""
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
