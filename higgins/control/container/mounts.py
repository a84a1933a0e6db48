"""Mounts of a new container: each volume found, made on first use, or noted to be made, by the driver that this installation chose.

Volumes of Cinder are looked up with the caller's own token, before any transaction: so Cinder says what he may use.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from higgins.control.means import Means
from higgins.control.requests import MountRequest
from higgins.core import names
from higgins.core.caller import Caller, Scope
from higgins.core.errors import Conflict, Invalid, NotFound, OverQuota
from higgins.core.model import Mount
from higgins.store.records import volumes
from higgins.store.session import Transaction

if TYPE_CHECKING:  # an installation without an OpenStack has nothing of this
    from higgins.cloud.cinder import Cinder, Volume

LOCAL, CINDER = "local", "cinder"


def in_cloud(means: Means, caller: Caller, asked: Sequence[MountRequest]) -> tuple[Mount | None, ...]:
    """For each mount asked for: with its volume of Cinder, or ``None`` when it is none.

    ``NotFound`` (code ``volume-not-found``), ``Invalid`` (``volume-in-use``, ``volume-not-usable``), ``Conflict`` for a name that several have.
    """
    cinder = _cinder(means)
    if cinder is None:
        return (None,) * len(asked)
    return tuple(_in_cinder(cinder, caller, one) if one.kind == "volume" else None for one in asked)


def complete(
    tx: Transaction, means: Means, asked: MountRequest, found: Mount | None, *, project_id: str, pod_uuid: str
) -> Mount:
    """A mount as the spec has it. What is not Cinder's is found among the local volumes; where Cinder is, none of them is made any more."""
    if found is not None:
        return found
    if asked.kind == "file":
        return Mount(
            destination=asked.destination, kind="file", content=asked.content or b"", read_only=asked.read_only
        )
    if asked.source is None:
        volume = volumes.insert(tx, project_id=project_id, size_gib=asked.size_gib, pod_uuid=pod_uuid)
    else:
        volume = _local(tx, means, asked.source, project_id)
    return Mount(destination=asked.destination, volume=volume.uuid, read_only=asked.read_only)


def _cinder(means: Means) -> Cinder | None:
    return means.services.cinder if means.services is not None and CINDER in means.settings.volume_drivers else None


def _local(tx: Transaction, means: Means, source: str, project_id: str) -> volumes.Volume:
    try:
        if LOCAL not in means.settings.volume_drivers:
            raise NotFound(f"The volume {source} could not be found.", code="volume-not-found")
        return volumes.get(tx, source, Scope(project_id))
    except NotFound:
        if _cinder(means) is not None:
            raise NotFound(
                f"The volume {source} could not be found in Cinder (openstack volume list shows those of the project).",
                code="volume-not-found",
            ) from None
        if names.is_uuid(source):
            raise
        _check_room(tx, means.settings.quota_local_volumes, project_id)
        return volumes.insert(tx, project_id=project_id, name=source)


def _check_room(tx: Transaction, most: int, project_id: str) -> None:
    if 0 <= most <= volumes.named(tx, project_id):
        raise OverQuota(
            f"The project has {most} local volumes, as many as it may have. Mount one of those, a new one by its size "
            "(which goes with its container), or ask the operator."
        )


def _in_cinder(cinder: Cinder, caller: Caller, asked: MountRequest) -> Mount | None:
    if asked.source is None:
        return Mount(
            destination=asked.destination,
            driver="cinder",
            volume=str(uuid.uuid4()),
            size_gib=asked.size_gib,
            read_only=asked.read_only,
        )
    volume = _find(cinder, asked.source, caller)
    if volume is None:
        return None
    _check_usable(volume)
    return Mount(destination=asked.destination, driver="cinder", volume=volume.id, read_only=asked.read_only)


def _find(cinder: Cinder, source: str, caller: Caller) -> Volume | None:
    """The caller's volume of this uuid or name. An administrator sees volumes of others too, but mounts those of his project only."""
    if names.is_uuid(source):
        try:
            found = [cinder.volume(source, token=caller.token)]
        except NotFound:
            found = []
    else:
        found = cinder.named(source, caller.project_id, token=caller.token)
    found = [one for one in found if one.project_id in ("", caller.project_id)]
    if len(found) > 1:
        raise Conflict(f"Several volumes have the name {source}. Use the volume's uuid instead.")
    return found[0] if found else None


def _check_usable(volume: Volume) -> None:
    if volume.encrypted:
        raise Invalid(
            f"The volume {volume.id} is encrypted, which containers cannot use yet. Use another.",
            code="volume-not-usable",
        )
    if volume.status == "available" or (volume.status == "in-use" and volume.multiattach):
        return
    if volume.status == "in-use":
        user = next((f" by {one.server}" for one in volume.uses), "")
        raise Invalid(
            f"The volume {volume.id} is in use{user}. Detach it there first, or use another volume.",
            code="volume-in-use",
        )
    raise Invalid(
        f"The volume {volume.id} is in the state {volume.status}; it can be mounted once it is available.",
        code="volume-not-usable",
    )
