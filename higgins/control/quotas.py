"""Quotas of projects and classes, in the API's units; the taking itself is done with each wish, in its transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from higgins.control.means import Means
from higgins.core import units
from higgins.core.caller import Caller
from higgins.core.errors import Invalid
from higgins.store import quotas
from higgins.store.quotas import DEFAULT_CLASS, RESOURCES, Limits
from higgins.store.session import Transaction

__all__ = ["RESOURCES", "Limits", "Quotas", "Usage"]

_MOST = 2**31 - 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a project has taken, in the units of ``Limits``; ``cpu`` may be broken."""

    containers: int
    memory: int
    cpu: float
    disk: int


class Quotas:
    """Limits and usages of projects. Resource maps use ``RESOURCES`` as keys; -1 is no limit."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def get(self, caller: Caller, project_id: str) -> Limits:
        """A project's limits: its own, else the class ``default``'s, else the configured ones."""
        self._means.policy.require(caller, "quota:get", project_id)
        with self._means.db.read() as tx:
            return quotas.limits(tx, project_id, self._means.settings.quota)

    def usages(self, caller: Caller, project_id: str) -> tuple[Limits, Usage]:
        """A project's limits and what is in use."""
        self._means.policy.require(caller, "quota:get", project_id)
        with self._means.db.read() as tx:
            used = quotas.usage(tx, project_id)
            usage = Usage(
                containers=used.containers,
                memory=used.memory_mib,
                cpu=units.milli_to_cpus(used.cpu_milli),
                disk=used.disk_gib,
            )
            return quotas.limits(tx, project_id, self._means.settings.quota), usage

    def defaults(self, caller: Caller, project_id: str) -> Limits:
        """What a project without limits of its own has."""
        self._means.policy.require(caller, "quota:get_default", project_id)
        with self._means.db.read() as tx:
            return quotas.class_limits(tx, DEFAULT_CLASS, self._means.settings.quota)

    def update(self, caller: Caller, project_id: str, limits: Mapping[str, int]) -> Limits:
        """Set some limits of a project; ``Invalid`` below -1 or for an unknown resource."""
        self._means.policy.require(caller, "quota:update", project_id)
        _check(limits)

        def work(tx: Transaction) -> Limits:
            quotas.set_limits(tx, project_id, limits)
            return quotas.limits(tx, project_id, self._means.settings.quota)

        return self._means.db.retrying(work)

    def delete(self, caller: Caller, project_id: str) -> None:
        """Give a project the defaults again."""
        self._means.policy.require(caller, "quota:delete", project_id)
        self._means.db.retrying(lambda tx: quotas.drop_limits(tx, project_id))

    def get_class(self, caller: Caller, name: str) -> Limits:
        """Limits of a class."""
        self._means.policy.require(caller, "quota_class:get")
        with self._means.db.read() as tx:
            return quotas.class_limits(tx, name, self._means.settings.quota)

    def update_class(self, caller: Caller, name: str, limits: Mapping[str, int]) -> Limits:
        """Set some limits of a class; those of ``default`` hold for every project without limits of its own."""
        self._means.policy.require(caller, "quota_class:update")
        _check(limits)

        def work(tx: Transaction) -> Limits:
            quotas.set_class_limits(tx, name, limits)
            return quotas.class_limits(tx, name, self._means.settings.quota)

        return self._means.db.retrying(work)


def _check(limits: Mapping[str, int]) -> None:
    for resource, limit in limits.items():
        if resource not in RESOURCES:
            raise Invalid(f"There is no quota for '{resource}'. Quotas are: {', '.join(RESOURCES)}.")
        if not -1 <= limit <= _MOST:
            raise Invalid(
                f"The quota for {resource} must be -1 (no limit) or from 0 to {_MOST}, but {limit} was given."
            )
