"""Whether a host's file system lets an engine limit the disk of a container. Reads the mount table only."""

from __future__ import annotations

import pathlib

MOUNTS = pathlib.Path("/proc/mounts")


def has_project_quota(path: str, table: str | None = None) -> bool:
    """Whether a path lies on XFS that is mounted with project quotas, which overlay storage needs to limit a container's disk."""
    best, answer = "", False
    for line in (table if table is not None else MOUNTS.read_text()).splitlines():
        _, place, kind, options, *_ = line.split()
        if (path == place or path.startswith(place.rstrip("/") + "/")) and len(place) >= len(best):
            best = place
            answer = kind == "xfs" and not {"prjquota", "pquota"}.isdisjoint(options.split(","))
    return answer
