"""Volumes of pods: local ones bound to a host, and Cinder's made where a size was asked for.

Each may be repeated after an answer that was lost: what an earlier try has made is found again before anything is asked for.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from higgins.core import errors
from higgins.provision.kinds import Discarded, Made, Task, Underway
from higgins.provision.plan import Want
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod
from higgins.store.records import volumes
from higgins.store.session import Database

if TYPE_CHECKING:  # an installation without an OpenStack has nothing of this
    from higgins.cloud.cinder import Cinder, Volume

LOG = logging.getLogger(__name__)

FOR_INSTALLATION, FOR_POD, FOR_MOUNT = "higgins-installation", "higgins-pod", "higgins-mount"
"""What the metadata of a volume that goes with a pod say, so that it is found again."""
ITSELF = "higgins-volume"
"""And its own id, once that is known, so that it is not taken for what a user restores from a backup of it."""

_UNMADE_FOR_S = 60
"""For how long Cinder may fail to find a back end: so long its scheduler may know of none after the first minute of its life, in which it waits."""

_THERE = ("available", "in-use", "reserved", "attaching", "detaching")


class Volumes:
    """Local volumes: a record bound to the pod's host, where the agent makes the volume itself.

    A volume that goes with its pod loses its record here, after the host has reported its data gone; any other stays and stays bound.
    """

    name = KindName.VOLUME
    stage = 0

    def __init__(self, db: Database) -> None:
        self._db = db

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """Each volume that the pod mounts."""
        for uuid in volumes.mounted_by(pod.spec):
            yield Want(kind=self.name, key=uuid, why="a container of the pod mounts it")

    def make(self, task: Task) -> Made:
        """Bind the record to the pod's host; ``Invalid`` when its data is on another one."""
        if task.pod.host_id is None:
            raise errors.Conflict("The pod has no host yet.")
        with self._db.write() as tx:
            if not volumes.bind(tx, task.key, task.pod.host_id):
                raise errors.Invalid(
                    f"The volume {task.key} is not on the host of this container, or was deleted. Create the container anew."
                )
        return Made(external_id=task.key)

    def take_back(self, task: Task) -> None:  # noqa: D102 - see Kind
        with self._db.write() as tx:
            found = volumes.of(tx, (task.key,)).get(task.key)
            if found is not None and found.pod_uuid == task.pod.uuid:
                volumes.delete(tx, task.key)


