"""Images, hosts, services, networks, registries and quotas in JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from higgins.api.view import times
from higgins.cloud.glance import Image as CloudImage
from higgins.control.images import FoundImage
from higgins.control.quotas import Limits, Usage
from higgins.core import model
from higgins.store.hosts import Host
from higgins.store.records.images import Image
from higgins.store.records.networks import Network
from higgins.store.records.registries import Registry

BINARY = "zun-compute"
_UNKNOWN = model.HostFacts(hostname="", engine="", engine_version="", engine_up=False)


def image(row: Image) -> dict[str, Any]:
    """An image of a host's cache; of a newer wish than the host has dealt with no reason is known yet."""
    dealt_with = row.observed_generation >= row.generation
    return {
        "uuid": row.uuid,
        "image_id": row.image_id,
        "repo": row.repo,
        "tag": row.tag,
        "size": None if row.size_bytes is None else str(row.size_bytes),
        "project_id": row.project_id,
        "host": row.hostname,
        "status": ((row.phase if dealt_with else None) or "pulling") if row.wanted else "removing",
        "status_reason": row.reason if dealt_with else None,
    }


def found_image(found: FoundImage | CloudImage) -> dict[str, Any]:
    """An answer of a search, as Docker's registries are quoted by Zun, or as Glance itself says it."""
    if isinstance(found, CloudImage):
        return dict(found.properties)
    return {
        "name": found.name,
        "description": found.description,
        "metadata": {"is_official": found.is_official, "star_count": found.star_count},
    }


def host(row: Host) -> dict[str, Any]:
    """A host: totals as its agent found them, use as the scheduler has claimed it."""
    facts = row.facts or _UNKNOWN
    return {
        "uuid": row.uuid,
        "hostname": row.hostname,
        "mem_total": row.memory_mib,
        "mem_used": row.memory_mib_claimed,
        "cpus": row.cpus,
        "cpu_used": row.cpu_milli_claimed / 1000,
        "disk_total": row.disk_gib,
        "disk_used": row.disk_gib_claimed,
        "disk_quota_supported": facts.disk_quota_supported,
        "total_containers": row.pods_claimed,
        "architecture": facts.architecture,
        "os_type": facts.os_type,
        "os": facts.os,
        "kernel_version": facts.kernel_version,
        "labels": facts.labels,
        "runtimes": facts.runtimes,
        "enable_cpu_pinning": row.dedicated_cpus > 0,
    }


def service(row: Host, *, up: bool) -> dict[str, Any]:
    """The one service of a host."""
    return {
        "id": row.id,
        "host": row.hostname,
        "binary": BINARY,
        "availability_zone": row.availability_zone,
        "state": "up" if up else "down",
        "disabled": row.disabled,
        "disabled_reason": row.disabled_reason,
        "forced_down": row.forced_down,
        "last_seen_up": times.iso(row.last_seen_at),
        "report_count": row.report_count,
        "created_at": times.iso(row.created_at),
        "updated_at": times.iso(row.updated_at),
    }


def network(row: Network) -> dict[str, Any]:
    """A record of a network."""
    return {
        "uuid": row.uuid,
        "name": row.name,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "network_id": row.network_id,
        "neutron_net_id": row.neutron_net_id,
    }


def registry(row: Registry) -> dict[str, Any]:
    """A registry; its password never leaves."""
    return {
        "uuid": row.uuid,
        "name": row.name,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "domain": row.domain,
        "username": row.username,
        "password": "***",
        "created_at": times.plain(row.created_at),
        "updated_at": times.plain(row.updated_at),
    }


def limits(found: Limits) -> dict[str, int]:
    """The limits of a project or a class."""
    return dataclasses.asdict(found)


def usages(found: Limits, used: Usage) -> dict[str, dict[str, float]]:
    """Limits, and what is in use, by resource."""
    in_use = dataclasses.asdict(used)
    return {name: {"limit": limit, "in_use": in_use[name]} for name, limit in dataclasses.asdict(found).items()}
