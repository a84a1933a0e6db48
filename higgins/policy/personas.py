"""One caller of each kind that the rules know, for whoever checks routes against rules; a matrix test is generated from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from higgins.core.caller import Caller
from higgins.policy import rules

PROJECT = "4c1d5bd0e2f84f26a1f5d7a3b1c0de01"
OTHER_PROJECT = "9b0f3f1f6d8c4d0c8f6a2f5e7c9b1a02"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A kind of caller; ``own_project`` says whether the things it is tried on are of its own project."""

    name: str
    roles: frozenset[str]
    own_project: bool = True

    def caller(self, request_id: str = "req-00000000-0000-0000-0000-000000000000") -> Caller:
        """A caller of this kind."""
        project = PROJECT if self.own_project else OTHER_PROJECT
        return Caller(user_id=f"user-{self.name}", project_id=project, roles=self.roles, request_id=request_id)


PERSONAS: tuple[Persona, ...] = (
    Persona(name="nobody", roles=frozenset()),
    Persona(name="stranger", roles=frozenset({"auditor"})),
    Persona(name="reader", roles=frozenset({"reader"})),
    Persona(name="member", roles=frozenset({"member"})),
    Persona(name="manager", roles=frozenset({"manager"})),
    Persona(name="admin", roles=frozenset({"admin"})),
    Persona(name="service", roles=frozenset({"service"})),
    Persona(name="other_member", roles=frozenset({"member"}), own_project=False),
    Persona(name="other_manager", roles=frozenset({"manager"}), own_project=False),
    Persona(name="other_admin", roles=frozenset({"admin"}), own_project=False),
)

ALLOWED: Mapping[str, frozenset[str]] = {
    rules.NOBODY: frozenset(),
    rules.ADMIN: frozenset({"admin", "other_admin"}),
    rules.MANAGER: frozenset({"admin", "other_admin", "manager"}),
    rules.MEMBER: frozenset({"admin", "other_admin", "manager", "member"}),
    rules.READER: frozenset({"admin", "other_admin", "manager", "member", "reader"}),
    rules.READER_OR_SERVICE: frozenset({"admin", "other_admin", "manager", "member", "reader", "service"}),
}
"""Which personas each kind of default lets do something to a thing of ``PROJECT``; written by hand, so that it can disagree."""
