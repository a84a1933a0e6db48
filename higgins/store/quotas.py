"""Quotas of projects: limits that were set, and what is in use, taken by one guarded UPDATE in the transaction of the wish.

Must not know who may set a limit.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Protocol

import sqlalchemy as sa

from higgins.core import defaults as preset
from higgins.core import errors
from higgins.core.model import PodSpec
from higgins.store.session import Duplicate, Overtaken, Transaction
from higgins.store.tables import quota_classes, quotas, usages

UNLIMITED = -1
DEFAULT_CLASS = "default"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a project may have; -1 is no limit. ``cpu`` in processors, ``memory`` in MiB, ``disk`` in GiB, as the API says them."""

    containers: int = preset.QUOTA_CONTAINERS
    cpu: int = preset.QUOTA_CPUS
    memory: int = preset.QUOTA_MEMORY_MIB
    disk: int = preset.QUOTA_DISK_GIB


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much a project has."""

    containers: int = 0
    cpu_milli: int = 0
    memory_mib: int = 0
    disk_gib: int = 0


class Counted(Protocol):
    """What is counted of a pod."""

    @property
    def spec(self) -> PodSpec: ...  # noqa: D102


RESOURCES = tuple(field.name for field in dataclasses.fields(Limits))
_COUNTED = {
    "containers": ("containers", 1),
    "cpu": ("cpu_milli", 1000),
    "memory": ("memory_mib", 1),
    "disk": ("disk_gib", 1),
}
_UNITS = {"containers": "", "cpu": " processors", "memory": " MiB", "disk": " GiB"}


def limits(tx: Transaction, project_id: str, defaults: Limits | None = None) -> Limits:
    """The limits that hold for a project: its own, else the class ``default``'s, else ``defaults``."""
    own = sa.select(quotas.c.resource, quotas.c.hard_limit, sa.literal(1)).where(quotas.c.project_id == project_id)
    by_class = sa.select(quota_classes.c.resource, quota_classes.c.hard_limit, sa.literal(0))
    by_class = by_class.where(quota_classes.c.class_name == DEFAULT_CLASS)
    found = sorted((row[2], row[0], row[1]) for row in tx.rows(sa.union_all(own, by_class)))
    return _over(defaults or Limits(), {resource: limit for _, resource, limit in found})


def class_limits(tx: Transaction, class_name: str, defaults: Limits | None = None) -> Limits:
    """The limits of a class, over ``defaults``."""
    query = sa.select(quota_classes.c.resource, quota_classes.c.hard_limit).where(
        quota_classes.c.class_name == class_name
    )
    return _over(defaults or Limits(), {row[0]: row[1] for row in tx.rows(query)})


def set_limits(tx: Transaction, project_id: str, changed: Mapping[str, int]) -> None:
    """Set a project's own limits, by the names of ``RESOURCES``; the others stay."""
    for resource, limit in changed.items():
        tx.change(quotas.delete().where(quotas.c.project_id == project_id, quotas.c.resource == resource))
        tx.change(quotas.insert().values(project_id=project_id, resource=resource, hard_limit=limit))


def set_class_limits(tx: Transaction, class_name: str, changed: Mapping[str, int]) -> None:
    """Set limits of a class, by the names of ``RESOURCES``; the others stay."""
    table = quota_classes
    for resource, limit in changed.items():
        tx.change(table.delete().where(table.c.class_name == class_name, table.c.resource == resource))
        tx.change(table.insert().values(class_name=class_name, resource=resource, hard_limit=limit))


def drop_limits(tx: Transaction, project_id: str) -> None:
    """Let the class ``default`` hold for a project again."""
    tx.change(quotas.delete().where(quotas.c.project_id == project_id))


def usage(tx: Transaction, project_id: str) -> Usage:
    """What a project has now."""
    columns = (usages.c.containers, usages.c.cpu_milli, usages.c.memory_mib, usages.c.disk_gib)
    row = tx.row(sa.select(*columns).where(usages.c.project_id == project_id))
    return Usage() if row is None else Usage(**row._asdict())


