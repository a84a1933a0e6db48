"""Takes a host's report: in one transaction, once, in order, and only into rows that are that host's.

Writes the agent's columns and no other; of a deleted pod that is gone and has nothing outside it takes the row itself away, see
``loops.removal``. Must not know the wire; a report is anything with these fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from higgins.core import model
from higgins.core.phase import Phase, Wish
from higgins.store import actions, claims
from higgins.store.hosts import facts_columns
from higgins.store.loops import removal
from higgins.store.records import events
from higgins.store.session import Overtaken, Transaction
from higgins.store.tables import actions as actions_table
from higgins.store.tables import hosts, images, pods


class PodReport(Protocol):
    """One pod as the host has it."""

    @property
    def uuid(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> model.PodStatus: ...  # noqa: D102


class ImageReport(Protocol):
    """One wanted image as the host has it."""

    @property
    def uuid(self) -> str: ...  # noqa: D102
    @property
    def generation(self) -> int: ...  # noqa: D102
    @property
    def phase(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def image_id(self) -> str | None: ...  # noqa: D102
    @property
    def size_bytes(self) -> int | None: ...  # noqa: D102


class Report(Protocol):
    """What is on a host; the wire's ``Report`` fits."""

    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def pods(self) -> Sequence[PodReport]: ...  # noqa: D102
    @property
    def images(self) -> Sequence[ImageReport]: ...  # noqa: D102
    @property
    def events(self) -> Sequence[model.StepEvent]: ...  # noqa: D102
    @property
    def facts(self) -> model.HostFacts | None: ...  # noqa: D102


_encoder = msgspec.json.Encoder()

_POD = (
    pods.update()
    .where(pods.c.uuid == sa.bindparam("of_pod"), pods.c.host_id == sa.bindparam("of_host"))
    .values(
        phase=sa.bindparam("new_phase"),
        observed_generation=sa.bindparam("new_generation"),
        observed_run=sa.bindparam("new_run"),
        reason=sa.bindparam("new_reason"),
        status=sa.bindparam("new_status"),
        reported_at=sa.bindparam("now"),
    )
)
_PARTLY = (
    pods.update()
    .where(pods.c.uuid == sa.bindparam("of_pod"), pods.c.host_id == sa.bindparam("of_host"))
    .values(phase=sa.bindparam("new_phase"), reason=sa.bindparam("new_reason"), reported_at=sa.bindparam("now"))
)
_ACTION = (
    actions_table.update()
    .where(
        actions_table.c.pod_uuid == sa.bindparam("of_pod"),
        actions_table.c.generation <= sa.bindparam("up_to"),
        actions_table.c.finished_at.is_(None),
    )
    .values(finished_at=sa.bindparam("now"), message=sa.bindparam("new_message"), reason=sa.bindparam("new_reason"))
)
_IMAGE = (
    images.update()
    .where(images.c.uuid == sa.bindparam("of_image"), images.c.host_id == sa.bindparam("of_host"))
    .values(
        phase=sa.bindparam("new_phase"),
        observed_generation=sa.bindparam("new_generation"),
        reason=sa.bindparam("new_reason"),
        image_id=sa.bindparam("new_image_id"),
        size_bytes=sa.bindparam("new_size"),
    )
)


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """A report was taken; ``leaves_gone`` when pods of it are gone whose rows provisioning must see to."""

    leaves_gone: bool


def take(tx: Transaction, host_id: int, report: Report) -> Taken | None:
    """Write a report, or nothing (``None``) when it is not newer than the last one taken of this host.

    Pods, events and images that are not this host's are passed over. Wishes that a pod has observed are finished, with the pod's reason
    where they failed; those of a pod that is gone are finished with its row. Where ports were refused to which a network was to be attached,
    ``provision.undo`` finishes them. ``Overtaken`` when two reports of a host were taken at once.
    """
    newest = {pod.uuid: pod.status for pod in report.pods}
    gone = {uuid: status.observed_generation for uuid, status in newest.items() if status.phase is Phase.GONE}
    removed = removal.reported_gone(tx, host_id, report.number, gone)
    if not _is_newer(tx, host_id, report, removed):
        if removed:
            raise Overtaken("A newer report of this host was taken at the same moment.")
        return None
    over = {one.uuid for one in removed}
    own = over | _write_pods(tx, host_id, report, {uuid: newest[uuid] for uuid in newest if uuid not in over})
    steps = [step for step in report.events if step.pod in own]
    if steps:
        events.put(tx, steps, host_id=host_id)
    _finish_wishes(tx, report.pods, own)
    _write_images(tx, host_id, report.images)
    return Taken(leaves_gone=not gone.keys() <= over)


