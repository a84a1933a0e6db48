"""What a host must look after, as it is handed out to that host: secrets opened, logins and volumes beside them.

Only what provisioning has dealt with is handed out, so that a host never sees a pod before the cloud's part of it is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from higgins.core import model
from higgins.core.phase import Desired
from higgins.store import pods
from higgins.store.loops import ledger
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod
from higgins.store.records import images, registries, volumes
from higgins.store.seal import Sealer
from higgins.store.session import Transaction
from higgins.store.tables import hosts
from higgins.store.tables import images as images_table
from higgins.store.tables import ledger as things
from higgins.store.tables import pods as pods_table
from higgins.threads import typed_json


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostAssignments:
    """Everything of one host that is newer than the version asked about; the fields are those of the wire's ``Assignments``.

    A pod that was never handed to its host is not in ``held``: the host has nothing of it.
    """

    revision: int
    full: bool
    pods: tuple[model.Assignment, ...] = ()
    images: tuple[model.ImageWish, ...] = ()
    held: tuple[str, ...] = ()


_SINCE: sa.BindParameter[int] = sa.bindparam("since")
_NEW_IMAGES = (
    sa.select(sa.func.count())
    .where(images_table.c.host_id == hosts.c.id, images_table.c.host_version > _SINCE)
    .scalar_subquery()
)
_NEWER = sa.and_(pods_table.c.host_id == hosts.c.id, pods_table.c.host_version > _SINCE)
_SELECT = (
    sa.select(hosts.c.version, _NEW_IMAGES, *pods.COLUMNS)
    .select_from(hosts.outerjoin(pods_table, _NEWER))
    .where(hosts.c.id == sa.bindparam("of_host"))
    .order_by(pods_table.c.id)
)
_BEFORE_POD = 2


def of_host(tx: Transaction, host_id: int, since: int, sealer: Sealer) -> HostAssignments:
    """What changed for a host after version ``since``; everything (``full``) when that is 0 or ahead of the database."""
    rows = tx.rows(_SELECT, {"of_host": host_id, "since": since})
    if not rows:
        return HostAssignments(revision=0, full=False)
    version = rows[0][0]
    if since > version:
        return of_host(tx, host_id, 0, sealer)
    found = [pods.from_row(row[_BEFORE_POD:]) for row in rows if row[_BEFORE_POD] is not None]
    ready = [pod for pod in found if _is_ready(pod)]
    return HostAssignments(
        revision=version,
        full=since == 0,
        pods=_assignments(tx, ready, sealer),
        images=images.wishes(tx, host_id, since) if rows[0][1] else (),
        held=tuple(pod.uuid for pod in found if not _is_ready(pod)) if since == 0 else (),
    )


def grants_image(tx: Transaction, host_id: int, uuid: str) -> bool:
    """Whether a pod of this host was granted this image of Glance and still wants it."""
    its = (things.c.host_id == host_id, things.c.kind == KindName.IMAGE, things.c.external_id == uuid)
    wanted = (things.c.made_at.is_not(None), things.c.released_at.is_(None))
    return tx.row(sa.select(things.c.id).where(*its, *wanted).limit(1)) is not None


def _is_ready(pod: Pod) -> bool:
    provisioned = pod.provision_generation >= pod.generation and pod.provision_reason is None
    return provisioned or pod.desired is Desired.DELETED


def _assignments(tx: Transaction, ready: list[Pod], sealer: Sealer) -> tuple[model.Assignment, ...]:
    if not ready:
        return ()
    wanted = {uuid for pod in ready for uuid in _registries(pod.spec)}
    logins = registries.logins(tx, sorted(wanted), sealer) if wanted else {}
    mounted = volumes.of(tx, {uuid for pod in ready for uuid in volumes.mounted_by(pod.spec)})
    clouded = [pod.uuid for pod in ready if _of_cloud(pod.spec)]
    entries = ledger.of(tx, clouded) if clouded else {}
    return tuple(_assignment(pod, sealer, logins, mounted, _grants(entries.get(pod.uuid, ()), sealer)) for pod in ready)


def _of_cloud(spec: model.PodSpec) -> bool:
    """Whether provisioning has things for the pod of which the host must be told."""
    every = (*spec.init_containers, *spec.containers)
    if spec.network_driver != "bridge" or any(one.image_driver == "glance" for one in every):
        return True
    return any(mount.driver != "local" for one in every for mount in one.mounts)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Grants:
    """What the ledger has of one pod for its host; plugs by the key of their network wish, images by the name in the spec."""

    plugs: Mapping[str, model.Plug] = dataclasses.field(default_factory=dict)
    volumes: tuple[model.VolumeGrant, ...] = ()
    images: Mapping[str, model.ImageGrant] = dataclasses.field(default_factory=dict)


def _grants(entries: Iterable[ledger.Entry], sealer: Sealer) -> _Grants:
    wanted = [entry for entry in entries if entry.made_at is not None and entry.released_at is None]
    told = (KindName.PORT, KindName.IMAGE)
    data = {kind: [(one.key, one.data) for one in wanted if one.kind == kind and one.data] for kind in told}
    secrets = [ledger.secret(one, sealer) for one in wanted if one.kind == KindName.ATTACHMENT]
    images = [typed_json.decode(text, model.ImageGrant) for _, text in data[KindName.IMAGE]]
    return _Grants(
        plugs={key: typed_json.decode(text, model.Plug) for key, text in data[KindName.PORT]},
        volumes=tuple(typed_json.decode(text, model.VolumeGrant) for text in secrets if text is not None),
        images={grant.name: grant for grant in images},
    )


def _assignment(
    pod: Pod,
    sealer: Sealer,
    logins: dict[str, model.RegistryLogin],
    mounted: dict[str, volumes.Volume],
    grants: _Grants,
) -> model.Assignment:
    local = tuple(mounted[uuid].grant() for uuid in volumes.mounted_by(pod.spec) if uuid in mounted)
    return model.Assignment(
        uuid=pod.uuid,
        project_id=pod.project_id,
        name=pod.name,
        kind="capsule" if pod.kind == "capsule" else "container",
        generation=pod.generation,
        desired=pod.desired,
        run=pod.run,
        build=pod.build,
        wish=pod.wish,
        request_id=pod.request_id,
        spec=pods.open_spec(pod, sealer),
        stop_timeout_s=pod.stop_timeout_s,
        stop_signal=pod.stop_signal,
        digests=_digests(pod),
        registries={uuid: logins[uuid] for uuid in _registries(pod.spec) if uuid in logins},
        volumes=local + grants.volumes,
        plugs=tuple(grants.plugs[wish.key] for wish in pod.spec.networks if wish.key in grants.plugs),
        images=dict(grants.images),
    )


def _registries(spec: model.PodSpec) -> Iterable[str]:
    return dict.fromkeys(one.registry for one in (*spec.init_containers, *spec.containers) if one.registry is not None)


def _digests(pod: Pod) -> dict[str, str]:
    """What the images were resolved to, as reported of this very build: a rebuild resolves anew."""
    if pod.status is None:
        return {}
    reported = {
        one.uuid: one.image_digest
        for one in pod.status.containers
        if one.image_digest is not None and (pod.build == 1 or one.build == pod.build)
    }
    every = (*pod.spec.init_containers, *pod.spec.containers)
    return {one.image: reported[one.uuid] for one in every if one.uuid in reported}
