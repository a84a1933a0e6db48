"""What Podman says of itself and how it wants limits, in the words of the protocol."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from higgins.core import units
from higgins.engine import api
from higgins.engine.dialect import quota, translate

SYSTEMD = pathlib.Path("/run/systemd/system")
LIMITS = {
    "cpus": ("cpu", ("CpuPeriod", "CpuQuota")),
    "cpu_shares": ("cpu", ("CpuShares",)),
    "cpu_policy": ("cpuset", ("CpusetCpus",)),
    "memory_mib": ("memory", ("Memory", "MemorySwap")),
    "pids_limit": ("pids", ("PidsLimit",)),
}
"""Fields of a container's limits: the controller that holds each, and its words in a create."""


def info(answer: dict[str, Any]) -> api.EngineInfo:
    """The engine's own facts from libpod's ``info``."""
    host, store = answer.get("host") or {}, answer.get("store") or {}
    data_path = store.get("graphRoot") or "/"
    runtime = (host.get("ociRuntime") or {}).get("name") or ""
    rootless = bool((host.get("security") or {}).get("rootless"))
    return api.EngineInfo(
        name="podman",
        version=(answer.get("version") or {}).get("Version") or "",
        runtimes=(runtime,) if runtime else (),
        disk_quota=store.get("graphDriverName") == "overlay" and not rootless and quota.has_project_quota(data_path),
        rootless=rootless,
        keeps_health_clock=_has_timers(rootless),
        data_path=data_path,
        cannot_limit=_cannot_limit(host) if rootless else (),
    )


def _cannot_limit(host: dict[str, Any]) -> tuple[str, ...]:
    """Without root only those controllers hold that were delegated to the user, which cgroup v1 never does."""
    delegated = host.get("cgroupControllers") or () if host.get("cgroupVersion") == "v2" else ()
    return tuple(field for field, (controller, _) in LIMITS.items() if controller not in delegated)


def _has_timers(rootless: bool) -> bool:
    """Podman runs health checks by timers of systemd: of the user's own when it is rootless."""
    if not SYSTEMD.is_dir():
        return False
    return (
        not rootless or (pathlib.Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere")) / "systemd" / "private").exists()
    )


def creation_body(body: dict[str, Any], *, keeps_clock: bool, cannot_limit: tuple[str, ...] = ()) -> dict[str, Any]:
    """The dialect's body of a create, with what Podman takes differently."""
    check = body.get("Healthcheck")
    if check is not None and not keeps_clock:
        # Interval 0 makes no timer; whoever looks after the container asks for each check.
        body = body | {"Healthcheck": check | {"Interval": 0}}
    left_out = {"Runtime", *(word for field in cannot_limit for word in LIMITS[field][1])}
    host = {name: value for name, value in body["HostConfig"].items() if name not in left_out}
    # Of the log driver that is configured: files begin anew when they are full, the journal has limits of its own.
    host["LogConfig"] = {"Config": {"max-size": f"{translate.LOG_FILES * translate.LOG_FILE_MIB}m"}}
    return body | {"HostConfig": host}


def resources(cpus: float | None, memory_mib: int | None) -> dict[str, Any]:
    """Limits as the OCI runtime specification writes them."""
    words: dict[str, Any] = {}
    if cpus is not None:
        words["cpu"] = {"period": translate.CPU_PERIOD_US, "quota": round(cpus * translate.CPU_PERIOD_US)}
    if memory_mib is not None:
        words["memory"] = {"limit": units.mib_to_bytes(memory_mib), "swap": units.mib_to_bytes(memory_mib)}
    return words