class NewVolumes:
    """Volumes of Cinder that go with their pod: made of a size in the pod's own project, deleted after the pod's end."""

    name = KindName.NEW_VOLUME
    stage = 0

    def __init__(self, cinder: Cinder, installation: str) -> None:
        self._cinder, self._installation = cinder, installation

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """One for each mount of a size."""
        for key, mount in volumes.of_cinder(pod.spec).items():
            if mount.size_gib is not None:
                yield Want(kind=self.name, key=key, why=f"a mount of {mount.size_gib} GiB goes with the pod")

    def make(self, task: Task) -> Made:
        """Have Cinder make it; ``Underway`` until it is there, ``Invalid`` when Cinder fails at it, ``OverQuota`` when the project has no room.

        One that Cinder finds no back end for is asked for again, as its scheduler may know of none for a while after a restart.
        """
        size_gib = volumes.of_cinder(task.pod.spec)[task.key].size_gib or 0
        volume = self._found(task)
        if volume is None and task.external_id is not None:
            # With that name still in the ledger, nobody would find the next one whose creation is not answered.
            raise Discarded(
                f"The volume {task.external_id} was deleted from Cinder, which is asked for another one.",
                data=_noted(task),
            )
        volume = volume or self._create(task, size_gib)
        if volume.status == "error" and not volume.placed:
            self._ask_again(task, volume, size_gib)
        if volume.status.startswith("error"):
            raise errors.Invalid(
                f"Cinder could not make a volume of {size_gib} GiB (it is in the state {volume.status}). Ask for less, or tell the operator."
            )
        if ITSELF not in volume.metadata:
            self._cinder.label(volume.id, {ITSELF: volume.id})
        if volume.status not in _THERE:
            raise Underway(
                f"Cinder has not made the volume {volume.id} of {size_gib} GiB yet. It is waited for.",
                external_id=volume.id,
            )
        return Made(external_id=volume.id)

    def take_back(self, task: Task) -> None:
        """Delete it; ``Underway`` until it is gone. One that its user has attached elsewhere, or made snapshots of, is left to him."""
        found = self._found(task)
        if found is None or found.metadata.get(FOR_INSTALLATION) != self._installation:
            return
        if found.status == "creating":
            raise Underway(f"Cinder has not made the volume {found.id} yet, and deletes none before. It is waited for.")
        if found.uses:
            leave(self._cinder, found, f"it is attached to {found.uses[0].server}")
        elif found.status == "deleting" or (delete(self._cinder, found) and self._is_there(found)):
            raise Underway(f"Cinder has not deleted the volume {found.id} yet. It is waited for.")

    def _ask_again(self, task: Task, volume: Volume, size_gib: int) -> NoReturn:
        """Have the next pass ask for another one; ``Invalid`` when Cinder has failed at it for long enough, by its own clock."""
        noted = json.loads(_noted(task) or "{}")
        first = noted["first"] if noted.get("generation") == task.pod.generation else volume.created_at
        failing = datetime.datetime.fromisoformat(volume.created_at) - datetime.datetime.fromisoformat(first)
        if failing.total_seconds() >= _UNMADE_FOR_S:
            raise errors.Invalid(
                f"Cinder found no back end that could make a volume of {size_gib} GiB. Ask for less, or tell the operator."
            )
        self._cinder.delete(volume.id)
        raise Discarded(
            f"Cinder found no back end that could make a volume of {size_gib} GiB. It is asked for another one.",
            data=json.dumps({"generation": task.pod.generation, "first": first}),
        )

    def _create(self, task: Task, size_gib: int) -> Volume:
        metadata = {FOR_INSTALLATION: self._installation, FOR_POD: task.pod.uuid, FOR_MOUNT: task.key}
        name = f"{task.pod.name}-{task.key[:8]}"
        try:
            return self._cinder.create(task.pod.project_id, size_gib=size_gib, name=name, metadata=metadata)
        except errors.OverQuota as error:
            raise errors.OverQuota(
                f"The project's quota has no room for a volume of {size_gib} GiB. Delete volumes, or ask for a larger quota. {error.message}"
            ) from error

    def _found(self, task: Task) -> Volume | None:
        if task.external_id is not None:
            with contextlib.suppress(errors.NotFound):  # which a gateway on the way may have answered
                return self._cinder.volume(task.external_id)
        made = originals(self._cinder.with_metadata(FOR_MOUNT, task.key), self._installation)
        return next((one for one in made if task.external_id in (None, one.id)), None)

    def _is_there(self, volume: Volume) -> bool:
        if volume.status == "error_deleting":
            raise errors.Unavailable(f"Cinder failed to delete the volume {volume.id}. It is asked again.")
        try:
            self._cinder.volume(volume.id)
        except errors.NotFound:
            return False
        return True


def _noted(task: Task) -> str | None:
    """For which wish, and since when, Cinder fails to make this one (JSON), if it does."""
    return next((one.data for one in task.entries if (one.kind, one.key) == (KindName.NEW_VOLUME, task.key)), None)


def delete(cinder: Cinder, volume: Volume) -> bool:
    """Whether Cinder deletes a volume of ours; one with snapshots, without which it is not deleted, is left to its user."""
    try:
        cinder.delete(volume.id)
    except errors.Invalid:
        if not cinder.has_snapshots(volume.id):
            raise
        leave(cinder, volume, "it has snapshots")
        return False
    return True


def leave(cinder: Cinder, volume: Volume, why: str) -> None:
    """Have a volume of ours be its user's own."""
    LOG.warning("The volume %s stays, without our mark, since %s", volume.id, why)
    cinder.disown(volume.id, FOR_INSTALLATION)


def originals(found: Iterable[Volume], installation: str) -> list[Volume]:
    """Those of some volumes that this installation made; restoring a backup gives all their words to another volume, but not their id.

    Of one for which that word is still missing, because its creation was not answered, no copy can be older.
    """
    ours = [one for one in found if one.metadata.get(FOR_INSTALLATION) == installation]
    made = [one for one in ours if one.metadata.get(ITSELF) == one.id]
    known = {one.metadata.get(FOR_MOUNT) for one in made}
    for one in sorted(ours, key=lambda one: one.created_at):
        mount = one.metadata.get(FOR_MOUNT)
        if ITSELF not in one.metadata and (mount is None or mount not in known):
            known.add(mount)
            made.append(one)
    return made
