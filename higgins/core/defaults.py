"""Values that an installation has unless its operator chooses others, where both the options and what takes their values need them. Pure."""

from __future__ import annotations

CPU_RATIO = 16.0
MEMORY_RATIO = 1.5
DISK_RATIO = 1.0

QUOTA_CONTAINERS = 40
QUOTA_CPUS = 20
QUOTA_MEMORY_MIB = 51200
QUOTA_DISK_GIB = 100
QUOTA_LOCAL_VOLUMES = 100

HOST_DOWN_AFTER_S = 60
"""Three times the longest silence of an agent that waits for assignments."""

API_THREADS = 16
REGISTRIES = ("*",)
