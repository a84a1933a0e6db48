"""What an audit of one service gives: findings, each with what puts it right. Knows no service."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Sequence

from higgins.core.caller import Scope
from higgins.core.phase import Desired
from higgins.provision.kinds import Kind
from higgins.store import actions, pods
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.ledger import Entry
from higgins.store.pods import Pod
from higgins.store.records import installation
from higgins.store.session import Database
from higgins.store.upkeep.audit import Finding, noted_for_nobody


@dataclasses.dataclass(frozen=True, slots=True)
class Unnoted:
    """What a pod wants (``why``, as its kind says it) and the ledger has not. ``settled``: provisioning has dealt with the pod all the same."""

    pod: str
    kind: str
    key: str
    why: str
    settled: bool


@dataclasses.dataclass(frozen=True)
class Known:
    """What the database has at this moment: the pods' uuids, the ledger's entries of some kinds, and what is missing among these."""

    installation: str
    pods: frozenset[str]
    entries: tuple[Entry, ...]
    unnoted: tuple[Unnoted, ...] = ()
    settled: frozenset[str] = frozenset()
    """Of ``pods`` those with whose newest wish provisioning has dealt without a failure."""

    def has(self, kind: str, external_id: str, pod_uuid: str) -> bool:
        """Whether a thing outside is noted, or may be one that was asked for and never confirmed, or is still to be noted."""
        return (kind, external_id) in self._confirmed or (kind, pod_uuid) in self._open

    @functools.cached_property
    def _confirmed(self) -> frozenset[tuple[str, str]]:
        return frozenset((one.kind, one.external_id) for one in self.entries if one.external_id is not None)

    @functools.cached_property
    def _open(self) -> frozenset[tuple[str, str]]:
        asked = {(one.kind, one.pod_uuid) for one in self.entries if one.external_id is None}
        return frozenset(asked | {(one.kind, one.pod) for one in self.unnoted})


@dataclasses.dataclass(frozen=True, slots=True)
class Stray:
    """One finding; ``put_right`` may raise ``core.errors`` and is ``None`` where there is no one right answer.

    ``left_by`` is the pod that a thing outside was made for and that does not need it: such a thing may go without an operator's word.
    """

    finding: Finding
    put_right: Callable[[], None] | None = None
    left_by: str | None = None


Look = Callable[[Known], Iterable[Stray]]
"""Asks one service once; raises ``core.errors``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Audit:
    """How one service is looked at, and the kinds of things that it gives; ``title`` names it in messages.

    ``whole_ledger``: its look needs entries of every kind.
    """

    title: str
    kinds: Sequence[Kind]
    look: Look
    whole_ledger: bool = False


def stray(
    kind: str, ident: str, text: str, put_right: Callable[[], None] | None = None, *, left_by: str | None = None
) -> Stray:
    """A finding with what puts it right."""
    return Stray(Finding(kind, ident, text, put_right is not None), put_right, left_by)


def known(db: Database, audit: Audit) -> Known:
    """What the database has."""
    names = {kind.name for kind in audit.kinds}
    with db.read() as tx:
        entries = tuple(ledger.every(tx, None if audit.whole_ledger else names))
        every = [pod for kind in ("container", "capsule") for pod in pods.list(tx, Scope(None), kind=kind)]
        installed = installation.uuid(tx)
    noted = {(one.pod_uuid, one.kind, one.key) for one in entries}
    return Known(
        installed,
        frozenset(pod.uuid for pod in every),
        entries,
        tuple(one for pod in every for one in _unnoted(pod, audit.kinds, noted)),
        frozenset(pod.uuid for pod in every if _is_settled(pod)),
    )


def _unnoted(pod: Pod, kinds: Iterable[Kind], noted: Collection[tuple[str, str, str]]) -> Iterable[Unnoted]:
    if pod.host_id is None or pod.desired is Desired.DELETED:
        return
    for want in (want for kind in kinds for want in kind.wanted_by(pod)):
        if (pod.uuid, want.kind, want.key) not in noted:
            yield Unnoted(pod.uuid, want.kind, want.key, want.why, _is_settled(pod))


def _is_settled(pod: Pod) -> bool:
    return (
        pod.provision_generation >= pod.generation
        and pod.provision_reason is None
        and pod.desired is not Desired.DELETED
    )


def settled(db: Database, audit: Audit) -> list[Stray]:
    """The findings on which two looks agree: what is under way during one is none in the other."""
    first = {one.finding for one in audit.look(known(db, audit))}
    return [one for one in audit.look(known(db, audit)) if one.finding in first] if first else []


def was_here(db: Database, known: Known, pod_uuid: str) -> bool:
    """Whether there is a pod of this uuid, or was one whose actions are still remembered: what carries its uuid is ours."""
    if pod_uuid in known.pods:
        return True
    with db.read() as tx:
        return actions.remembers(tx, pod_uuid)


def of_nobody(db: Database, entry: Entry, take_back: Callable[[], None]) -> Stray:
    """An entry of a pod that is gone, which holds whatever it names; ``take_back`` has that gone."""

    def put_right() -> None:
        take_back()
        with db.write() as tx:
            ledger.strike(tx, entry.pod_uuid, [(entry.kind, entry.key)])

    return stray("ledger", entry.pod_uuid, noted_for_nobody(entry.kind, entry.key), put_right)


def made_anew(db: Database, lost: Entry, beside: Collection[Entry] = ()) -> None:
    """Have provisioning make a thing of a pod again that is gone outside, and fit those ``beside`` it to what comes."""
    with db.write() as tx:
        ledger.doubt(tx, lost.pod_uuid, [(lost.kind, lost.key)], forget=True)
        ledger.doubt(tx, lost.pod_uuid, [(one.kind, one.key) for one in beside], forget=False)
        provisioning.again(tx, lost.pod_uuid)


def looked_at_again(db: Database, pod_uuid: str) -> None:
    """Have provisioning look once more at what a pod wants, and ask for what is not noted or not confirmed."""
    with db.write() as tx:
        provisioning.again(tx, pod_uuid)
