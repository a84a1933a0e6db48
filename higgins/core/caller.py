"""Who makes a request, as the identity middleware confirmed it. Pure: knows no header, no token and no policy rule."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The person (or service) behind one request. ``roles`` are lower case; ``request_id`` is ``req-<uuid>``.

    ``token`` is his own at Keystone, where there is one: for calls on his behalf while the request lasts, never kept.
    """

    user_id: str
    project_id: str
    roles: frozenset[str]
    request_id: str
    user_name: str = ""
    project_name: str = ""
    token: str | None = dataclasses.field(default=None, repr=False)

    @property
    def is_admin(self) -> bool:
        """Whether the caller has Zun's one power: the role ``admin``."""
        return "admin" in self.roles


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows a query may see; every query of a tenant's table takes one. Made in ``higgins.policy.enforce`` alone.

    ``project_id`` ``None`` means all projects.
    """

    project_id: str | None
