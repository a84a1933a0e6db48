"""The kinds of outside things: what a pod wants of each, how it is made and taken back. A new kind is a class and a line in cmd."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from higgins.core import errors
from higgins.provision.plan import Want
from higgins.store.hosts import Host
from higgins.store.loops.ledger import Entry
from higgins.store.pods import Pod


def _nothing_noted(_data: str) -> None:
    """For what is taken back, of which nothing is noted any more."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to make or to take back. ``external_id`` is ``None`` as long as the outside has not answered.

    ``entries`` is all that the pod's ledger holds, with what earlier stages have just made. ``host`` is ``None`` for a pod that never had one.
    ``note`` writes the entry's data before the outside is asked, for what could not be told from the outside when the answer is lost; made, it has
    the data of ``Made``.
    """

    pod: Pod
    key: str
    shape: str = ""
    external_id: str | None = None
    entries: tuple[Entry, ...] = ()
    host: Host | None = None
    note: Callable[[str], None] = dataclasses.field(default=_nothing_noted, repr=False, compare=False)

    def made(self, kind: str, key: str) -> str:
        """What the outside calls another thing of the pod; ``Conflict`` (so it is tried again) while that is not there."""
        for entry in self.entries:
            if entry.kind == kind and entry.key == key and entry.external_id is not None:
                return entry.external_id
        raise errors.Conflict(f"The {kind} {key} is not there yet.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of making: the outside's name for it, and what the pod's host is told (JSON), openly and sealed."""

    external_id: str
    data: str | None = None
    secret: bytes | None = dataclasses.field(default=None, repr=False)


class Underway(errors.NotReady):
    """The outside has begun and needs no more than a moment: it is asked again soon, and no thread waits for it.

    ``external_id`` is what it calls a thing already that is still being made.
    """

    def __init__(self, message: str, *, external_id: str | None = None) -> None:
        super().__init__(message)
        self.external_id = external_id


class Discarded(errors.NotReady):
    """What the outside had made is there no more, or was of no use and was given back: another one is asked for. ``data`` is kept for that."""

    def __init__(self, message: str, *, data: str | None) -> None:
        super().__init__(message)
        self.data = data


class Kind(Protocol):
    """One kind of outside thing. All calls are safe to repeat, whatever a crash left half done, and come from several threads.

    ``stage`` orders kinds: things of one stage are made side by side, those of a higher one after them (and are taken back before them).
    """

    stage: int

    @property
    def name(self) -> str:
        """What the ledger calls this kind; of those that come with Higgins a ``KindName``."""
        ...

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """What a pod with a host wants of this kind. Decides from the pod alone; asks nobody."""
        ...

    def make(self, task: Task) -> Made:
        """Make one thing, or change it to the shape wanted; ``retryable`` errors and ``Conflict`` are tried again, ``Underway`` soon, others fail
        the pod's wish.
        """
        ...

    def take_back(self, task: Task) -> None:
        """Take one thing back; nothing happens when it is not there."""
        ...


def by_name(kinds: Sequence[Kind]) -> dict[str, Kind]:
    """Kinds by the name that their ledger entries carry."""
    return {kind.name: kind for kind in kinds}
