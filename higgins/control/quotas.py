"""Quotas of projects and classes, in the API's units; the taking itself is done with each wish, in its transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from higgins.core.caller import Caller

RESOURCES = ("containers", "memory", "cpu", "disk")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Memory in MiB, disk in GiB; -1 is no limit."""

    containers: int
    memory: int
    cpu: int
    disk: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a project has taken, in the units of ``Limits``; ``cpu`` may be broken."""

    containers: int
    memory: int
    cpu: float
    disk: int


class Quotas:
    """Limits and usages of projects. Resource maps use ``RESOURCES`` as keys."""

    def get(self, caller: Caller, project_id: str) -> Limits:
        """A project's limits: its own, else the class ``default``'s, else the configured ones."""
        raise NotImplementedError

    def usages(self, caller: Caller, project_id: str) -> tuple[Limits, Usage]:
        """A project's limits and what is in use."""
        raise NotImplementedError

    def defaults(self, caller: Caller, project_id: str) -> Limits:
        """What a project without limits of its own has."""
        raise NotImplementedError

    def update(self, caller: Caller, project_id: str, limits: Mapping[str, int]) -> Limits:
        """Set some limits of a project; ``Invalid`` below -1 or for an unknown resource."""
        raise NotImplementedError

    def delete(self, caller: Caller, project_id: str) -> None:
        """Give a project the defaults again."""
        raise NotImplementedError

    def get_class(self, caller: Caller, name: str) -> Limits:
        """Limits of a class."""
        raise NotImplementedError

    def update_class(self, caller: Caller, name: str, limits: Mapping[str, int]) -> Limits:
        """Set some limits of a class."""
        raise NotImplementedError
