"""What Higgins knows about a pod. Plain frozen data that crosses threads, the wire and the store.

What is scheduled is a pod: one or more containers that share a host, a network namespace and volumes. A container of the
API is a pod of one whose container has the pod's uuid; a capsule is a pod of several. No I/O and no database here; msgspec encodes these
classes to JSON for the wire and for the ``spec`` and ``status`` columns, so a new field needs a default and nothing else.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

from higgins.core.phase import Desired, EngineState, Health, Phase, PullPolicy, Wish


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """When an ended container is started again without a new wish."""

    name: Literal["no", "always", "on-failure", "unless-stopped"] = "no"
    maximum_retry_count: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """A shell command run inside the container; the zero of a time means the engine's default."""

    command: str
    interval_s: int = 30
    timeout_s: int = 30
    retries: int = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One thing mounted into a container: a volume of the pod, or a file injected by the user.

    ``volume`` is the uuid of a volume (kind ``volume``): of a record of ours (driver ``local``) or of Cinder's; with ``size_gib`` a uuid of ours
    that stands for the one that provisioning makes of that size and that goes with the pod. ``content`` is the bytes of the file (kind ``file``).
    """

    destination: str
    kind: Literal["volume", "file"] = "volume"
    driver: Literal["local", "cinder"] = "local"
    volume: str | None = None
    size_gib: int | None = None
    content: bytes | None = None
    read_only: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkWish:
    """A network (or a given port on it) the pod must be on; addresses are the fixed ones that the user asked for.

    ``generation`` is that of the wish that attached it to the pod; 0: it came with the pod. ``external``: it is one that is not shared, and
    policy lets its user attach to such.
    """

    network: str
    port: str | None = None
    v4: str | None = None
    v6: str | None = None
    generation: int = 0
    external: bool = False

    @property
    def key(self) -> str:
        """What makes it this one among the pod's: the given port, else the network, on which a pod has one port of ours at most."""
        return self.port or self.network


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImageGrant:
    """An image of Glance that the host may fetch from the controller; ``checksum`` is the hex digest of its data by ``algorithm``."""

    uuid: str
    algorithm: str
    checksum: str
    size_bytes: int
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One container as the user described it; never changed by Higgins itself.

    ``None`` for a limit means: no limit. ``command`` and ``entrypoint`` ``None`` mean the image's own.
    ``cpus`` is a real cap, ``cpu_shares`` a weight; with the ``cpu_policy`` ``dedicated`` it has so many whole processors for itself.
    ``registry`` is the uuid of a registry record. ``found_image`` is which one the
    name meant to the user, where the driver is ``glance``.
    """

    uuid: str
    name: str
    image: str
    image_driver: str = "docker"
    found_image: ImageGrant | None = None
    pull_policy: PullPolicy = PullPolicy.ALWAYS
    registry: str | None = None
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    workdir: str | None = None
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    cpus: float | None = None
    cpu_shares: int | None = None
    cpu_policy: str = "shared"
    memory_mib: int | None = None
    disk_gib: int | None = None
    pids_limit: int | None = None
    tty: bool = False
    interactive: bool = False
    privileged: bool = False
    runtime: str | None = None
    mounts: tuple[Mount, ...] = ()
    healthcheck: Healthcheck | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    exposed_ports: tuple[str, ...] = ()

    @property
    def dedicated_cpus(self) -> int:
        """How many processors it has for itself."""
        return round(self.cpus or 0) if self.cpu_policy == "dedicated" else 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """What the user described. ``init_containers`` run to their end, in order, before ``containers``.

    ``network_driver`` says whose ``networks`` are: the engine's own bridge, or Neutron's. ``security_groups`` are uuids.
    """

    containers: tuple[ContainerSpec, ...]
    init_containers: tuple[ContainerSpec, ...] = ()
    hostname: str | None = None
    network_driver: Literal["bridge", "neutron"] = "bridge"
    networks: tuple[NetworkWish, ...] = ()
    security_groups: tuple[str, ...] = ()
    auto_remove: bool = False
    auto_heal: bool = False
    hints: dict[str, str] = dataclasses.field(default_factory=dict)
    availability_zone: str | None = None
    requested_host: str | None = None


ENGINE_NETWORK = "bridge"
"""What an engine's facts call the network that the engine itself provides."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address of a pod, in the shape clients of Zun read under ``addresses``."""

    network: str
    addr: str
    version: Literal[4, 6] = 4
    port: str | None = None
    subnet: str | None = None
    preserve_on_delete: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLogin:
    """Credentials for one registry, opened only for the host that must pull. Never logged."""

    domain: str
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VolumeGrant:
    """A volume the host may mount: ``uuid`` is what mounts call it, ``name`` is unique on the host: the engine's name for a local one.

    Of a volume of Cinder ``name`` is Cinder's id, and ``connection`` the JSON of the attachment's connection information, with its driver's
    secrets in it; the host makes a file system of type ``filesystem`` on it if it is blank. Such a volume outlives the pod on its host;
    one that is ``shared`` may be had by others at the same time.
    """

    uuid: str
    name: str
    driver: str = "local"
    size_gib: int | None = None
    auto_remove: bool = False
    read_only: bool = False
    filesystem: str = "ext4"
    shared: bool = False
    connection: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FixedIp:
    """One address of a port with what its subnet says; ``routes`` are pairs of destination and next hop."""

    addr: str
    prefix_length: int
    version: Literal[4, 6] = 4
    subnet: str = ""
    gateway: str | None = None
    routes: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """One port that the host plugs into the pod's network namespace before a process starts there.

    Of each family the first plug that has a gateway is the default route.

    ``vif_type``, ``bridge`` and ``datapath_type`` are of the port's binding, for os-vif. ``given`` ports are the user's own and outlive the pod.
    """

    port: str
    network: str
    mac: str
    mtu: int
    fixed_ips: tuple[FixedIp, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    vif_type: str = "ovs"
    bridge: str = "br-int"
    datapath_type: str = ""
    given: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One pod this host must look after, with all it needs to do so.

    ``generation`` counts every wish; ``run`` counts the starts asked for, ``build`` the creations asked for: a host starts
    only if ``run`` is ahead of the last run it started, and makes the containers anew only if ``build`` is.
    ``digests`` maps an image as named to the digest it was resolved to at the first create, so that it stays the same image.
    ``plugs`` are in the order in which they become eth0, eth1 and so on; ``images`` maps the name of an image of driver ``glance`` to its grant.
    """

    uuid: str
    project_id: str
    name: str
    kind: Literal["container", "capsule"] = "container"
    generation: int
    desired: Desired
    run: int
    build: int
    wish: Wish
    request_id: str | None
    spec: PodSpec
    stop_timeout_s: int = 10
    stop_signal: str | None = None
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    registries: dict[str, RegistryLogin] = dataclasses.field(default_factory=dict)
    volumes: tuple[VolumeGrant, ...] = ()
    plugs: tuple[Plug, ...] = ()
    images: dict[str, ImageGrant] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImageWish:
    """One image a host must have (or, when not ``wanted``, must not have) in its cache."""

    uuid: str
    image: str
    generation: int
    wanted: bool = True
    pull_policy: PullPolicy = PullPolicy.ALWAYS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts:
    """What the engine says of one container of ours; what only the engine can know.

    ``build`` is the one it was created from (a label); ``addresses`` of the engine's own networks. ``keeps_limits`` is false where the
    engine changes the limits only of a container that has its process, and makes the next process with the limits of the creation.
    ``cannot_limit`` names the limits (such as ``cpus``) that the engine cannot hold on this host, whatever is asked for.
    ``ports`` are those whose links the engine itself takes into it; ``None`` where it does not do that. ``processors`` are those of the host
    that it has for itself, as ``0-3,8``.
    """

    uuid: str
    pod: str
    state: EngineState
    build: int
    engine_id: str = ""
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None
    health: Health | None = None
    image_digest: str | None = None
    cpus: float | None = None
    cpu_shares: int | None = None
    memory_mib: int | None = None
    keeps_limits: bool = True
    cannot_limit: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    exposed_ports: tuple[int, ...] = ()
    ports: tuple[str, ...] | None = None
    processors: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """One container as reported: the engine's facts without the engine's own names; ``build`` is the one it was created from."""

    uuid: str
    state: EngineState | None = None
    exit_code: int | None = None
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None
    health: Health | None = None
    image_digest: str | None = None
    exposed_ports: tuple[int, ...] = ()
    oom_killed: bool = False
    build: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PluggedPort:
    """A port of Neutron that is in the pod; one that is ``given`` outlives it."""

    port: str
    network: str
    given: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PodStatus:
    """What a host reported of one pod.

    ``observed_generation`` is the newest wish that the host has fully dealt with (converged or failed);
    ``observed_run`` the last run it started. ``reason`` says why the phase is what it is, for the user.
    ``failed``: that wish failed, whatever the phase; ``refused`` are the ports that it failed at, which the host never had in the pod.
    ``partial``: only ``phase`` and ``reason`` are said, the host does not know the rest, which stays as it was last reported.
    """

    phase: Phase
    observed_generation: int
    observed_run: int = 0
    reason: str = ""
    containers: tuple[ContainerStatus, ...] = ()
    addresses: tuple[Address, ...] = ()
    ports: tuple[PluggedPort, ...] = ()
    failed: bool = False
    refused: tuple[str, ...] = ()
    partial: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    """One step done (or tried) for a pod, and why: what the user sees as the container's events.

    ``result`` is empty while the step goes on (an image pull reports its progress in ``detail``).
    ``key`` is unique per host: a report sent twice stores an event once, and a later one of the same key replaces the earlier.
    """

    key: str
    pod: str
    request_id: str | None
    verb: str
    target: str
    why: str
    started_at: datetime.datetime
    finished_at: datetime.datetime | None = None
    result: Literal["", "Success", "Error"] = ""
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """A host's inventory, as its agent found it.

    ``dedicated_cpus`` of its ``cpus`` are for containers that have some for themselves.
    ``abilities`` are names of the engine's optional protocols, ``cannot_limit`` of fields of ``ContainerSpec`` that do not hold there.
    ``network_host`` is what Neutron calls the host (empty: its hostname); ``connector`` is the JSON of what the host's os-brick tells
    Cinder of itself, empty on a host that cannot attach volumes.
    """

    hostname: str
    engine: str
    engine_version: str
    engine_up: bool
    engine_error: str = ""
    cpus: int = 0
    dedicated_cpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    memory_used_mib: int = 0
    disk_used_gib: int = 0
    architecture: str = ""
    os_type: str = "linux"
    os: str = ""
    kernel_version: str = ""
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    runtimes: tuple[str, ...] = ()
    abilities: tuple[str, ...] = ()
    disk_quota_supported: bool = False
    cannot_limit: tuple[str, ...] = ()
    network_host: str = ""
    connector: str = ""
