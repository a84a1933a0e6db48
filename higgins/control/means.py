"""What every use case works with, handed round as one; built once by cmd and shared by all threads."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from higgins.cloud.services import Services
from higgins.control.settings import Settings
from higgins.policy.enforce import Policy
from higgins.store import claims, quotas
from higgins.store.seal import Sealer
from higgins.store.session import Database


class Hint(Protocol):
    """Must return at once and never raise; a lost hint costs latency only."""

    def __call__(self, host_id: int | None, *, straight: bool = False) -> None:
        """Told after a commit that the wishes of this host (its row's id) changed, or with ``None`` that a pod waits for a host.

        ``straight`` says that the host deals with it and provisioning has no part in it.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Store, policy, settings and hint. ``installation`` is the installation's uuid; ``services`` is ``None`` without an OpenStack around."""

    db: Database
    sealer: Sealer
    policy: Policy
    hint: Hint
    installation: str
    settings: Settings = dataclasses.field(default_factory=Settings)
    services: Services | None = None

    @property
    def quota_defaults(self) -> quotas.Limits:
        """Limits of a project for which none were set."""
        chosen = self.settings
        return quotas.Limits(
            containers=chosen.quota_containers,
            cpu=chosen.quota_cpus,
            memory=chosen.quota_memory_mib,
            disk=chosen.quota_disk_gib,
        )

    @property
    def ratios(self) -> claims.Ratios:
        """How far a host may be promised more than once."""
        return claims.Ratios(
            cpu=self.settings.cpu_allocation_ratio,
            memory=self.settings.ram_allocation_ratio,
            disk=self.settings.disk_allocation_ratio,
        )
