"""Attachments of Cinder's volumes to the hosts of their pods, and who may have a volume beside whom.

Each may be repeated after an answer that was lost: what an earlier try has made is found again before anything is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from higgins.core import errors, model
from higgins.provision.kinds import Made, Task
from higgins.provision.plan import Want
from higgins.provision.volumes import FOR_MOUNT
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod
from higgins.store.records.volumes import of_cinder

if TYPE_CHECKING:  # an installation without an OpenStack has nothing of this
    from higgins.cloud.cinder import Attachment, Cinder, Use, Volume

Place = tuple[str | None, str]
"""What tells the containers of one host: its name as Cinder shows it, and the installation's mark."""


def mark(installation: str) -> str:
    """What an attachment of ours calls its device, so that ``audit`` knows it from others'."""
    return f"higgins/{installation}"


class Attachments:
    """Attachments of Cinder's volumes to the pod's host. The pod counts as the server; ``installation`` marks them as ours."""

    name = KindName.ATTACHMENT
    stage = 1

    def __init__(self, cinder: Cinder, installation: str) -> None:
        self._cinder, self._mark = cinder, mark(installation)

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """One for each volume of Cinder that the pod mounts."""
        for key, mount in of_cinder(pod.spec).items():
            mode = "ro" if mount.read_only else "rw"
            yield Want(kind=self.name, key=key, why="a container of the pod mounts it", shape=mode)

    def make(self, task: Task) -> Made:
        """Connect the volume to the pod's host; ``Invalid`` when that volume cannot be had there."""
        mount = of_cinder(task.pod.spec)[task.key]
        connector = _connector(task)
        ident = task.key if mount.size_gib is None else task.made(KindName.NEW_VOLUME, task.key)
        volume = self._volume(task, ident)
        found = self._mine(task, volume, connector)
        if found is None:
            self._check_free(task, volume, connector)
            found = self._attach(task, volume, connector)
        if found.status != "attached":
            self._cinder.complete(found.id)
        if volume.multiattach and found.id != task.external_id:
            self._check_alone(task, found, connector)
        grant = model.VolumeGrant(
            uuid=task.key,
            name=ident,
            driver="cinder",
            size_gib=volume.size_gib,
            read_only=task.shape == "ro",
            shared=volume.multiattach,
            connection=json.dumps(found.connection),
        )
        return Made(external_id=found.id, secret=msgspec.json.encode(grant))

    def take_back(self, task: Task) -> None:
        """End the attachment, whether its host is there or not."""
        if task.external_id is not None:
            self._cinder.detach(task.external_id, server=task.pod.uuid)
            return
        mount = of_cinder(task.pod.spec).get(task.key)
        idents = [task.key]
        if mount is not None and mount.size_gib is not None:
            idents = [one.id for one in self._cinder.with_metadata(FOR_MOUNT, task.key)]
        for ident in idents:
            theirs = self._theirs(ident)
            for one in self._cinder.attachments(volume=ident, server=task.pod.uuid):
                if one.id not in theirs:
                    self._cinder.detach(one.id, server=task.pod.uuid)

    def _volume(self, task: Task, ident: str) -> Volume:
        try:
            volume = self._cinder.volume(ident)
        except errors.NotFound as error:
            raise errors.Invalid(
                f"The volume {ident} was deleted from Cinder. Create the container anew with another volume."
            ) from error
        if volume.project_id != task.pod.project_id:
            raise errors.Invalid(f"The volume {ident} belongs to another project now. Create the container anew.")
        return volume

    def _mine(self, task: Task, volume: Volume, connector: Mapping[str, Any]) -> Attachment | None:
        """What an earlier try has made. Anybody may name a container's uuid in an attachment that he makes for another place."""
        place = (connector.get("host"), self._mark)
        shown = {use.attachment: (use.host, use.mark) for use in volume.uses}
        for one in self._cinder.attachments(volume=volume.id, server=task.pod.uuid):
            if one.id == task.external_id or shown.get(one.id) == place:
                found = self._cinder.attachment(one.id)
                if found.connection:
                    return found
            if one.id not in shown:
                # Where it leads, Cinder does not tell before it is complete: to our host from now on.
                return self._cinder.connect(one.id, connector=connector, mode=task.shape, mark=self._mark)
        return None

    def _theirs(self, ident: str) -> set[str]:
        """The attachments of a volume that do not carry our mark."""
        try:
            return {use.attachment for use in self._cinder.volume(ident).uses if use.mark != self._mark}
        except errors.NotFound:
            return set()

    def _attach(self, task: Task, volume: Volume, connector: Mapping[str, Any]) -> Attachment:
        try:
            return self._cinder.attach(
                volume.id, server=task.pod.uuid, connector=connector, mode=task.shape, mark=self._mark
            )
        except errors.Invalid:
            # Somebody else may have been faster since the volume was looked at.
            self._check_free(task, self._volume(task, volume.id), connector)
            raise

    def _check_free(self, task: Task, volume: Volume, connector: Mapping[str, Any]) -> None:
        check_free(volume, (connector.get("host"), self._mark), task.shape, self._mode_of)

    def _check_alone(self, task: Task, found: Attachment, connector: Mapping[str, Any]) -> None:
        """Look again who else has a volume for many now that Cinder shows our attachment: of two who came at once the later one sees the other."""
        try:
            place = (connector.get("host"), self._mark)
            check_shared(self._volume(task, found.volume), place, task.shape, self._mode_of)
        except errors.Invalid:
            self._cinder.detach(found.id, server=task.pod.uuid)
            raise

    def _mode_of(self, use: Use) -> str:
        try:
            return self._cinder.attachment(use.attachment).mode
        except errors.NotFound:  # it has ended since
            return "ro"