def take(
    tx: Transaction,
    project_id: str,
    limits: Limits | None = None,
    *,
    containers: int = 0,
    cpu_milli: int = 0,
    memory_mib: int = 0,
    disk_gib: int = 0,
) -> None:
    """Count this much more as used, or raise ``OverQuota`` naming what there is too little of.

    One UPDATE looks up the limits and takes, so that no two requests can both take the last of something. ``limits`` are those for a
    project that has none set, neither of its own nor by its class. Only what is above 0 is held against a limit; below 0 gives back.
    """
    more = Usage(containers=containers, cpu_milli=cpu_milli, memory_mib=memory_mib, disk_gib=disk_gib)
    defaults = limits or Limits()
    if _take(tx, project_id, defaults, more):
        return
    if tx.scalar(sa.select(usages.c.project_id).where(usages.c.project_id == project_id)) is None:
        try:
            tx.change(usages.insert().values(project_id=project_id))
        except Duplicate as error:
            raise Overtaken("Another request used the project's quota first. Try again.") from error
        if _take(tx, project_id, defaults, more):
            return
    raise _over_quota(tx, project_id, defaults, more)


def give_back(
    tx: Transaction, project_id: str, *, containers: int = 0, cpu_milli: int = 0, memory_mib: int = 0, disk_gib: int = 0
) -> None:
    """Count this much less as used."""
    back = {"containers": containers, "cpu_milli": cpu_milli, "memory_mib": memory_mib, "disk_gib": disk_gib}
    values = {name: usages.c[name] - amount for name, amount in back.items() if amount}
    if values:
        tx.change(usages.update().where(usages.c.project_id == project_id).values(**values))


def containers_of(pod: Counted) -> int:
    """How many containers a pod counts for: one for a container, its members for a capsule."""
    return len(pod.spec.containers)


def _over(defaults: Limits, found: Mapping[str, int]) -> Limits:
    return dataclasses.replace(defaults, **{name: found[name] for name in RESOURCES if name in found})


def _take(tx: Transaction, project_id: str, defaults: Limits, more: Usage) -> bool:
    asked = {column: amount for column, _ in _COUNTED.values() if (amount := getattr(more, column))}
    if not asked:
        return True
    held = tuple(resource for resource, (column, _) in _COUNTED.items() if asked.get(column, 0) > 0)
    parameters = {"project": project_id} | {f"more_{column}": amount for column, amount in asked.items()}
    parameters |= {f"default_{resource}": getattr(defaults, resource) for resource in held}
    return tx.change(_take_statement(tuple(asked), held), parameters) == 1


@functools.cache
def _take_statement(columns: tuple[str, ...], held: tuple[str, ...]) -> sa.Update:
    """Adds ``more_COLUMN`` to columns where the limits of the resources that are held against one allow it; made once a shape."""
    update = usages.update().where(usages.c.project_id == sa.bindparam("project"))
    update = update.values({column: usages.c[column] + sa.bindparam(f"more_{column}") for column in columns})
    for resource in held:
        column, scale = _COUNTED[resource]
        limit, wanted = _limit(resource), usages.c[column] + sa.bindparam(f"more_{column}")
        update = update.where(sa.or_(limit == UNLIMITED, wanted <= limit * scale))
    return update


def _limit(resource: str) -> sa.ColumnElement[int]:
    own = sa.select(quotas.c.hard_limit)
    own = own.where(quotas.c.project_id == sa.bindparam("project"), quotas.c.resource == resource)
    by_class = sa.select(quota_classes.c.hard_limit)
    by_class = by_class.where(quota_classes.c.class_name == DEFAULT_CLASS, quota_classes.c.resource == resource)
    default: sa.BindParameter[int] = sa.bindparam(f"default_{resource}", type_=sa.BigInteger)
    return sa.func.coalesce(own.scalar_subquery(), by_class.scalar_subquery(), default)


def _over_quota(tx: Transaction, project_id: str, defaults: Limits, more: Usage) -> errors.HigginsError:
    hold, used = limits(tx, project_id, defaults), usage(tx, project_id)
    for resource, (column, scale) in _COUNTED.items():
        limit, in_use, asked = getattr(hold, resource), getattr(used, column), getattr(more, column)
        if limit != UNLIMITED and asked > 0 and in_use + asked > limit * scale:
            unit = _UNITS[resource]
            return errors.OverQuota(
                f"Quota exceeded for {resource}: the limit is {limit}{unit}, in use are {in_use / scale:.15g}{unit}, and this asks for "
                f"{asked / scale:.15g}{unit} more. Delete something, ask for less, or have the limit raised."
            )
    return Overtaken("The project's quota was changed by another request at the same moment. Try again.")
