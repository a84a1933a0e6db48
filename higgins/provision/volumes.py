"""Volumes of pods: local ones bound to a host, Cinder's made where a size was asked for, and their attachments to the pod's host.

Each may be repeated after an answer that was lost: what an earlier try has made is found again before anything is asked for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from higgins.core import errors, model
from higgins.provision.kinds import Made, Task
from higgins.provision.plan import Want
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod
from higgins.store.records import volumes
from higgins.store.session import Database

if TYPE_CHECKING:  # an installation without an OpenStack has nothing of this
    from higgins.cloud.cinder import Attachment, Cinder, Volume

LOG = logging.getLogger(__name__)

FOR_INSTALLATION, FOR_POD, FOR_MOUNT = "higgins-installation", "higgins-pod", "higgins-mount"
"""What the metadata of a volume that goes with a pod say, so that it is found again."""

_THERE = ("available", "in-use", "reserved", "attaching", "detaching")
_PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.25


def mark(installation: str) -> str:
    """What an attachment of ours calls its device, so that ``audit`` knows it from others'."""
    return f"higgins/{installation}"


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

    def __init__(self, cinder: Cinder, installation: str, *, patience_s: float = _PATIENCE_S) -> None:
        self._cinder, self._installation, self._patience_s = cinder, installation, patience_s

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """One for each mount of a size."""
        for key, mount in _mounted(pod.spec).items():
            if mount.size_gib is not None:
                yield Want(kind=self.name, key=key, why=f"a mount of {mount.size_gib} GiB goes with the pod")

    def make(self, task: Task) -> Made:
        """Have Cinder make it, and wait until it is there. ``Invalid`` when Cinder fails at it, ``OverQuota`` when the project has no room."""
        size_gib = _mounted(task.pod.spec)[task.key].size_gib or 0
        found = self._found(task) or self._create(task, size_gib)
        made = self._waited(lambda: self._look(found.id, size_gib))
        if made is None:
            raise errors.NotReady(f"Cinder has not made the volume {found.id} of {size_gib} GiB yet. It is waited for.")
        return Made(external_id=found.id)

    def take_back(self, task: Task) -> None:
        """Delete it and wait until it is gone. One that its user has attached elsewhere meanwhile is left to him, without our mark."""
        self._waited(lambda: self._is_made(task))  # Cinder deletes none before
        found = self._found(task)
        if found is None:
            return
        if found.uses:
            LOG.warning("Volume %s is attached to %s and stays", found.id, found.uses[0].server)
            self._cinder.disown(found.id, FOR_INSTALLATION)
            return
        if found.status != "deleting":
            self._cinder.delete(found.id)
        if self._waited(lambda: True if self._is_gone(found.id) else None) is None:
            raise errors.NotReady(f"Cinder has not deleted the volume {found.id} yet. It is waited for.")

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
        return next(iter(self._cinder.with_metadata(FOR_MOUNT, task.key)), None)

    def _is_made(self, task: Task) -> bool | None:
        found = self._found(task)
        return None if found is not None and found.status == "creating" else True

    def _look(self, ident: str, size_gib: int) -> Volume | None:
        """The volume once it is there."""
        try:
            volume = self._cinder.volume(ident)
        except errors.NotFound as error:
            raise errors.Invalid(
                f"The volume {ident} was deleted while it was made. Create the container anew."
            ) from error
        if volume.status.startswith("error"):
            raise errors.Invalid(
                f"Cinder could not make a volume of {size_gib} GiB (it is in the state {volume.status}). Ask for less, or tell the operator."
            )
        return volume if volume.status in _THERE else None

    def _is_gone(self, ident: str) -> bool:
        try:
            status = self._cinder.volume(ident).status
        except errors.NotFound:
            return True
        if status.startswith("error"):
            raise errors.Unavailable(f"Cinder failed to delete the volume {ident} (it is in the state {status}).")
        return False

    def _waited(self, look: Callable[[], Any]) -> Any:
        """What ``look`` gives once it gives something; ``None`` when patience is at its end."""
        until = time.monotonic() + self._patience_s
        while (seen := look()) is None and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
        return seen


