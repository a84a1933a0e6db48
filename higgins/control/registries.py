"""Image registries of projects and their sealed passwords, which are never given out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from higgins.control.means import Means
from higgins.control.requests import NewRegistry, RegistryChange
from higgins.core import names, reference
from higgins.core.caller import Caller
from higgins.core.errors import Invalid
from higgins.store.page import Page
from higgins.store.records import registries
from higgins.store.records.registries import Registry
from higgins.store.session import Transaction


class Registries:
    """``ident`` is a uuid or a name; ``NotFound`` (code ``registry-not-found``), ``Conflict`` for a name that several have."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def create(self, caller: Caller, new: NewRegistry) -> Registry:
        """Keep a registry; ``Invalid`` for a domain that no image could name."""
        self._means.policy.require(caller, "registry:create")
        _check(new.domain, new.name)
        return self._means.db.retrying(
            lambda tx: registries.insert(
                tx,
                project_id=caller.project_id,
                user_id=caller.user_id,
                domain=new.domain,
                sealer=self._means.sealer,
                name=new.name,
                username=new.username,
                password=new.password,
            )
        )

    def list(
        self, caller: Caller, *, filters: Mapping[str, object], page: Page, all_projects: bool = False
    ) -> Sequence[Registry]:
        """One page. Filters: name, domain, username, project_id, user_id."""
        scope = self._means.policy.scope(caller, "registry:get_all", all_projects=all_projects)
        with self._means.db.read() as tx:
            return registries.list(tx, scope, filters=filters, page=page)

    def get(self, caller: Caller, ident: str) -> Registry:
        """One."""
        scope = self._means.policy.scope(caller, "registry:get_one", ident=ident)
        with self._means.db.read() as tx:
            return registries.get(tx, ident, scope)

    def update(self, caller: Caller, ident: str, change: RegistryChange) -> Registry:
        """Change one."""
        scope = self._means.policy.scope(caller, "registry:update", ident=ident)
        _check(change.domain, change.name)
        given = {
            field.name: getattr(change, field.name)
            for field in dataclasses.fields(change)
            if getattr(change, field.name) is not None
        }

        def work(tx: Transaction) -> Registry:
            found = registries.get(tx, ident, scope)
            self._means.policy.require(caller, "registry:update", found.project_id)
            return registries.update(tx, found, given, self._means.sealer)

        return self._means.db.retrying(work)

    def delete(self, caller: Caller, ident: str) -> None:
        """Forget one; containers that were made with it stay, but pull without a login from then on."""
        scope = self._means.policy.scope(caller, "registry:delete", ident=ident)

        def work(tx: Transaction) -> None:
            found = registries.get(tx, ident, scope)
            self._means.policy.require(caller, "registry:delete", found.project_id)
            registries.delete(tx, found)

        self._means.db.retrying(work)


def _check(domain: str | None, name: str | None) -> None:
    if domain is not None and (not reference.is_domain(domain) or reference.is_ours(domain)):
        raise Invalid(
            f"'{domain}' is not a registry. Write its host, with a port if it needs one: registry.example.org:5000."
        )
    if name is not None and names.is_uuid(name):
        raise Invalid("A registry's name must not look like a uuid, or nobody could tell which of both is meant.")
