"""Volumes and attachments of ours at Cinder against the ledger: what nobody needs, and what is noted and gone.

Attachments that were never completed carry no mark that Cinder shows: ours are told by the container that they are for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

from higgins.cloud.cinder import Cinder, Volume
from higgins.core import errors
from higgins.provision.attachments import mark
from higgins.provision.audits.stray import Known, Stray, made_anew, of_nobody, stray, was_here
from higgins.provision.volumes import FOR_INSTALLATION, FOR_MOUNT, FOR_POD, delete, leave, originals
from higgins.store.loops import ledger
from higgins.store.loops.ledger import Entry, KindName
from higgins.store.session import Database


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """What one look has to go by. ``made`` are those of the volumes that this installation made."""

    known: Known
    cinder: Cinder
    db: Database
    volumes: Sequence[Volume]
    made: Sequence[Volume]


def strays(known: Known, cinder: Cinder, db: Database) -> Iterator[Stray]:
    """All that is wrong with attachments, and with volumes that go with their pod."""
    volumes = list(cinder.every_volume())
    look = _Look(known, cinder, db, volumes, originals(volumes, known.installation))
    for one in cinder.unfinished():
        if not known.has(KindName.ATTACHMENT, one.id, one.server) and was_here(db, known, one.server):
            text = f"Cinder keeps the volume {one.volume} for the container {one.server}, but nothing needs it"
            yield stray("attachment", one.id, text, functools.partial(cinder.detach, one.id), left_by=one.server)
    for volume in volumes:
        yield from _unknown_uses(cinder, known, volume)
    for volume in look.made:
        if volume.status != "deleting" and not known.has(
            KindName.NEW_VOLUME, volume.id, volume.metadata.get(FOR_POD, "")
        ):
            yield _unknown_volume(look, volume)
    for entry in reversed(known.entries):  # attachments before their volumes
        if entry.pod_uuid not in known.pods:
            yield of_nobody(db, entry, functools.partial(_taken_back, look, entry))
        elif entry.external_id is not None and entry.made_at is not None and entry.released_at is None:
            yield from _lost(cinder, db, entry, volumes)


def _unknown_uses(cinder: Cinder, known: Known, volume: Volume) -> Iterator[Stray]:
    for use in volume.uses:
        if use.mark == mark(known.installation) and not known.has(KindName.ATTACHMENT, use.attachment, use.server):
            text = f"Cinder attaches the volume {volume.id} to the container {use.server}, but nothing needs it"
            put_right = functools.partial(cinder.detach, use.attachment)
            yield stray("attachment", use.attachment, text, put_right, left_by=use.server)


def _unknown_volume(look: _Look, volume: Volume) -> Stray:
    pod = volume.metadata.get(FOR_POD, "")
    others = _others(look.known, volume)
    put_right = functools.partial(_ended, look, volume.id)
    if others:
        text = f"it was to go with the container {pod}, but is attached to {others[0]}; its owner keeps it, without our mark"
        return stray("volume", volume.id, text, put_right)
    text = f"Cinder has it for the container {pod or '(none)'}, but nothing needs it"
    return stray("volume", volume.id, text, put_right, left_by=pod)


def _others(known: Known, volume: Volume) -> list[str]:
    """Who uses a volume: others, and containers of ours that the ledger knows to have it."""
    ours = mark(known.installation)
    return [
        use.server
        for use in volume.uses
        if use.mark != ours or known.has(KindName.ATTACHMENT, use.attachment, use.server)
    ]


def _ended(look: _Look, ident: str, *, of_pod: str | None = None) -> None:
    """Delete a volume, or leave it to its owner if somebody else than ``of_pod`` uses it at this moment."""
    try:
        volume = look.cinder.volume(ident)
    except errors.NotFound:
        return
    with look.db.read() as tx:
        now = dataclasses.replace(look.known, entries=tuple(ledger.every(tx, {KindName.ATTACHMENT})))
    others = [server for server in _others(now, volume) if server != of_pod]
    if others:
        leave(look.cinder, volume, f"it is attached to {others[0]}")
        return
    for use in volume.uses:
        look.cinder.detach(use.attachment, server=use.server)
    delete(look.cinder, volume)


def _taken_back(look: _Look, entry: Entry) -> None:
    """Have nothing left of what an entry names, as far as it can be found without its pod."""
    if entry.kind == KindName.ATTACHMENT:
        for one in look.cinder.attachments(server=entry.pod_uuid):
            if entry.external_id in (None, one.id):
                look.cinder.detach(one.id, server=one.server)
    elif entry.external_id is not None:
        with contextlib.suppress(errors.NotFound):
            if look.cinder.volume(entry.external_id).metadata.get(FOR_INSTALLATION) == look.known.installation:
                _ended(look, entry.external_id, of_pod=entry.pod_uuid)
    else:
        for volume in look.made:
            if volume.metadata.get(FOR_MOUNT) == entry.key:
                _ended(look, volume.id, of_pod=entry.pod_uuid)


def _lost(cinder: Cinder, db: Database, entry: Entry, volumes: Sequence[Volume]) -> Iterator[Stray]:
    ident = str(entry.external_id)
    if entry.kind == KindName.NEW_VOLUME:
        if all(volume.id != ident for volume in volumes) and _is_gone(cinder.volume, ident):
            text = f"the container {entry.pod_uuid} has it, but Cinder does not; its data is lost, so create the container anew"
            yield stray("volume", ident, text)
        return
    uses = [use for volume in volumes for use in volume.uses]
    if all(use.attachment != ident for use in uses) and _is_gone(cinder.attachment, ident):
        text = f"the container {entry.pod_uuid} has it, but Cinder does not; it is to be made anew"
        yield stray("attachment", ident, text, functools.partial(made_anew, db, entry))


def _is_gone(look: Callable[[str], object], ident: str) -> bool:
    try:
        look(ident)
    except errors.NotFound:
        return True
    return False
