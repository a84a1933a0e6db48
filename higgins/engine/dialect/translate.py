"""Between Higgins' frozen data and the JSON of the dialect. Pure: no calls, no sockets.

Where one engine writes a field otherwise, both spellings are read here, so that drivers differ only in what they ask.
"""

from __future__ import annotations

import base64
import datetime
from typing import Any

import msgspec

from higgins.core import errors, model, units
from higgins.core.phase import EngineState, Health
from higgins.engine import api, reference

PREFIX = "higgins-"
UUID, POD, BUILD, INSTALLATION = "higgins.uuid", "higgins.pod", "higgins.build", "higgins.installation"
PROCESSORS = "higgins.processors"
OWN_LABELS = "higgins."
DEFAULT_NETWORKS = ("bridge", "podman")
CPU_PERIOD_US = 100_000
SYMBOLIC_LINK = 1 << 27

STATES = {
    "created": EngineState.CREATED,
    "configured": EngineState.CREATED,
    "initialized": EngineState.CREATED,
    "running": EngineState.RUNNING,
    "restarting": EngineState.RUNNING,
    "stopping": EngineState.RUNNING,
    "paused": EngineState.PAUSED,
    "exited": EngineState.STOPPED,
    "stopped": EngineState.STOPPED,
}


LOG_FILES = 2
LOG_FILE_MIB = 32
"""How much of what a container wrote is kept at least, in two files; the older goes when the newer is full."""


def name_of(uuid: str) -> str:
    """The engine's name for a container of ours."""
    return PREFIX + uuid


def creation_body(creation: api.Creation, image: str, installation: str) -> dict[str, Any]:
    """The body of a create."""
    spec = creation.spec
    labels = {name: value for name, value in spec.labels.items() if not name.startswith(OWN_LABELS)}
    labels |= {UUID: spec.uuid, POD: creation.pod, BUILD: str(creation.build), INSTALLATION: installation}
    if spec.dedicated_cpus:
        labels[PROCESSORS] = creation.processors
    body: dict[str, Any] = {
        "Image": image,
        "Cmd": list(spec.command) if spec.command is not None else None,
        "Entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
        "WorkingDir": spec.workdir,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": labels,
        "Tty": spec.tty,
        "OpenStdin": spec.interactive,
        "ExposedPorts": {_port(port): {} for port in spec.exposed_ports} or None,
        "Healthcheck": _healthcheck(spec.healthcheck),
        "HostConfig": _host_config(creation),
    }
    if not creation.network.startswith("container:"):
        body["Hostname"] = creation.hostname
    return {name: value for name, value in body.items() if value is not None}


def _host_config(creation: api.Creation) -> dict[str, Any]:
    spec = creation.spec
    host: dict[str, Any] = {
        "NetworkMode": _network_mode(creation.network),
        "Mounts": [_mount(bind) for bind in creation.binds] or None,
        "RestartPolicy": {
            "Name": spec.restart_policy.name,
            "MaximumRetryCount": spec.restart_policy.maximum_retry_count,
        },
        "Privileged": spec.privileged or None,
        "Runtime": spec.runtime,
        "CpuShares": spec.cpu_shares,
        "CpusetCpus": creation.processors or None,
        "PidsLimit": spec.pids_limit,
        "StorageOpt": {"size": f"{spec.disk_gib}G"} if spec.disk_gib else None,
        **limits(spec.cpus, spec.memory_mib),
    }
    if not creation.network.startswith("container:"):
        host["Dns"], host["DnsSearch"] = list(creation.dns_servers) or None, list(creation.dns_search) or None
    return {name: value for name, value in host.items() if value is not None}


