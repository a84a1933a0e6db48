"""What a caller asks for, in the API's vocabulary but typed and in our units; knows no JSON, no microversion and no defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from higgins.core.model import Healthcheck, RestartPolicy
from higgins.core.phase import PullPolicy


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """One item of ``nets``. With both ``network`` and ``port`` the port decides (Heat sends both)."""

    network: str | None = None
    port: str | None = None
    v4: str | None = None
    v6: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MountRequest:
    """One item of ``mounts``.

    ``file``: ``content`` is the decoded file. ``volume``: ``source`` names a volume (uuid or name; where volumes are local, a name not
    seen before makes one of the project), or ``size_gib`` asks for a new one that goes with the container.
    """

    destination: str
    kind: Literal["volume", "file"] = "volume"
    source: str | None = None
    size_gib: int | None = None
    content: bytes | None = dataclasses.field(default=None, repr=False)
    read_only: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewContainer:
    """A container to create. ``None`` means: not given, so that the default applies.

    ``exposed_ports`` are ``"80/tcp"``; ``registry``, ``host`` and the items of ``security_groups`` are names or uuids.
    """

    image: str
    name: str | None = None
    image_driver: str | None = None
    image_pull_policy: PullPolicy | None = None
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    workdir: str | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cpu: float | None = None
    cpu_policy: Literal["shared", "dedicated"] = "shared"
    cpu_shares: int | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None
    pids_limit: int | None = None
    restart_policy: RestartPolicy | None = None
    interactive: bool = False
    tty: bool = False
    auto_remove: bool = False
    auto_heal: bool = False
    privileged: bool = False
    runtime: str | None = None
    hostname: str | None = None
    nets: tuple[NetworkRequest, ...] = ()
    security_groups: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    healthcheck: Healthcheck | None = None
    availability_zone: str | None = None
    registry: str | None = None
    host: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContainerChange:
    """A PATCH or resize: ``None`` leaves a thing as it is."""

    name: str | None = None
    cpu: float | None = None
    memory_mib: int | None = None
    auto_heal: bool | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewRegistry:
    """A registry's address and credentials."""

    domain: str
    name: str | None = None
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChange:
    """A PATCH of a registry: ``None`` leaves a thing as it is."""

    domain: str | None = None
    name: str | None = None
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
