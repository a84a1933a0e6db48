"""What an operator can choose about the use cases, as plain values; knows no configuration file (cmd fills it)."""

from __future__ import annotations

import dataclasses
from typing import Literal

from higgins.core.phase import PullPolicy


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Defaults and limits. A default of 0 means: no limit; a quota of -1 means: no limit."""

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
    quota_containers: int = 40
    quota_memory_mib: int = 51200
    quota_cpus: int = 20
    quota_disk_gib: int = 100
    quota_local_volumes: int = 100
    registries: tuple[str, ...] = ("*",)
    cpu_allocation_ratio: float = 16.0
    ram_allocation_ratio: float = 1.5
    disk_allocation_ratio: float = 1.0
    host_down_after_s: int = 60
    live_timeout_s: float = 60.0
    threads: int = 16
