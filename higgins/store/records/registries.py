"""Rows of ``registries``: where private images are and how to log in there. Passwords are sealed; only ``login`` opens one."""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import uuid as uuids
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from higgins.core import errors, model
from higgins.core.caller import Scope
from higgins.core.names import is_uuid
from higgins.store import page as pages
from higgins.store.seal import Sealer
from higgins.store.session import Transaction
from higgins.store.tables import registries


@dataclasses.dataclass(frozen=True, slots=True)
class Registry:
    """One row, typed; the password stays sealed."""

    id: int
    uuid: str
    project_id: str
    user_id: str
    name: str | None
    domain: str
    username: str | None
    password: bytes | None = dataclasses.field(repr=False)
    created_at: datetime.datetime
    updated_at: datetime.datetime | None


_NAMES = tuple(field.name for field in dataclasses.fields(Registry))
_SELECT = sa.select(*(registries.c[name] for name in _NAMES))
_FILTERS: dict[str, sa.ColumnElement[Any]] = {
    name: registries.c[name] for name in ("uuid", "name", "domain", "username", "project_id", "user_id")
}
_SORTS: dict[str, sa.ColumnElement[Any]] = {name: registries.c[name] for name in _NAMES if name != "password"}


def insert(
    tx: Transaction,
    *,
    project_id: str,
    user_id: str,
    domain: str,
    sealer: Sealer,
    name: str | None = None,
    username: str | None = None,
    password: str | None = None,
) -> Registry:
    """Make a registry."""
    uuid = str(uuids.uuid4())
    values = {"uuid": uuid, "project_id": project_id, "user_id": user_id, "domain": domain, "name": name}
    values |= {"username": username}
    columns: dict[str, Any] = values | {"password": _sealed(uuid, password, sealer), "created_at": tx.now}
    tx.change(registries.insert(), columns)
    return get(tx, uuid, Scope(project_id))


def get(tx: Transaction, ident: str, scope: Scope) -> Registry:
    """The registry of this uuid, or else of this name; ``NotFound``, or ``Conflict`` when several have the name."""
    query = _SELECT.where(
        (registries.c.uuid if is_uuid(ident) else registries.c.name) == ident, *_visible(scope)
    ).limit(2)
    found = tx.rows(query)
    if not found:
        raise errors.NotFound(f"The registry {ident} could not be found.", code="registry-not-found")
    if len(found) > 1:
        raise errors.Conflict(f"Several registries have the name {ident}. Use the registry's uuid instead.")
    return Registry(*found[0])


def list(  # noqa: A001 - reads as registries.list
    tx: Transaction,
    scope: Scope,
    *,
    filters: Mapping[str, object] | None = None,
    page: pages.Page = pages.EVERYTHING,
) -> builtins.list[Registry]:
    """The registries within a scope."""
    visible = _visible(scope)
    query = pages.where_equal(_SELECT.where(*visible), _FILTERS, filters or {})
    return [Registry(*row) for row in tx.rows(pages.cut(tx, query, page, _SORTS, thing="registry", visible=visible))]


def update(tx: Transaction, registry: Registry, changes: Mapping[str, str | None], sealer: Sealer) -> Registry:
    """Set ``name``, ``domain``, ``username`` or ``password``; what is not named stays."""
    columns: dict[str, Any] = {name: changes[name] for name in ("name", "domain", "username") if name in changes}
    if "password" in changes:
        columns["password"] = _sealed(registry.uuid, changes["password"], sealer)
    columns["updated_at"] = tx.now
    tx.change(registries.update().where(registries.c.id == registry.id).values(**columns))
    return dataclasses.replace(registry, **columns)


def delete(tx: Transaction, registry: Registry) -> None:
    """Forget a registry; containers that name it pull without a login from then on."""
    tx.change(registries.delete().where(registries.c.id == registry.id))


def logins(tx: Transaction, uuids_wanted: builtins.list[str], sealer: Sealer) -> dict[str, model.RegistryLogin]:
    """The opened logins of these registries, by uuid; for the host that must pull, and nobody else."""
    found = (Registry(*row) for row in tx.rows(_SELECT.where(registries.c.uuid.in_(uuids_wanted))))
    return {registry.uuid: login(registry, sealer) for registry in found}


def login(registry: Registry, sealer: Sealer) -> model.RegistryLogin:
    """How to log in there, with the password opened."""
    password = None
    if registry.password is not None:
        password = sealer.open(registry.password, _context(registry.uuid)).decode()
    return model.RegistryLogin(domain=registry.domain, username=registry.username, password=password)


def _visible(scope: Scope) -> builtins.list[sa.ColumnElement[bool]]:
    return [] if scope.project_id is None else [registries.c.project_id == scope.project_id]


def _sealed(uuid: str, password: str | None, sealer: Sealer) -> bytes | None:
    return None if password is None else sealer.seal(password.encode(), _context(uuid))


def _context(uuid: str) -> str:
    return f"registries/{uuid}/password"
