"""Image registries of projects and their sealed passwords, which are never given out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from higgins.control.requests import NewRegistry, RegistryChange
from higgins.core.caller import Caller

if TYPE_CHECKING:
    from higgins.store.registries import Registry
    from higgins.store.session import Page


class Registries:
    """``ident`` is a uuid or a name; ``NotFound`` (code ``registry-not-found``), ``Conflict`` for a name that several have."""

    def create(self, caller: Caller, new: NewRegistry) -> Registry:
        """Keep a registry."""
        raise NotImplementedError

    def list(
        self, caller: Caller, *, filters: Mapping[str, object], page: Page, all_projects: bool = False
    ) -> Sequence[Registry]:
        """One page. Filters: name, domain, username, project_id, user_id."""
        raise NotImplementedError

    def get(self, caller: Caller, ident: str) -> Registry:
        """One."""
        raise NotImplementedError

    def update(self, caller: Caller, ident: str, change: RegistryChange) -> Registry:
        """Change one."""
        raise NotImplementedError

    def delete(self, caller: Caller, ident: str) -> None:
        """Forget one; containers that were made with it stay, but can pull no more."""
        raise NotImplementedError
