"""What a container may be called, how big it may be, and what else a request for one may say here. Pure."""

from __future__ import annotations

import contextlib
import fnmatch
import ipaddress
import re
import socket
from urllib.parse import urlsplit

from higgins.control.requests import MountRequest, NewContainer
from higgins.control.settings import Settings
from higgins.core import names
from higgins.core.errors import Invalid

FILES_MAX_BYTES = 8 * 1024 * 1024
"""All injected files of one container together: they stand in its row."""

DEFAULT_REGISTRY = "docker.io"

_PORT = re.compile(r"(\d{1,5})/(tcp|udp)")
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")


def check_name(name: str | None) -> None:
    """``Invalid`` for a name that no container may have."""
    if name is None:
        return
    if not names.is_container_name(name):
        raise Invalid(
            f"'{name}' cannot be a container's name. Use 2 to 255 letters, digits, '_', '.' or '-', with a letter or digit first."
        )
    if names.is_uuid(name):
        raise Invalid("A container's name must not look like a uuid, or nobody could tell which of both is meant.")


def check_size(
    settings: Settings, *, cpu: float | None = None, memory_mib: int | None = None, disk_gib: int | None = None
) -> None:
    """``Invalid`` for a size outside the configured limits; ``None`` was not asked for."""
    checks = (
        ("cpu", cpu, settings.minimum_cpus, settings.maximum_cpus, "processors"),
        ("memory", memory_mib, settings.minimum_memory_mib, settings.maximum_memory_mib, "MiB"),
        ("disk", disk_gib, settings.minimum_disk_gib, settings.maximum_disk_gib, "GiB"),
    )
    for what, asked, least, most, unit in checks:
        if asked is not None and not least <= asked <= most:
            raise Invalid(f"'{what}' must be from {least:.15g} to {most:.15g} {unit}, but {asked:.15g} was asked for.")


def unique_name(settings: Settings, project_id: str, name: str | None) -> str | None:
    """The key under which a name is unique, or ``None`` where names need not be."""
    if name is None or not settings.unique_name_scope:
        return None
    return f"{project_id if settings.unique_name_scope == 'project' else '*'}/{name}"


def check_image_driver(settings: Settings, driver: str | None) -> None:
    """``Invalid`` for a driver that this installation does not have."""
    if driver is not None and driver not in settings.image_drivers:
        raise Invalid(
            f"The image driver '{driver}' is not enabled in this installation. Use {' or '.join(settings.image_drivers)}."
        )


def check_registry(settings: Settings, domain: str | None) -> None:
    """``Invalid`` for a registry from which hosts are not to pull; ``None`` is the usual one.

    Never pulled from are link-local addresses, however written: there clouds tell machines their secrets.
    """
    registry = (domain or DEFAULT_REGISTRY).lower()
    host = urlsplit(f"//{registry}").hostname or registry
    if not any(
        fnmatch.fnmatchcase(one, pattern.lower()) for one in (registry, host) for pattern in settings.registries
    ):
        allowed = ", ".join(settings.registries) or "none"
        raise Invalid(
            f"Images of {registry} are not used in this installation. Use one of: {allowed}.", code="image-not-found"
        )
    if _is_link_local(host):
        raise Invalid(
            f"{registry} is no registry: hosts pull nothing from link-local addresses.", code="image-not-found"
        )


def _is_link_local(host: str) -> bool:
    with contextlib.suppress(OSError):  # as resolvers read it: 0xa9fea9fe and 169.254.43518 are addresses too
        return ipaddress.IPv4Address(socket.inet_aton(host)).is_link_local
    with contextlib.suppress(ValueError):
        address = ipaddress.IPv6Address(host.partition("%")[0])
        return (address.ipv4_mapped or address).is_link_local
    return False


def check_new(settings: Settings, new: NewContainer) -> None:
    """``Invalid`` for anything in a request that can never work, said before anything is looked up."""
    check_name(new.name)
    check_size(settings, cpu=new.cpu, memory_mib=new.memory_mib, disk_gib=new.disk_gib)
    check_image_driver(settings, new.image_driver)
    if new.cpu_policy == "dedicated" and (new.cpu is None or new.cpu != int(new.cpu)):
        raise Invalid(
            "With the cpu_policy dedicated a container has whole processors for itself. Say with cpu how many of them."
        )
    if new.pids_limit is not None and new.pids_limit < 1:
        raise Invalid("pids_limit must be at least 1. Leave it out for the default.")
    restarts = new.restart_policy is not None and new.restart_policy.name != "no"
    if new.auto_remove and restarts:
        raise Invalid(
            "auto_remove and a restart policy exclude each other: a container that is removed cannot restart."
        )
    _check_environment(new)
    _check_ports(new.exposed_ports)
    _check_mounts(new.mounts)


def _check_environment(new: NewContainer) -> None:
    for key, value in new.environment.items():
        if not key or "=" in key or "\0" in key + value:
            raise Invalid(f"'{key}' cannot be an environment variable: no '=' and no NUL may be in its name.")


def _check_ports(ports: tuple[str, ...]) -> None:
    for port in ports:
        found = _PORT.fullmatch(port)
        if found is None or not 1 <= int(found[1]) <= 65535:
            raise Invalid(f"'{port}' is not a port to expose. Write it as 80/tcp or 53/udp, from 1 to 65535.")


def _check_mounts(mounts: tuple[MountRequest, ...]) -> None:
    destinations = [mount.destination for mount in mounts]
    for mount in mounts:
        if not mount.destination.startswith("/") or "\0" in mount.destination:
            raise Invalid(f"The destination '{mount.destination}' must be an absolute path.")
        if destinations.count(mount.destination) > 1:
            raise Invalid(f"Two mounts have the destination {mount.destination}.")
        if mount.kind == "volume":
            _check_volume(mount)
    if sum(len(mount.content or b"") for mount in mounts) > FILES_MAX_BYTES:
        raise Invalid(f"The injected files are too big: all of them together may have {FILES_MAX_BYTES >> 20} MiB.")


def _check_volume(mount: MountRequest) -> None:
    if (mount.source is None) == (mount.size_gib is None):
        raise Invalid(f"The mount at {mount.destination} needs either a source (a volume) or a size for a new one.")
    if mount.source is not None and not _VOLUME_NAME.fullmatch(mount.source):
        raise Invalid(f"'{mount.source}' cannot be a volume's name. Use letters, digits, '_', '.' and '-'.")
    if mount.size_gib is not None and mount.size_gib < 1:
        raise Invalid(f"The volume at {mount.destination} must have at least 1 GiB.")
