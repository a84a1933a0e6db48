"""Rows of ``volumes``: places that keep data of containers. The API makes a row; it is bound to the host where its data will be."""

from __future__ import annotations

import dataclasses
import datetime
import uuid as uuids
from collections.abc import Collection

import sqlalchemy as sa

from higgins.core import errors, model
from higgins.core.caller import Scope
from higgins.core.names import is_uuid
from higgins.store.session import Duplicate, Transaction
from higgins.store.tables import volumes


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """One row, typed. ``pod_uuid`` is set for a volume that goes with its pod; ``host_id`` once its data has a place."""

    id: int
    uuid: str
    project_id: str
    name: str | None
    driver: str
    size_gib: int | None
    pod_uuid: str | None
    host_id: int | None
    created_at: datetime.datetime

    def grant(self) -> model.VolumeGrant:
        """What the host is told of it."""
        return model.VolumeGrant(
            uuid=self.uuid,
            name=_on_host(self.uuid),
            driver=self.driver,
            size_gib=self.size_gib,
            auto_remove=self.pod_uuid is not None,
        )


def _on_host(uuid: str) -> str:
    return f"higgins-{uuid}"


_SELECT = sa.select(*(volumes.c[field.name] for field in dataclasses.fields(Volume)))


def insert(
    tx: Transaction,
    *,
    project_id: str,
    name: str | None = None,
    driver: str = "local",
    size_gib: int | None = None,
    pod_uuid: str | None = None,
) -> Volume:
    """Make a volume; with ``pod_uuid`` it goes when that pod goes. ``Conflict`` when the project has one of that name."""
    uuid = str(uuids.uuid4())
    values = {"uuid": uuid, "project_id": project_id, "name": name, "driver": driver, "size_gib": size_gib}
    values |= {"pod_uuid": pod_uuid}
    try:
        tx.change(volumes.insert().values(created_at=tx.now, **values))
    except Duplicate as error:
        raise errors.NameTaken(
            f"A volume with the name {name} exists already.", code="volume-already-exists"
        ) from error
    return get(tx, uuid, Scope(project_id))


def named(tx: Transaction, project_id: str) -> int:
    """How many volumes a project has under names; those without one go with their pods."""
    query = sa.select(sa.func.count()).select_from(volumes)
    return int(tx.scalar(query.where(volumes.c.project_id == project_id, volumes.c.name.is_not(None))) or 0)


def get(tx: Transaction, ident: str, scope: Scope) -> Volume:
    """The volume of this uuid, or else of this name; ``NotFound``, or ``Conflict`` when several have the name."""
    query = _SELECT.where((volumes.c.uuid if is_uuid(ident) else volumes.c.name) == ident)
    if scope.project_id is not None:
        query = query.where(volumes.c.project_id == scope.project_id)
    found = tx.rows(query.limit(2))
    if not found:
        raise errors.NotFound(f"The volume {ident} could not be found.", code="volume-not-found")
    if len(found) > 1:
        raise errors.Conflict(f"Several volumes have the name {ident}. Use the volume's uuid instead.")
    return Volume(*found[0])


def of(tx: Transaction, wanted: Collection[str]) -> dict[str, Volume]:
    """The volumes of these uuids, by uuid."""
    if not wanted:
        return {}
    found = (Volume(*row) for row in tx.rows(_SELECT.where(volumes.c.uuid.in_(sorted(wanted)))))
    return {volume.uuid: volume for volume in found}


def names(tx: Transaction) -> frozenset[str]:
    """What every volume is called on its host."""
    return frozenset(_on_host(row[0]) for row in tx.rows(sa.select(volumes.c.uuid)))


def bind(tx: Transaction, uuid: str, host_id: int) -> bool:
    """Give a volume its host; whether it is on that host now. It never moves."""
    free = sa.or_(volumes.c.host_id.is_(None), volumes.c.host_id == host_id)
    return tx.change(volumes.update().where(volumes.c.uuid == uuid, free).values(host_id=host_id)) == 1


def delete(tx: Transaction, uuid: str) -> None:
    """Forget a volume; nothing happens when there is none."""
    tx.change(volumes.delete().where(volumes.c.uuid == uuid))


def delete_of(tx: Transaction, pod_uuid: str) -> None:
    """Forget the volumes that go with a pod."""
    tx.change(volumes.delete().where(volumes.c.pod_uuid == pod_uuid))


def of_cinder(spec: model.PodSpec) -> dict[str, model.Mount]:
    """The volumes of Cinder that a pod mounts, by what its mounts call them; read-only when all of its mounts are."""
    found: dict[str, model.Mount] = {}
    for one in (*spec.init_containers, *spec.containers):
        for mount in one.mounts:
            if mount.driver == "cinder" and mount.volume is not None:
                known = found.get(mount.volume)
                found[mount.volume] = mount if known is None or known.read_only else known
    return found


def shared_by(spec: model.PodSpec) -> dict[str, bool]:
    """The volumes that a pod mounts and that other pods may mount too, each with whether it writes there. Local ones have their place anyway."""
    named = {name: not mount.read_only for name, mount in of_cinder(spec).items() if mount.size_gib is None}
    return dict.fromkeys(mounted_by(spec), True) | named


def mounted_by(spec: model.PodSpec) -> tuple[str, ...]:
    """The uuids of the local volumes that a pod mounts, each once."""
    every = (*spec.init_containers, *spec.containers)
    local = (mount for one in every for mount in one.mounts if mount.driver == "local")
    return tuple(dict.fromkeys(mount.volume for mount in local if mount.volume is not None))