class Attachments:
    """Attachments of Cinder's volumes to the pod's host. The pod counts as the server; ``installation`` marks them as ours."""

    name = KindName.ATTACHMENT
    stage = 1

    def __init__(self, cinder: Cinder, installation: str) -> None:
        self._cinder, self._mark = cinder, mark(installation)

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """One for each volume of Cinder that the pod mounts."""
        for key, mount in _mounted(pod.spec).items():
            mode = "ro" if mount.read_only else "rw"
            yield Want(kind=self.name, key=key, why="a container of the pod mounts it", shape=mode)

    def make(self, task: Task) -> Made:
        """Connect the volume to the pod's host; ``Invalid`` when that volume cannot be had there."""
        mount = _mounted(task.pod.spec)[task.key]
        connector = _connector(task)
        ident = task.key if mount.size_gib is None else task.made(KindName.NEW_VOLUME, task.key)
        volume = self._volume(task, ident)
        found = self._mine(task, ident)
        if found is None:
            _check_free(volume, connector, task.shape)
            found = self._attach(task, volume, connector)
        elif not found.connection:
            found = self._cinder.connect(found.id, connector=connector, mode=task.shape, mark=self._mark)
        if found.status != "attached":
            self._cinder.complete(found.id)
        grant = model.VolumeGrant(
            uuid=task.key,
            name=ident,
            driver="cinder",
            size_gib=volume.size_gib,
            read_only=task.shape == "ro",
            connection=json.dumps(found.connection),
        )
        return Made(external_id=found.id, secret=msgspec.json.encode(grant))

    def take_back(self, task: Task) -> None:
        """End the attachment, whether its host is there or not."""
        if task.external_id is not None:
            self._cinder.detach(task.external_id, server=task.pod.uuid)
            return
        mount = _mounted(task.pod.spec).get(task.key)
        ident = task.key
        if mount is not None and mount.size_gib is not None:
            made = self._cinder.with_metadata(FOR_MOUNT, task.key)
            if not made:
                return
            ident = made[0].id
        for one in self._cinder.attachments(volume=ident, server=task.pod.uuid):
            self._cinder.detach(one.id, server=task.pod.uuid)

    def _volume(self, task: Task, ident: str) -> Volume:
        try:
            volume = self._cinder.volume(ident)
        except errors.NotFound as error:
            raise errors.Invalid(
                f"The volume {ident} was deleted. Create the container anew with another volume."
            ) from error
        if volume.project_id != task.pod.project_id:
            raise errors.Invalid(f"The volume {ident} belongs to another project now. Create the container anew.")
        return volume

    def _mine(self, task: Task, ident: str) -> Attachment | None:
        """What an earlier try has made."""
        found = self._cinder.attachments(volume=ident, server=task.pod.uuid)
        return self._cinder.attachment(found[0].id) if found else None

    def _attach(self, task: Task, volume: Volume, connector: Mapping[str, Any]) -> Attachment:
        try:
            return self._cinder.attach(
                volume.id, server=task.pod.uuid, connector=connector, mode=task.shape, mark=self._mark
            )
        except errors.Invalid:
            # Somebody else may have been faster since the volume was looked at.
            _check_free(self._volume(task, volume.id), connector, task.shape)
            raise


def _mounted(spec: model.PodSpec) -> dict[str, model.Mount]:
    """The volumes of Cinder that a pod mounts, by what its mounts call them; read-only when all of its mounts are."""
    found: dict[str, model.Mount] = {}
    for one in (*spec.init_containers, *spec.containers):
        for mount in one.mounts:
            if mount.driver == "cinder" and mount.volume is not None:
                known = found.get(mount.volume)
                found[mount.volume] = mount if known is None or known.read_only else known
    return found


def _connector(task: Task) -> Mapping[str, Any]:
    host = task.host
    if host is None or host.facts is None or not host.facts.connector:
        raise errors.Invalid(
            "The container's host cannot attach volumes of Cinder. Create it anew on another host, or have the operator install os-brick there."
        )
    found: Mapping[str, Any] = msgspec.json.decode(host.facts.connector)
    return found


def _check_free(volume: Volume, connector: Mapping[str, Any], mode: str) -> None:
    """``Invalid`` when the volume cannot be attached there, ``NotReady`` when it may be soon."""
    if volume.encrypted:
        raise errors.Unsupported(f"The volume {volume.id} is encrypted, which containers cannot use yet. Use another.")
    if volume.status.startswith("error"):
        raise errors.Invalid(
            f"The volume {volume.id} is in the state {volume.status} at Cinder. Repair it, or use another volume."
        )
    if volume.status == "in-use":
        _check_shared(volume, connector, mode)
    elif volume.status != "available":
        raise errors.NotReady(f"The volume {volume.id} is in the state {volume.status} at Cinder. It is waited for.")


def _check_shared(volume: Volume, connector: Mapping[str, Any], mode: str) -> None:
    user = next((one.server for one in volume.uses), "something else")
    if not volume.multiattach:
        raise errors.Invalid(
            f"The volume {volume.id} is in use by {user}. Detach it there, or use another volume.", code="volume-in-use"
        )
    elsewhere = next((one.server for one in volume.uses if one.host != connector.get("host")), None)
    if elsewhere is not None and mode != "ro":
        raise errors.Invalid(
            f"The volume {volume.id} is in use by {elsewhere} on another host. Its file system would break if both wrote: "
            "mount it read-only, or run both containers on one host.",
            code="volume-in-use",
        )
