"""What an audit of one service gives: findings, each with what puts it right. Knows no service."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable

from higgins.core.caller import Scope
from higgins.store import pods
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.ledger import Entry
from higgins.store.records import installation
from higgins.store.session import Database
from higgins.store.upkeep.audit import Finding


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What the database has at this moment: the pods' uuids, and the ledger's entries of some kinds."""

    installation: str
    pods: frozenset[str]
    entries: tuple[Entry, ...]

    def has(self, kind: str, external_id: str, pod_uuid: str) -> bool:
        """Whether a thing outside is noted, or may be one that was asked for and never confirmed."""
        return any(
            entry.kind == kind
            and (entry.external_id == external_id or (entry.external_id is None and entry.pod_uuid == pod_uuid))
            for entry in self.entries
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Stray:
    """One finding; ``put_right`` may raise ``core.errors`` and is ``None`` where there is no one right answer."""

    finding: Finding
    put_right: Callable[[], None] | None = None


Look = Callable[[Known], Iterable[Stray]]
"""Asks one service once; raises ``core.errors``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Audit:
    """How one service is looked at, and the kinds of the ledger's entries that its look needs; ``title`` names it in messages."""

    title: str
    kinds: Collection[str]
    look: Look


def stray(kind: str, ident: str, text: str, put_right: Callable[[], None] | None = None) -> Stray:
    """A finding with what puts it right."""
    return Stray(Finding(kind, ident, text, put_right is not None), put_right)


def known(db: Database, kinds: Collection[str]) -> Known:
    """What the database has."""
    with db.read() as tx:
        every = frozenset(
            pod.uuid for kind in ("container", "capsule") for pod in pods.list(tx, Scope(None), kind=kind)
        )
        return Known(installation.uuid(tx), every, tuple(ledger.every(tx, kinds)))


def settled(db: Database, audit: Audit) -> list[Stray]:
    """The findings on which two looks agree: what is under way during one is none in the other."""
    first = {one.finding for one in audit.look(known(db, audit.kinds))}
    return [one for one in audit.look(known(db, audit.kinds)) if one.finding in first] if first else []


def made_anew(db: Database, lost: Entry, beside: Collection[Entry] = ()) -> None:
    """Have provisioning make a thing of a pod again that is gone outside, and fit those ``beside`` it to what comes."""
    with db.write() as tx:
        ledger.doubt(tx, lost.pod_uuid, [(lost.kind, lost.key)], forget=True)
        ledger.doubt(tx, lost.pod_uuid, [(one.kind, one.key) for one in beside], forget=False)
        provisioning.again(tx, lost.pod_uuid)
