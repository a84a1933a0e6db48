"""What containers of one service left behind: in the services, asked themselves, and in the kernel and the switch of their host."""

from __future__ import annotations

import os
import pathlib
import subprocess

from higgins.control.container.commit import CONTAINER


def of(site):
    """Every thing of this service's project and host that still is, as ``(kind, text)``; its text tells all ids that it has."""
    found = [*_services(site), *_allocations(site)]
    for kind, command in COMMANDS.items():
        found += [(kind, line) for line in _lines(*command)]
    found += [("namespace", name) for name in _listed("/run/netns")]
    agent = site.process("agent")
    mounts = pathlib.Path(f"/proc/{agent.pid}/mountinfo") if agent else pathlib.Path("/proc/self/mountinfo")
    return found + [("mount", line) for line in mounts.read_text().splitlines()]


COMMANDS = {
    "link": ("ip", "-o", "link"),
    "OVS port": ("ovs-vsctl", "--timeout=10", "--columns=name,external_ids", "--format=csv", "list", "Interface"),
    "loop device": ("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"),
}


def mentioned(things, words):
    """Those of the things that belong to somebody: with one of his ids in them, or the part of it that names of links have room for."""
    parts = {part for word in words if len(word) == 36 for part in (word, word.replace("-", ""), word[:11])}
    return [f"{kind}: {text[:200]}" for kind, text in things if any(part in text for part in parts)]


def project(things):
    """Those that are in the services."""
    return [f"{kind}: {text[:200]}" for kind, text in things if kind in IN_SERVICES]


IN_SERVICES = ("port", "security group", "volume", "attachment", "image", "gone", "allocation")


def _services(site):
    """Of what the user gave only what is not free again, or gone."""
    admin, project_id, given = site.tenant.cloud.admin, site.tenant.project.id, site.tenant.given
    missing = set(given)
    for port in admin.network.ports(project_id=project_id):
        missing.discard(port.id)
        if port.id not in given or port.device_id:
            yield "port", f"{port.id} {port.name} {port.device_id}"
    for group in admin.network.security_groups(project_id=project_id):
        missing.discard(group.id)
        if group.name != "default" and group.id not in given:
            yield "security group", f"{group.id} {group.name}"
    for volume in admin.block_storage.volumes(details=True, all_projects=True, project_id=project_id):
        missing.discard(volume.id)
        if volume.id not in given or volume.status != "available":
            yield "volume", f"{volume.id} {volume.status} {dict(volume.metadata)}"
        for one in volume.attachments:
            yield "attachment", f"{one['attachment_id']} {one['server_id']}"
    for image in admin.image.get(f"/images?owner={project_id}&limit=1000").json()["images"]:
        if CONTAINER in image:
            yield "image", f"{image['id']} {image['status']} of {image[CONTAINER]}"
    yield from (("gone", f"{one} of the user") for one in missing)


def _allocations(site):
    placement = site.tenant.cloud.admin.placement
    for provider in placement.get("/resource_providers").json()["resource_providers"]:
        if site.hostname in provider["name"]:
            taken = placement.get(f"/resource_providers/{provider['uuid']}/allocations").json()["allocations"]
            yield from (("allocation", f"{consumer} {amounts}") for consumer, amounts in taken.items())


def _lines(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def _listed(folder):
    return os.listdir(folder) if pathlib.Path(folder).is_dir() else []
