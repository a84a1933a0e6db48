"""Volumes and attachments of ours at Cinder against the ledger: what nobody needs, and what is noted and gone.

Attachments that were never completed carry no mark that Cinder shows: those are found by the ledger alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

from higgins.cloud.cinder import Cinder, Volume
from higgins.core import errors
from higgins.provision.audits.stray import Known, Stray, made_anew, stray
from higgins.provision.volumes import FOR_INSTALLATION, FOR_POD, NEW_VOLUME, mark
from higgins.store.agents.assignments import ATTACHMENT
from higgins.store.loops.ledger import Entry
from higgins.store.session import Database

KINDS = (NEW_VOLUME, ATTACHMENT)


def strays(known: Known, cinder: Cinder, db: Database) -> Iterator[Stray]:
    """All that is wrong with attachments, and with volumes that go with their pod."""
    volumes = list(cinder.every_volume())
    for volume in volumes:
        yield from _unknown_uses(cinder, known, volume)
        pod = volume.metadata.get(FOR_POD, "")
        ours = volume.metadata.get(FOR_INSTALLATION) == known.installation
        if ours and volume.status != "deleting" and not known.has(NEW_VOLUME, volume.id, pod):
            yield _unknown_volume(cinder, known, volume)
    for entry in known.entries:
        if entry.external_id is not None and entry.made_at is not None and entry.released_at is None:
            yield from _lost(cinder, db, entry, volumes)


def _unknown_uses(cinder: Cinder, known: Known, volume: Volume) -> Iterator[Stray]:
    for use in volume.uses:
        if use.mark == mark(known.installation) and not known.has(ATTACHMENT, use.attachment, use.server):
            text = f"Cinder attaches the volume {volume.id} to the container {use.server}, but nothing needs it"
            yield stray("attachment", use.attachment, text, functools.partial(cinder.detach, use.attachment))


def _unknown_volume(cinder: Cinder, known: Known, volume: Volume) -> Stray:
    pod = volume.metadata.get(FOR_POD) or "(none)"
    others = [use.server for use in volume.uses if use.mark != mark(known.installation)]
    if others:
        text = f"it was to go with the container {pod}, but is attached to {others[0]}; its owner may keep it"
        return stray("volume", volume.id, text)
    text = f"Cinder has it for the container {pod}, but nothing needs it"
    return stray("volume", volume.id, text, functools.partial(_deleted, cinder, volume))


def _deleted(cinder: Cinder, volume: Volume) -> None:
    for use in volume.uses:
        cinder.detach(use.attachment, server=use.server)
    cinder.delete(volume.id)


def _lost(cinder: Cinder, db: Database, entry: Entry, volumes: Sequence[Volume]) -> Iterator[Stray]:
    ident = str(entry.external_id)
    if entry.kind == NEW_VOLUME:
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
