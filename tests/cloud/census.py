"""Counts what containers may leave behind: in the cloud's services, and in the kernel and the switch of the host."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Iterable
from typing import Any

from tests.cloud.cloud_world import Cloud, People

Census = dict[str, frozenset[str]]


def census(cloud: Cloud, people: People) -> Census:
    """By kind, everything that is there now.

    In a cloud that others use too it is only what the tests' own projects have; in one of our own, all of it.
    """
    alone = bool(os.environ.get("HIGGINS_CLOUD_ALONE"))
    found = _services(cloud, None if alone else people.project_ids)
    if alone:
        found |= _host(cloud)
    return {kind: frozenset(names) for kind, names in found.items()}


def differing(before: Census, now: Census) -> dict[str, set[str]]:
    """What is there now and was not before, by kind; only kinds that have any."""
    more = {kind: set(names - before.get(kind, frozenset())) for kind, names in now.items()}
    return {kind: names for kind, names in more.items() if names}


def _services(cloud: Cloud, projects: Iterable[str] | None) -> dict[str, Iterable[str]]:
    neutron, cinder = cloud.admin.network, cloud.admin.block_storage
    scopes: list[dict[str, Any]] = [{}] if projects is None else [{"project_id": one} for one in projects]
    volumes = [one for scope in scopes for one in cinder.volumes(details=True, all_projects=True, **scope)]
    return {
        "ports": [one.id for scope in scopes for one in neutron.ports(**scope)],
        # Neutron makes a group named default for every project that looks.
        "security groups": [
            one.id for scope in scopes for one in neutron.security_groups(**scope) if one.name != "default"
        ],
        "floating IPs": [one.id for scope in scopes for one in neutron.ips(**scope)],
        "volumes": [one.id for one in volumes],
        "attachments": [attached["attachment_id"] for one in volumes for attached in one.attachments],
        "images": [one.id for scope in scopes for one in cloud.admin.image.images(**_owned(scope))],
        **({"allocations": _allocations(cloud)} if projects is None else {}),
    }


def _owned(scope: dict[str, Any]) -> dict[str, Any]:
    return {"owner": scope["project_id"]} if scope else {}


def _allocations(cloud: Cloud) -> list[str]:
    placement = cloud.admin.placement
    found = []
    for provider in placement.get("/resource_providers").json()["resource_providers"]:
        found += placement.get(f"/resource_providers/{provider['uuid']}/allocations").json()["allocations"]
    return found


def _host(cloud: Cloud) -> dict[str, Iterable[str]]:
    links = pathlib.Path("/sys/class/net")
    mounts = [line.split()[4] for line in pathlib.Path("/proc/1/mountinfo").read_text().splitlines()]
    return {
        "namespaces": os.listdir("/run/netns"),
        "links": [one.name for one in links.iterdir()],
        "OVS ports": _lines("ovs-vsctl", "--timeout=10", "--bare", "--columns=name", "list", "Interface"),
        "loop devices": [
            line
            for line in _lines("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE")
            if str(cloud.place) in line
        ],
        "mounts": [one for one in mounts if not one.startswith("/sys/fs/cgroup")],
    }


def _lines(*command: str) -> list[str]:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line]
