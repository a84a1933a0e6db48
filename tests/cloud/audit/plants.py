"""Each kind of thing that can stand alone or disagree, planted: how its finding begins, and what is so once it was put right."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable

from higgins.provision.ports import DEVICE_OWNER
from higgins.store import actions
from higgins.store.records import volumes
from tests.cloud.audit import orphanage
from tests.cloud.audit.orphanage import Orphanage

CONTAINERS = ("keeper", "port", "group", "attachment", "allocation", "size", "row", "answer")
"""What runs before anything is planted; each but the keeper then loses something."""


@dataclasses.dataclass(frozen=True)
class Planted:
    """One thing. ``mended`` says whether all is right again; a person has to do what is to be done ``by_hand``."""

    begins: str
    mended: Callable[[], bool]
    by_hand: Callable[[], object] | None = None


@dataclasses.dataclass
class Grounds:
    """Where to plant. ``ghost`` is a pod that is gone of which the ledger knows still; ``lost`` one that only its host knows still."""

    world: Orphanage
    pods: dict[str, str]
    ghost: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    lost: str = ""
    lent: str = ""


def somebody() -> str:
    """A pod of which nobody knows."""
    return str(uuid.uuid4())


# Rows of the database


def usage(at: Grounds) -> Planted:
    project = at.world.tenant.project.id
    kept = "SELECT containers, memory_mib FROM usages WHERE project_id = :project"
    before = at.world.rows(kept, project=project)
    at.world.change("UPDATE usages SET containers = containers + 7 WHERE project_id = :project", project=project)
    return Planted(f"usage {project}: ", lambda: at.world.rows(kept, project=project) == before)


def claim(at: Grounds) -> Planted:
    kept = "SELECT pods_claimed, memory_mib_claimed FROM hosts"
    before = at.world.rows(kept)
    at.world.change("UPDATE hosts SET memory_mib_claimed = memory_mib_claimed + 1")
    return Planted(f"claim {at.world.host.uuid}: ", lambda: at.world.rows(kept) == before)


def action(at: Grounds) -> Planted:
    pod = somebody()
    with at.world.db.write() as tx:
        actions.start(tx, pod, "project", "user", "req-1", "stop", 2)
    ended = "SELECT 1 FROM actions WHERE pod_uuid = :pod AND finished_at IS NOT NULL"
    return Planted(f"action {pod}: ", lambda: bool(at.world.rows(ended, pod=pod)))


def record(at: Grounds) -> Planted:
    with at.world.db.write() as tx:
        made = volumes.insert(tx, project_id="project", pod_uuid=somebody()).uuid
    return Planted(f"volume {made}: ", lambda: not at.world.rows("SELECT 1 FROM volumes WHERE uuid = :made", made=made))


def row(at: Grounds) -> Planted:
    pod = at.pods["row"]
    port = at.world.external(pod, "port")
    at.world.change("DELETE FROM ledger WHERE pod_uuid = :pod AND kind = 'port'", pod=pod)
    return Planted(f"ledger {pod}: nothing is noted of its port", lambda: at.world.external(pod, "port") == port)


def answer(at: Grounds) -> Planted:
    pod = at.pods["answer"]
    port = at.world.external(pod, "port")
    unknown = "UPDATE ledger SET made_at = NULL, external_id = NULL WHERE pod_uuid = :pod AND kind = 'port'"
    at.world.change(unknown, pod=pod)
    return Planted(f"ledger {pod}: port ", lambda: at.world.external(pod, "port") == port)


def ghost_port(at: Grounds) -> Planted:
    made = at.world.port(at.ghost)
    at.world.note(at.ghost, "port", at.world.tenant.networks[0], made)
    return of_ghost(at, "port", lambda: not at.world.has_port(made))


def ghost_group(at: Grounds) -> Planted:
    made = at.world.group(at.ghost)
    at.world.note(at.ghost, "security_group", "exposed", made)
    return of_ghost(at, "security_group", lambda: not at.world.has_group(made))


def ghost_volume(at: Grounds) -> Planted:
    made = at.world.volume(at.ghost)
    at.world.note(at.ghost, "cinder_volume", somebody(), made)
    return of_ghost(at, "cinder_volume", lambda: at.world.status(made) is None)


def ghost_attachment(at: Grounds) -> Planted:
    volume = at.world.volume()
    made = at.world.attached(volume, at.ghost)
    at.world.note(at.ghost, "attachment", volume, made)
    return of_ghost(at, "attachment", lambda: at.world.status(volume) == "available")


def ghost_allocation(at: Grounds) -> Planted:
    at.world.take(at.ghost, {"VCPU": 1})
    at.world.note(at.ghost, "allocation", at.ghost, at.ghost)
    return of_ghost(at, "allocation", lambda: at.world.taken(at.ghost) is None)


def ghost_image(at: Grounds) -> Planted:
    at.world.note(at.ghost, "image", at.world.picture, at.world.picture)
    return of_ghost(at, "image", lambda: at.world.has_image(at.world.picture))


def of_ghost(at: Grounds, kind: str, is_so: Callable[[], bool]) -> Planted:
    return Planted(f"ledger {at.ghost}: {kind} ", lambda: is_so() and not at.world.noted(at.ghost, kind))


# Things of services


def port(at: Grounds) -> Planted:
    made = at.world.port(somebody())
    return Planted(f"port {made}: ", lambda: not at.world.has_port(made))


def given_to_one_that_was(at: Grounds) -> Planted:
    made = at.world.given_port(at.world.remembered())
    return Planted(f"port {made}: ", lambda: at.world.device(made) == "")


def given_to_one_without(at: Grounds) -> Planted:
    made = at.world.given_port(at.pods["keeper"])
    return Planted(f"port {made}: ", lambda: at.world.device(made) == "")


def lost_port(at: Grounds) -> Planted:
    pod = at.pods["port"]
    before = at.world.external(pod, "port")
    at.world.neutron.delete_port(before)
    return Planted(f"port {before}: ", lambda: made_anew(at, pod, "port", before, at.world.has_port))


def group(at: Grounds) -> Planted:
    made = at.world.group(somebody())
    return Planted(f"security group {made}: ", lambda: not at.world.has_group(made))


def group_in_use(at: Grounds) -> Planted:
    world = at.world
    made = world.group(somebody())
    used = world.user.network.create_port(network_id=world.tenant.networks[0], security_groups=[made])
    return Planted(f"security group {made}: ", lambda: world.neutron.port(used.id).security_groups == (made,)
                   and world.neutron.security_groups(id=made)[0].name.startswith("of-"))  # fmt: skip


def lost_group(at: Grounds) -> Planted:
    world, pod = at.world, at.pods["group"]
    before = world.external(pod, "security_group")
    [on] = world.neutron.ports(device_id=pod, device_owner=DEVICE_OWNER)
    world.neutron.update_port(on, security_groups=[])
    world.neutron.delete_security_group(before)

    def is_so() -> bool:
        now = world.external(pod, "security_group")
        anew = made_anew(at, pod, "security_group", before, world.has_group)
        return anew and now in world.neutron.port(on.id).security_groups

    return Planted(f"security group {before}: ", is_so)


def volume(at: Grounds) -> Planted:
    made = at.world.volume(somebody())
    return Planted(f"volume {made}: ", lambda: at.world.status(made) is None)


def volume_in_use_elsewhere(at: Grounds) -> Planted:
    made = at.world.volume(somebody())
    used = at.world.attached(made, somebody(), installed=somebody())
    return Planted(f"volume {made}: ", lambda: "higgins-installation" not in at.world.cinder.volume(made).metadata
                   and at.world.has_attachment(used))  # fmt: skip


def attachment(at: Grounds) -> Planted:
    """With what ``mount`` makes of it on the host."""
    made = at.world.attached(at.lent, at.lost)
    at.world.mount(at.lost, at.lent, made)
    return Planted(f"attachment {made}: ", lambda: at.world.status(at.lent) == "available")


def unfinished(at: Grounds) -> Planted:
    held = at.world.volume()
    made = at.world.attached(held, at.world.remembered(), complete=False)
    assert at.world.status(held) == "attaching"
    return Planted(f"attachment {made}: ", lambda: at.world.status(held) == "available")


def lost_attachment(at: Grounds) -> Planted:
    pod = at.pods["attachment"]
    before = at.world.external(pod, "attachment")
    at.world.cinder.detach(before)
    return Planted(f"attachment {before}: ", lambda: made_anew(at, pod, "attachment", before, at.world.has_attachment))


def made_anew(at: Grounds, pod: str, kind: str, before: str, is_there: Callable[[str], bool]) -> bool:
    now = at.world.external(pod, kind)
    return now not in (None, before) and is_there(now)


def allocation(at: Grounds) -> Planted:
    pod = somebody()
    at.world.take(pod, {"VCPU": 1})
    return Planted(f"allocation {pod}: ", lambda: at.world.taken(pod) is None)


def lost_allocation(at: Grounds) -> Planted:
    pod = at.pods["allocation"]
    before = at.world.taken(pod)
    at.world.placement.give_back(pod)
    return Planted(f"allocation {pod}: ", lambda: before is not None and at.world.taken(pod) == before)


def wrong_size(at: Grounds) -> Planted:
    pod = at.pods["size"]
    before = at.world.taken(pod)
    at.world.take(pod, {"VCPU": 2})
    return Planted(f"allocation {pod}: ", lambda: before is not None and at.world.taken(pod) == before)


def provider(at: Grounds) -> Planted:
    made = at.world.provider()
    return Planted(f"provider {made}: ", lambda: at.world.placement.provider(made) is None)


def half_image(at: Grounds) -> Planted:
    made = at.world.half_image(at.world.remembered())
    return Planted(f"image {made}: ", lambda: not at.world.has_image(made))


# Things of the host


def container(at: Grounds) -> Planted:
    pod = somebody()
    at.world.container(pod)
    return Planted(f"container {pod}: ", lambda: pod not in {one.uuid for one in at.world.engine.list()})


def files(at: Grounds) -> Planted:
    place = at.world.folder / "agent" / "files" / somebody()
    place.mkdir(parents=True)
    (place / "0").write_text("left")
    return Planted(f"files {place.name}: ", lambda: not place.exists())


def namespace(at: Grounds) -> Planted:
    pod = somebody()
    path = at.world.namespace(pod)
    return Planted(f"network {pod}: ", lambda: not orphanage.kernel.has_namespace(path))


def link(at: Grounds) -> Planted:
    pod = somebody()
    name = at.world.link(pod)
    return Planted(f"network {pod}: ", lambda: not orphanage.kernel.has_link(name))


def on_switch(at: Grounds) -> Planted:
    pod = somebody()
    name = at.world.on_switch(pod)
    return Planted(f"network {pod}: ", lambda: name not in orphanage.vsctl("list-ports", "br-int").split())


def mount(at: Grounds) -> Planted:
    return Planted(f"mount {at.lost}: ", lambda: not at.world.is_mounted(at.lent) and at.lent not in orphanage.loops())


def local_volume(at: Grounds) -> Planted:
    name = f"higgins-{somebody()}"
    engine = at.world.engine
    engine.create_volume(name, {})
    return Planted(f"volume {name}: ", lambda: name in engine.volumes(), lambda: engine.remove_volume(name))


KINDS: dict[str, Callable[[Grounds], Planted]] = {
    "usage that does not add up": usage,
    "claim that does not add up": claim,
    "open action of no container": action,
    "record of a local volume of no container": record,
    "ledger: port of no container": ghost_port,
    "ledger: security group of no container": ghost_group,
    "ledger: volume of no container": ghost_volume,
    "ledger: attachment of no container": ghost_attachment,
    "ledger: allocation of no container": ghost_allocation,
    "ledger: leave for an image of no container": ghost_image,
    "ledger: nothing of a port that is there": row,
    "ledger: never confirmed": answer,
    "port of no container": port,
    "given port of a container that was": given_to_one_that_was,
    "given port of a container that has it not": given_to_one_without,
    "port that is gone": lost_port,
    "security group of no container": group,
    "security group of no container, in use": group_in_use,
    "security group that is gone": lost_group,
    "volume of no container": volume,
    "volume of no container, in use elsewhere": volume_in_use_elsewhere,
    "attachment of no container": attachment,
    "attachment never completed": unfinished,
    "attachment that is gone": lost_attachment,
    "allocation of no container": allocation,
    "allocation that is gone": lost_allocation,
    "allocation of another size": wrong_size,
    "provider of a removed host": provider,
    "half-made image of a commit": half_image,
    "container of no wish": container,
    "files of no container": files,
    "namespace of no container": namespace,
    "link of no container": link,
    "port of the switch of no container": on_switch,
    "mount and loop device of no container": mount,
    "local volume of nobody": local_volume,
}
