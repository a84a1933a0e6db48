"""What an operator can choose about the use cases, as plain values; knows no configuration file (cmd fills it)."""

from __future__ import annotations

import dataclasses
from typing import Literal

from higgins.core.defaults import API_THREADS, HOST_DOWN_AFTER_S, QUOTA_LOCAL_VOLUMES, REGISTRIES
from higgins.core.phase import PullPolicy
from higgins.store.claims import Ratios
from higgins.store.quotas import Limits


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Defaults and limits. A default of 0 means: no limit. ``quota`` is that of a project for which none was set; ``ratios`` say how far a
    host may be promised more than once.
    """

    default_cpus: float = 1.0
    default_memory_mib: int = 512
    default_disk_gib: int = 0
    default_pids_limit: int = 2048
    minimum_cpus: float = 0.1
    maximum_cpus: float = 16.0
    minimum_memory_mib: int = 4
    maximum_memory_mib: int = 8192
    minimum_disk_gib: int = 1
    maximum_disk_gib: int = 160
    default_pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    image_drivers: tuple[str, ...] = ("docker",)
    volume_drivers: tuple[str, ...] = ("local",)
    unique_name_scope: Literal["", "project", "global"] = ""
    quota: Limits = dataclasses.field(default_factory=Limits)
    ratios: Ratios = dataclasses.field(default_factory=Ratios)
    host_down_after_s: int = HOST_DOWN_AFTER_S
    quota_local_volumes: int = QUOTA_LOCAL_VOLUMES
    registries: tuple[str, ...] = REGISTRIES
    live_timeout_s: float = 60.0
    threads: int = API_THREADS