def limits(cpus: float | None, memory_mib: int | None) -> dict[str, int]:
    """Limits that are real caps: memory without swap on top, processors as a quota (which, unlike NanoCpus, can be changed)."""
    words: dict[str, int] = {}
    if cpus is not None:
        words |= {"CpuPeriod": CPU_PERIOD_US, "CpuQuota": round(cpus * CPU_PERIOD_US)}
    if memory_mib is not None:
        words |= {"Memory": units.mib_to_bytes(memory_mib), "MemorySwap": units.mib_to_bytes(memory_mib)}
    return words


def _network_mode(network: str) -> str:
    kind, _, rest = network.partition(":")
    return f"container:{name_of(rest)}" if kind == "container" else network


def _mount(bind: api.Bind) -> dict[str, Any]:
    kind = "bind" if bind.source.startswith("/") else "volume"
    return {"Type": kind, "Source": bind.source, "Target": bind.destination, "ReadOnly": bind.read_only}


def _port(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


def _healthcheck(check: model.Healthcheck | None) -> dict[str, Any] | None:
    if check is None:
        return None
    second = 1_000_000_000
    return {
        "Test": ["CMD-SHELL", check.command],
        "Interval": check.interval_s * second,
        "Timeout": check.timeout_s * second,
        "Retries": check.retries,
    }


def facts(answer: dict[str, Any], digest: str | None) -> model.ContainerFacts:
    """What an inspect says of a container of ours."""
    state, host = answer["State"], answer.get("HostConfig") or {}
    config = answer.get("Config") or {}
    labels = config.get("Labels") or {}
    where = STATES.get(state.get("Status") or "", EngineState.DEAD)
    ended = where in (EngineState.STOPPED, EngineState.DEAD)
    networks = answer.get("NetworkSettings") or {}
    return model.ContainerFacts(
        uuid=labels.get(UUID) or answer["Name"].lstrip("/").removeprefix(PREFIX),
        pod=labels.get(POD) or "",
        state=where,
        build=int(labels.get(BUILD) or 0),
        engine_id=answer["Id"],
        exit_code=state.get("ExitCode") if ended else None,
        error=state.get("Error") or "",
        oom_killed=bool(state.get("OOMKilled")),
        started_at=when(state.get("StartedAt")),
        finished_at=when(state.get("FinishedAt")) if ended else None,
        health=_health(state.get("Health") or state.get("Healthcheck"), where),
        image_digest=digest,
        cpus=_cpus(host),
        cpu_shares=host.get("CpuShares") or None,
        memory_mib=units.bytes_to_mib(host["Memory"]) if host.get("Memory") else None,
        addresses=_addresses(networks.get("Networks") or {}) if not ended else (),
        exposed_ports=ports(config.get("ExposedPorts"), networks.get("Ports")),
        processors=labels.get(PROCESSORS) or "",
    )


def _cpus(host: dict[str, Any]) -> float | None:
    if host.get("CpuQuota", 0) > 0:
        return float(host["CpuQuota"] / (host.get("CpuPeriod") or CPU_PERIOD_US))
    return host["NanoCpus"] / 1e9 if host.get("NanoCpus") else None


def _health(health: dict[str, Any] | None, where: EngineState) -> Health | None:
    word = (health or {}).get("Status") or ""
    return Health(word) if word in set(Health) and where is EngineState.RUNNING else None


def _addresses(networks: dict[str, Any]) -> tuple[model.Address, ...]:
    found = []
    for name, network in networks.items():
        known = "bridge" if name in DEFAULT_NETWORKS else name
        if network.get("IPAddress"):
            found.append(model.Address(network=known, addr=network["IPAddress"], version=4))
        if network.get("GlobalIPv6Address"):
            found.append(model.Address(network=known, addr=network["GlobalIPv6Address"], version=6))
    return tuple(found)


def ports(*places: dict[str, Any] | None) -> tuple[int, ...]:
    """Numbers of all ports in tables whose keys are such as ``80/tcp``."""
    return tuple(sorted({int(port.partition("/")[0]) for place in places for port in place or {}}))


def when(text: str | None) -> datetime.datetime | None:
    """A time as Go writes it (nanoseconds, and the year 1 for never)."""
    if not text or text.startswith("0001-"):
        return None
    head, dot, tail = text.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = f"{head}.{tail[: min(digits, 6)]}{tail[digits:]}"
    return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)


