"""Rows of ``pods``: reading them within a scope, making one, and changing a user's wish under its generation's guard.

Must not decide whether a change is allowed. The columns of the scheduler, of provisioning and of the host's report are written elsewhere.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import enum
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from higgins.core import errors, model
from higgins.core.caller import Scope
from higgins.core.names import is_uuid
from higgins.core.phase import Desired, Phase, Wish
from higgins.store import claims, specs
from higgins.store import page as pages
from higgins.store.seal import Sealer
from higgins.store.session import Duplicate, Overtaken, Transaction
from higgins.store.tables import hosts, pods
from higgins.threads import typed_json


class Pod(NamedTuple):
    """One row, typed. ``spec`` has no environments and no files' contents: see ``open_spec``. Times are UTC without a zone.

    A tuple, for lists make thousands of them and a frozen dataclass takes ten times as long to make.
    """

    id: int
    uuid: str
    kind: str
    project_id: str
    user_id: str
    name: str
    unique_name: str | None
    image: str
    spec: model.PodSpec
    sealed: bytes | None
    generation: int
    desired: Desired
    run: int
    build: int
    wish: Wish
    wished_at: datetime.datetime
    request_id: str | None
    stop_timeout_s: int
    stop_signal: str | None
    auto_remove: bool
    cpu_milli: int
    memory_mib: int
    disk_gib: int
    dedicated_cpus: int
    created_at: datetime.datetime
    updated_at: datetime.datetime | None
    host_id: int | None
    schedule_generation: int
    schedule_reason: str | None
    provision_generation: int
    provision_reason: str | None
    host_version: int
    phase: Phase | None
    observed_generation: int
    observed_run: int
    reason: str | None
    status: model.PodStatus | None
    reported_at: datetime.datetime | None
    hostname: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewPod:
    """A pod to be made. ``spec`` is whole, with its secrets; ``unique_name`` is set where names must be unique."""

    uuid: str
    kind: str = "container"
    project_id: str
    user_id: str
    name: str
    unique_name: str | None = None
    image: str
    spec: model.PodSpec
    desired: Desired
    run: int
    request_id: str | None
    wish: Wish = Wish.CREATE
    stop_timeout_s: int = 10
    stop_signal: str | None = None
    auto_remove: bool = False
    cpu_milli: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    dedicated_cpus: int = 0


_NAMES = Pod._fields
COLUMNS = tuple(hosts.c.hostname if name == "hostname" else pods.c[name] for name in _NAMES)
_SPEC, _STATUS = _NAMES.index("spec"), _NAMES.index("status")
_DESIRED_AT, _PHASE_AT, _WISH_AT = _NAMES.index("desired"), _NAMES.index("phase"), _NAMES.index("wish")
_DESIRED = {word.value: word for word in Desired}
_PHASE: dict[str | None, Phase | None] = {word.value: word for word in Phase} | {None: None}
_WISH = {word.value: word for word in Wish}

SELECT = sa.select(*COLUMNS).select_from(pods.outerjoin(hosts, pods.c.host_id == hosts.c.id))
"""All columns of ``Pod``; a caller in this folder adds its conditions and gives each row to ``from_row``."""

_FILTERS: dict[str, sa.ColumnElement[Any]] = {
    name: pods.c[name]
    for name in (
        "uuid",
        "name",
        "image",
        "project_id",
        "user_id",
        "auto_remove",
        "cpu_milli",
        "memory_mib",
        "disk_gib",
        "desired",
        "phase",
        "wish",
        "created_at",
        "host_id",
    )
} | {"host": hosts.c.hostname}
_SORTS: dict[str, sa.ColumnElement[Any]] = {
    name: pods.c[name] for name in _NAMES if name not in {"spec", "sealed", "status", "hostname"}
} | {"host": hosts.c.hostname}

_INSERT = pods.insert()
_TOUCH_HOST = hosts.update().where(hosts.c.id == sa.bindparam("of_host")).values(version=hosts.c.version + 1)
HOSTS_VERSION = sa.select(hosts.c.version).where(hosts.c.id == pods.c.host_id).scalar_subquery()
"""In an UPDATE of ``pods``: the version of the pod's host, which the same transaction has just raised."""


