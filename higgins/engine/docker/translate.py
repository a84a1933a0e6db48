"""What Docker says of itself, in the words of the protocol."""

from __future__ import annotations

from typing import Any

from higgins.engine import api
from higgins.engine.dialect import quota, translate

QUOTA_DRIVERS = ("btrfs", "zfs", "windowsfilter")


def info(answer: dict[str, Any]) -> api.EngineInfo:
    """The engine's own facts from its ``/info``."""
    labels = dict(label.partition("=")[::2] for label in answer.get("Labels") or ())
    data_path = answer.get("DockerRootDir") or "/"
    disk_quota = answer.get("Driver") in QUOTA_DRIVERS or (
        answer.get("Driver") == "overlay2" and quota.has_project_quota(data_path)
    )
    return api.EngineInfo(
        name="docker",
        version=answer.get("ServerVersion") or "",
        runtimes=tuple(sorted(answer.get("Runtimes") or ())),
        labels=labels,
        disk_quota=disk_quota,
        rootless=any("rootless" in option for option in answer.get("SecurityOptions") or ()),
        keeps_health_clock=True,
        data_path=data_path,
        keeps_log_files=answer.get("LoggingDriver") == "json-file",
    )


def with_log_limit(body: dict[str, Any]) -> dict[str, Any]:
    """A create's body by which logs do not fill the disk, for the log driver that keeps all of them unless told otherwise."""
    config = {"max-size": f"{translate.LOG_FILE_MIB}m", "max-file": str(translate.LOG_FILES)}
    return body | {"HostConfig": body["HostConfig"] | {"LogConfig": {"Type": "json-file", "Config": config}}}
