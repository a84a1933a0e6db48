"""A container as Zun's clients read it. Every key of every version is here; what a caller does not see is taken out once a request."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from higgins.api.view import times
from higgins.core import model, status
from higgins.core.units import milli_to_cpus
from higgins.store.pods import Pod

_NOTHING = model.ContainerStatus(uuid="")


def container(pod: Pod, environment: Mapping[str, str], now: datetime.datetime) -> dict[str, Any]:
    """All fields of a pod of one. ``now`` is UTC without a zone, as the row's own times."""
    shown = _wished(pod, pod.spec.containers[0])
    shown["environment"] = environment
    shown |= _reported(pod, now)
    return shown


def _wished(pod: Pod, spec: model.ContainerSpec) -> dict[str, Any]:
    """What the user said."""
    return {
        "uuid": pod.uuid,
        "name": pod.name,
        "project_id": pod.project_id,
        "user_id": pod.user_id,
        "image": pod.image,
        "image_driver": spec.image_driver,
        "command": spec.command or (),
        "entrypoint": spec.entrypoint or (),
        "cpu": milli_to_cpus(pod.cpu_milli) if pod.cpu_milli else spec.cpus,
        "cpu_policy": spec.cpu_policy,
        "cpu_shares": spec.cpu_shares,
        "memory": None if spec.memory_mib is None else str(spec.memory_mib),
        "disk": spec.disk_gib or 0,
        "pids_limit": spec.pids_limit,
        "workdir": spec.workdir,
        "labels": spec.labels,
        "image_pull_policy": spec.pull_policy,
        "restart_policy": _restart_policy(spec.restart_policy),
        "interactive": spec.interactive,
        "tty": spec.tty,
        "auto_remove": pod.auto_remove,
        "auto_heal": pod.spec.auto_heal,
        "runtime": spec.runtime,
        "hostname": pod.spec.hostname,
        "security_groups": pod.spec.security_groups,
        "privileged": spec.privileged,
        "healthcheck": _healthcheck(spec.healthcheck),
        "registry_id": spec.registry,
        "created_at": times.plain(pod.created_at),
        "updated_at": times.plain(pod.updated_at),
    }


def _reported(pod: Pod, now: datetime.datetime) -> dict[str, Any]:
    """What became of it."""
    reported = pod.status
    found = reported.containers[0] if reported is not None and reported.containers else _NOTHING
    word, task, reason = status.derive(pod)
    started_at, finished_at = _naive(found.started_at), _naive(found.finished_at)
    detail = status.detail(word, started_at=started_at, finished_at=finished_at, exit_code=found.exit_code, now=now)
    return {
        "status": word,
        "status_reason": reason,
        "status_detail": detail,
        "task_state": task,
        "addresses": addresses(reported),
        "ports": found.exposed_ports or _ports(pod.spec.containers[0].exposed_ports),
        "health": found.health,
        "exit_code": found.exit_code,
        "image_digest": found.image_digest,
        "host": pod.hostname,
        "started_at": times.plain(started_at),
        "finished_at": times.plain(finished_at),
    }


def links(uuid: str, base_url: str, plural: str = "containers") -> list[dict[str, str]]:
    """Where one thing is, with and without the version."""
    return [
        {"href": f"{base_url}/v1/{plural}/{uuid}", "rel": "self"},
        {"href": f"{base_url}/{plural}/{uuid}", "rel": "bookmark"},
    ]


def addresses(reported: model.PodStatus | None) -> dict[str, list[dict[str, Any]]]:
    """A pod's addresses by network."""
    found: dict[str, list[dict[str, Any]]] = {}
    for address in reported.addresses if reported is not None else ():
        found.setdefault(address.network, []).append(
            {
                "addr": address.addr,
                "version": address.version,
                "port": address.port,
                "subnet_id": address.subnet,
                "preserve_on_delete": address.preserve_on_delete,
            }
        )
    return found


def networks(pod: Pod, *, flat: bool) -> list[dict[str, Any]]:
    """The networks a pod is on: one entry an address (``flat``, to 1.17), or one a port with its addresses. A port may have none."""
    reported = pod.status
    if reported is None:
        return []
    ports: dict[tuple[str, str | None], list[model.Address]] = {(one.network, one.port): [] for one in reported.ports}
    for address in reported.addresses:
        ports.setdefault((address.network, address.port), []).append(address)
    if flat:
        return [_flat(net, port, address) for (net, port), of_port in ports.items() for address in (of_port or (None,))]
    return [
        {
            "net_id": net,
            "port_id": port,
            "fixed_ips": [{"ip_address": one.addr, "version": one.version, "subnet_id": one.subnet} for one in of_port],
        }
        for (net, port), of_port in ports.items()
    ]


def _flat(network: str, port: str | None, address: model.Address | None) -> dict[str, Any]:
    return {
        "net_id": network,
        "subnet_id": address.subnet if address else None,
        "port_id": port,
        "version": address.version if address else None,
        "ip_address": address.addr if address else None,
    }


def _naive(moment: datetime.datetime | None) -> datetime.datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    if moment.tzinfo is datetime.UTC:  # as every report has it
        return moment.replace(tzinfo=None)
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _restart_policy(policy: model.RestartPolicy) -> dict[str, str]:
    if policy.name == "no":
        return {}
    return {"Name": policy.name, "MaximumRetryCount": str(policy.maximum_retry_count)}


def _healthcheck(check: model.Healthcheck | None) -> dict[str, Any]:
    if check is None:
        return {}
    return {"test": check.command, "interval": check.interval_s, "retries": check.retries, "timeout": check.timeout_s}


def _ports(exposed: tuple[str, ...]) -> list[int]:
    return [int(port.partition("/")[0]) for port in exposed]