def from_row(row: Iterable[Any]) -> Pod:
    """The values of ``COLUMNS`` as a ``Pod``."""
    values = builtins.list(row)
    values[_SPEC] = specs.decode(values[_SPEC])
    if values[_STATUS] is not None:
        values[_STATUS] = typed_json.decode(values[_STATUS], model.PodStatus)
    values[_DESIRED_AT] = _DESIRED[values[_DESIRED_AT]]
    values[_PHASE_AT] = _PHASE[values[_PHASE_AT]]
    values[_WISH_AT] = _WISH[values[_WISH_AT]]
    return Pod._make(values)


def open_spec(pod: Pod, sealer: Sealer) -> model.PodSpec:
    """The pod's spec with its environments and injected files."""
    return specs.restore(pod.spec, pod.sealed, pod.uuid, sealer)


def open_environments(pod: Pod, sealer: Sealer) -> dict[str, dict[str, str]]:
    """The environments alone, by container uuid; a container without one is left out. Cheaper than ``open_spec`` for a list."""
    return specs.environments(pod.sealed, pod.uuid, sealer)


def insert(tx: Transaction, new: NewPod, sealer: Sealer) -> Pod:
    """Make a pod of generation 1, build 1; ``NameTaken`` when its unique name is in use."""
    text, sealed = specs.encode(new.spec, new.uuid, sealer)
    values: dict[str, Any] = {field.name: getattr(new, field.name) for field in dataclasses.fields(new)}
    values |= {"spec": text, "sealed": sealed, "spec_version": specs.SPEC_VERSION, "generation": 1, "build": 1}
    values |= {"desired": new.desired.value, "wish": new.wish.value, "wished_at": tx.now, "created_at": tx.now}
    try:
        key = tx.execute(_INSERT, values).inserted_primary_key
    except Duplicate as error:
        if new.unique_name is None:
            raise
        raise errors.NameTaken(f"A {new.kind} with the name {new.name} exists already. Choose another name.") from error
    whole = (
        _FRESH
        | values
        | {"id": key[0] if key else 0, "spec": specs.decode(text), "desired": new.desired, "wish": new.wish}
    )
    return Pod(*(whole[name] for name in _NAMES))


_FRESH: dict[str, Any] = dict.fromkeys(_NAMES) | {
    "schedule_generation": 0,
    "provision_generation": 0,
    "host_version": 0,
    "observed_generation": 0,
    "observed_run": 0,
}


def get(tx: Transaction, ident: str, scope: Scope, *, kind: str = "container") -> Pod:
    """The pod of this uuid, or else of this name; ``NotFound``, or ``Conflict`` when several have the name."""
    by_uuid = is_uuid(ident)
    query = SELECT.where(pods.c.kind == kind, (pods.c.uuid if by_uuid else pods.c.name) == ident).limit(2)
    if scope.project_id is not None:
        query = query.where(pods.c.project_id == scope.project_id)
    found = tx.rows(query)
    if not found:
        raise errors.NotFound(f"{kind.capitalize()} {ident} could not be found.", code=f"{kind}-not-found")
    if len(found) > 1:
        raise errors.Conflict(f"Several {kind}s have the name {ident}. Use the {kind}'s uuid instead.")
    return from_row(found[0])


def list(  # noqa: A001 - reads as pods.list
    tx: Transaction,
    scope: Scope,
    *,
    kind: str = "container",
    filters: Mapping[str, object] | None = None,
    page: pages.Page = pages.EVERYTHING,
) -> builtins.list[Pod]:
    """The pods within a scope, filtered by columns (``host`` is a hostname; a tuple means any of its values)."""
    visible = [pods.c.kind == kind]
    if scope.project_id is not None:
        visible.append(pods.c.project_id == scope.project_id)
    query = pages.where_equal(SELECT.where(*visible), _FILTERS, filters or {})
    query = pages.cut(tx, query, page, _SORTS, thing=kind, visible=visible)
    return [from_row(row) for row in tx.rows(query)]