def _connector(task: Task) -> Mapping[str, Any]:
    host = task.host
    if host is None or host.facts is None or not host.facts.connector:
        raise errors.Invalid(
            "The container's host cannot attach volumes of Cinder. Create it anew on another host, or have the operator install os-brick there."
        )
    found: Mapping[str, Any] = msgspec.json.decode(host.facts.connector)
    return found


def check_free(volume: Volume, place: Place, mode: str, mode_of: Callable[[Use], str]) -> None:
    """``Invalid`` when the volume cannot be attached there, ``NotReady`` when it may be soon. ``mode_of`` asks for that of an attachment."""
    if volume.encrypted:
        raise errors.Unsupported(f"The volume {volume.id} is encrypted, which containers cannot use yet. Use another.")
    if volume.status.startswith("error"):
        raise errors.Invalid(
            f"The volume {volume.id} is in the state {volume.status} at Cinder. Repair it, or use another volume."
        )
    if volume.status == "in-use":
        check_shared(volume, place, mode, mode_of)
    elif volume.status != "available":
        raise errors.NotReady(f"The volume {volume.id} is in the state {volume.status} at Cinder. It is waited for.")


def check_shared(volume: Volume, place: Place, mode: str, mode_of: Callable[[Use], str]) -> None:
    """``Invalid`` when somebody has the volume who may not have it beside this."""
    user = next((one.server for one in volume.uses), "something else")
    if not volume.multiattach:
        raise errors.Invalid(
            f"The volume {volume.id} is in use by {user}. Detach it there, or use another volume.", code="volume-in-use"
        )
    # Containers of one host share one mount. Whoever else has the volume has a cache of his own, and so may not even read what changes.
    for one in volume.uses:
        if (one.host, one.mark) != place and (mode != "ro" or mode_of(one) != "ro"):
            raise errors.Invalid(
                f"The volume {volume.id} is in use by {one.server} on another host. Its file system would break if one wrote "
                "what another has open: mount it read-only in all of them, or run them on one host.",
                code="volume-in-use",
            )
