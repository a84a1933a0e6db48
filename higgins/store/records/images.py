"""Rows of ``images``: which images a host must have in its cache, as wishes of their own. The host's report fills in the rest."""

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
from higgins.core.phase import PullPolicy
from higgins.store import page as pages
from higgins.store.session import Transaction
from higgins.store.tables import hosts, images


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """One row, typed; ``phase`` is ``None`` until the host has reported."""

    id: int
    uuid: str
    host_id: int
    project_id: str
    repo: str
    tag: str
    pull_policy: str
    generation: int
    wanted: bool
    created_at: datetime.datetime
    phase: str | None
    observed_generation: int
    reason: str | None
    image_id: str | None
    size_bytes: int | None
    hostname: str


_NAMES = tuple(field.name for field in dataclasses.fields(Image))
_SELECT = sa.select(*(hosts.c.hostname if name == "hostname" else images.c[name] for name in _NAMES)).select_from(
    images.join(hosts, images.c.host_id == hosts.c.id)
)
_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    name: hosts.c.hostname if name == "hostname" else images.c[name] for name in _NAMES
}
_HOSTS_VERSION = sa.select(hosts.c.version).where(hosts.c.id == images.c.host_id).scalar_subquery()


def insert(
    tx: Transaction, *, host_id: int, project_id: str, repo: str, tag: str, pull_policy: PullPolicy = PullPolicy.ALWAYS
) -> Image:
    """Wish an image onto a host."""
    uuid = str(uuids.uuid4())
    tx.change(hosts.update().where(hosts.c.id == host_id).values(version=hosts.c.version + 1))
    version = tx.scalar(sa.select(hosts.c.version).where(hosts.c.id == host_id))
    values = {"uuid": uuid, "host_id": host_id, "project_id": project_id, "repo": repo, "tag": tag}
    values |= {"pull_policy": pull_policy.value, "generation": 1, "host_version": version, "created_at": tx.now}
    tx.change(images.insert(), values)
    return get(tx, uuid, Scope(None))


def get(tx: Transaction, uuid: str, scope: Scope) -> Image:
    """The image of this uuid; ``NotFound``."""
    row = tx.row(_SELECT.where(images.c.uuid == uuid, *_visible(scope)))
    if row is None:
        raise errors.NotFound(f"The image {uuid} could not be found.", code="image-not-found")
    return Image(*row)


def list(  # noqa: A001 - reads as images.list
    tx: Transaction, scope: Scope, *, filters: Mapping[str, object] | None = None, page: pages.Page = pages.EVERYTHING
) -> builtins.list[Image]:
    """The images within a scope that are still wanted."""
    visible = [images.c.wanted.is_(sa.true()), *_visible(scope)]
    query = pages.where_equal(_SELECT.where(*visible), _COLUMNS, filters or {})
    return [Image(*row) for row in tx.rows(pages.cut(tx, query, page, _COLUMNS, thing="image", visible=visible))]


def unwant(tx: Transaction, image: Image) -> None:
    """Wish an image off its host; the row goes away when the host has reported it gone."""
    tx.change(hosts.update().where(hosts.c.id == image.host_id).values(version=hosts.c.version + 1))
    values = {"wanted": False, "generation": images.c.generation + 1, "host_version": _HOSTS_VERSION}
    tx.change(images.update().where(images.c.id == image.id).values(**values))


def wishes(tx: Transaction, host_id: int, since: int) -> tuple[model.ImageWish, ...]:
    """What a host must be told of images that changed after a version of its wishes."""
    columns = (images.c.uuid, images.c.repo, images.c.tag, images.c.generation, images.c.wanted, images.c.pull_policy)
    query = sa.select(*columns).where(images.c.host_id == host_id, images.c.host_version > since).order_by(images.c.id)
    return tuple(
        model.ImageWish(
            uuid=row.uuid,
            image=f"{row.repo}{'@' if row.tag.startswith('sha256:') else ':'}{row.tag}" if row.tag else row.repo,
            generation=row.generation,
            wanted=row.wanted,
            pull_policy=PullPolicy(row.pull_policy),
        )
        for row in tx.rows(query)
    )


def _visible(scope: Scope) -> builtins.list[sa.ColumnElement[bool]]:
    return [] if scope.project_id is None else [images.c.project_id == scope.project_id]