def _is_newer(tx: Transaction, host_id: int, report: Report, removed: Sequence[removal.Removed]) -> bool:
    values: dict[str, Any] = {"report_number": report.number, "report_count": hosts.c.report_count + 1}
    values |= {"last_seen_at": tx.now, "updated_at": tx.now}
    if report.facts is not None:
        values |= facts_columns(report.facts)
    if removed:
        values |= claims.given_back(removal.claim_of(removed), pods=len(removed))
    guard = (hosts.c.id == host_id, hosts.c.report_number < report.number)
    return tx.change(hosts.update().where(*guard).values(**values)) == 1


def _write_pods(tx: Transaction, host_id: int, report: Report, newest: Mapping[str, model.PodStatus]) -> set[str]:
    """Writes what is reported of pods; gives the uuids among them and the report's events that are this host's."""
    whole, partly = [], []
    for uuid, status in newest.items():
        row = {"of_pod": uuid, "of_host": host_id, "now": tx.now}
        row |= {"new_phase": status.phase.value, "new_reason": status.reason or None}
        if status.partial:
            partly.append(row)
            continue
        row |= {"new_generation": status.observed_generation, "new_run": status.observed_run}
        whole.append(row | {"new_status": _encoder.encode(status).decode()})
    matched = tx.change_many(_POD, whole) + tx.change_many(_PARTLY, partly)
    over = {pod.uuid for pod in report.pods} - newest.keys()
    named = newest.keys() | {step.pod for step in report.events} - over
    if not named or (matched == len(newest) == len(named)):
        return set(named)
    query = sa.select(pods.c.uuid).where(pods.c.host_id == host_id, pods.c.uuid.in_(sorted(named)))
    return {row[0] for row in tx.rows(query)}


def _finish_wishes(tx: Transaction, reported: Sequence[PodReport], own: set[str]) -> None:
    done = [
        pod
        for pod in reported
        if pod.uuid in own
        and pod.status.phase is not Phase.GONE
        and pod.status.observed_generation > 0
        and not pod.status.partial
    ]
    refused = [pod.uuid for pod in done if pod.status.refused]
    left = actions.open_of(tx, refused, Wish.NETWORK_ATTACH) if refused else frozenset()
    tx.change_many(_ACTION, [_finished(tx, pod) for pod in done if pod.uuid not in left])


def _finished(tx: Transaction, pod: PodReport) -> dict[str, Any]:
    status = pod.status
    failed = status.failed or status.phase is Phase.FAILED
    return {
        "of_pod": pod.uuid,
        "up_to": status.observed_generation,
        "now": tx.now,
        "new_message": actions.ERROR if failed else None,
        "new_reason": status.reason or None if failed else None,
    }


def _write_images(tx: Transaction, host_id: int, reported: Sequence[ImageReport]) -> None:
    rows = [
        {
            "of_image": image.uuid,
            "of_host": host_id,
            "new_phase": image.phase,
            "new_generation": image.generation,
            "new_reason": image.reason or None,
            "new_image_id": image.image_id,
            "new_size": image.size_bytes,
        }
        for image in reported
    ]
    tx.change_many(_IMAGE, rows)
    if any(image.phase == "gone" for image in reported):
        over = (images.c.wanted.is_(sa.false()), images.c.phase == "gone")
        current = images.c.observed_generation >= images.c.generation
        tx.change(images.delete().where(images.c.host_id == host_id, *over, current))