def _full(name: str) -> str:
    """The full name, empty for what is none to us, whatever somebody called an image on the host."""
    try:
        return reference.parse(name).full
    except errors.Invalid:
        return ""


def repositories(answer: dict[str, Any]) -> set[str]:
    """Those that an image is known to come from, by what an engine says of it."""
    names = [*(answer.get("RepoDigests") or ()), *(answer.get("RepoTags") or ())]
    return {reference.parse(full).repository for name in names if (full := _full(name))}


def image_facts(answer: dict[str, Any]) -> api.ImageFacts:
    """What an image's inspect, or its row in a list, says."""
    digests = [entry.partition("@")[2] for entry in answer.get("RepoDigests") or [] if "<none>" not in entry]
    image_id = answer["Id"] if answer["Id"].startswith("sha256:") else f"sha256:{answer['Id']}"
    created = answer.get("Created")
    return api.ImageFacts(
        image_id=image_id,
        digest=answer.get("Digest") or (digests[0] if digests else image_id),
        names=tuple(full for name in answer.get("RepoTags") or () if (full := _full(name))),
        size_bytes=int(answer.get("Size") or 0),
        created_at=datetime.datetime.fromtimestamp(created, datetime.UTC)
        if isinstance(created, int)
        else when(created),
    )


def login_header(login: model.RegistryLogin | None) -> dict[str, str]:
    """The header that carries credentials for one registry."""
    if login is None or not login.username:
        return {}
    words = {"username": login.username, "password": login.password or "", "serveraddress": login.domain}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(msgspec.json.encode(words)).decode()}


def stats(answer: dict[str, Any]) -> api.Stats:
    """One sample of a running container."""
    memory = answer.get("memory_stats") or {}
    usage = memory.get("usage") or 0
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    limit = memory.get("limit") or 0
    blocks = (answer.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    networks = (answer.get("networks") or {}).values()
    return api.Stats(
        cpu_s=((answer.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0) / 1e9,
        memory_bytes=usage - cache if usage > cache else usage,
        memory_limit_bytes=limit if limit < 1 << 60 else 0,
        block_read_bytes=sum(row["value"] for row in blocks if row["op"].lower() == "read"),
        block_write_bytes=sum(row["value"] for row in blocks if row["op"].lower() == "write"),
        net_rx_bytes=sum(network["rx_bytes"] for network in networks),
        net_tx_bytes=sum(network["tx_bytes"] for network in networks),
        pids=(answer.get("pids_stats") or {}).get("current") or 0,
    )


def processes(answer: dict[str, Any] | None) -> api.Processes:
    """A table of processes; an engine that could not tell the columns apart writes them as one."""
    if not answer:
        raise errors.Conflict("The container does not run, so that it has no processes. Start it first.")
    titles, rows = tuple(answer["Titles"]), tuple(tuple(row) for row in answer["Processes"] or ())
    if len(titles) == 1:
        titles = tuple(titles[0].split())
        rows = tuple(tuple(row[0].split(None, len(titles) - 1)) for row in rows)
    return api.Processes(titles=titles, rows=rows)


def path_stat(header: str | None) -> api.PathStat:
    """What the header of an archive says of its path."""
    if not header:
        raise errors.Unavailable("The engine did not say what is at that path.")
    words = msgspec.json.decode(base64.b64decode(header))
    # Podman names a target for what is no link too.
    target = words.get("linkTarget") if words["mode"] & SYMBOLIC_LINK else ""
    return api.PathStat(
        name=words["name"],
        size=words["size"],
        mode=words["mode"],
        mtime=words["mtime"],
        link_target=target or "",
    )