def change(
    tx: Transaction,
    pod: Pod,
    *,
    wish: Wish,
    request_id: str | None,
    sealer: Sealer | None = None,
    desired: Desired | None = None,
    new_run: bool = False,
    new_build: bool = False,
    spec: model.PodSpec | None = None,
    name: str | None = None,
    unique_name: str | None = None,
    image: str | None = None,
    stop_timeout_s: int | None = None,
    stop_signal: str | None = None,
    cpu_milli: int | None = None,
    memory_mib: int | None = None,
    disk_gib: int | None = None,
    ratios: claims.Ratios | None = None,
) -> Pod:
    """Write a user's wish over the row ``pod`` was read from: generation + 1, and the host's version with it.

    What is ``None`` stays as it is, but for ``stop_signal``, which belongs to one wish. ``spec`` is whole, with its secrets, and needs
    ``sealer``; ``name`` takes ``unique_name`` with it. When the size changes, the host's claim changes by the difference, so that claims stay the
    sum of their pods; ``OutOfCapacity`` when ``ratios`` are given and the host has no room (quota is the caller's: ``quotas.take``).
    ``Overtaken`` (code ``conflict``) when another writer was first: read the row again, decide again. ``NameTaken`` for a unique name in use.
    """
    given = {
        "desired": desired,
        "image": image,
        "stop_timeout_s": stop_timeout_s,
        "cpu_milli": cpu_milli,
        "memory_mib": memory_mib,
        "disk_gib": disk_gib,
    }
    values: dict[str, Any] = {column: value for column, value in given.items() if value is not None}
    values |= {"wish": wish, "request_id": request_id, "stop_signal": stop_signal, "generation": pod.generation + 1}
    values |= {"run": pod.run + new_run, "build": pod.build + new_build, "wished_at": tx.now, "updated_at": tx.now}
    if name is not None:
        values |= {"name": name, "unique_name": unique_name}
    columns = {column: str(value) if isinstance(value, enum.StrEnum) else value for column, value in values.items()}
    if spec is not None:
        columns |= _spec_columns(pod, spec, sealer)
        values |= {"spec": specs.decode(columns["spec"]), "sealed": columns["sealed"], "auto_remove": spec.auto_remove}
    if pod.host_id is not None:
        _touch_host(tx, pod, values, ratios)
        columns["host_version"] = HOSTS_VERSION
    _guarded(tx, pod, columns)
    return pod._replace(**values)


def _spec_columns(pod: Pod, spec: model.PodSpec, sealer: Sealer | None) -> dict[str, Any]:
    if sealer is None:
        raise TypeError("a new spec needs the sealer")
    text, sealed = specs.encode(spec, pod.uuid, sealer)
    return {"spec": text, "sealed": sealed, "spec_version": specs.SPEC_VERSION, "auto_remove": spec.auto_remove}


def _touch_host(tx: Transaction, pod: Pod, values: Mapping[str, Any], ratios: claims.Ratios | None) -> None:
    more = {size: values[size] - getattr(pod, size) for size in claims.SIZES if size in values}
    if not any(more.values()):
        tx.change(_TOUCH_HOST, {"of_host": pod.host_id})
        return
    update = _TOUCH_HOST.values(**claims.moved(more))
    if ratios is not None:
        update = update.where(*claims.fits(ratios, more))
    if not tx.change(update, {"of_host": pod.host_id}):
        raise errors.OutOfCapacity(
            "The container's host has no room for this size. Ask for less, or delete other containers and try again."
        )


def _guarded(tx: Transaction, pod: Pod, columns: dict[str, Any]) -> None:
    update = pods.update().where(
        pods.c.id == pod.id,
        pods.c.generation == pod.generation,
        pods.c.host_id == pod.host_id if pod.host_id is not None else pods.c.host_id.is_(None),
    )
    try:
        matched = tx.change(update.values(**columns))
    except Duplicate as error:
        raise errors.NameTaken(
            f"A {pod.kind} with the name {columns.get('name')} exists already. Choose another name."
        ) from error
    if not matched:
        raise Overtaken(f"The {pod.kind} {pod.name} was changed by another request at the same moment. Try again.")
