"""Plans what to ask of the outside for one pod: a printable list of idempotent steps, each with its reason. Pure: no store, no cloud, no clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Literal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One outside thing that a pod needs. ``key`` makes it this one among its kind; ``why`` ends the sentence "asked for because".

    ``shape`` says in up to 64 characters how it must be: a thing that was made in another shape is made again, which changes it.
    """

    kind: str
    key: str
    why: str
    shape: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Have:
    """One outside thing as the ledger has it. ``made`` is false while nobody knows whether the outside has done what it was asked.

    ``released_at`` is the pod's generation since which it is wanted no more.
    """

    kind: str
    key: str
    made: bool = True
    shape: str = ""
    external_id: str | None = None
    released_at: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. ``make`` writes the ledger, asks, and writes what came of it; ``release`` only notes that the host must leave it first;
    ``take_back`` asks, and then strikes the entry.
    """

    verb: Literal["make", "release", "take_back"]
    kind: str
    key: str
    why: str
    shape: str = ""
    external_id: str | None = None

    def __str__(self) -> str:
        return f"{self.verb} {self.kind} {self.key}: {self.why}"


def plan(wants: Sequence[Want], have: Collection[Have]) -> list[Step]:
    """The steps after which the outside gives all that is wanted, and the host is told to leave the rest; none when that is so.

    What is new is made, in the order wanted; what was asked for and never confirmed, or made in another shape, is asked for again.
    """
    known = {(one.kind, one.key): one for one in have}
    wanted = {(want.kind, want.key) for want in wants}
    steps = [
        Step("release", one.kind, one.key, "nothing needs it any more", one.shape, one.external_id)
        for one in reversed(list(have))
        if (one.kind, one.key) not in wanted and one.released_at is None
    ]
    for want in wants:
        found = known.get((want.kind, want.key))
        again = _why_again(want, found)
        if again is not None:
            external_id = None if found is None else found.external_id
            steps.append(Step("make", want.kind, want.key, f"{want.why}{again}", want.shape, external_id))
    return steps


def _why_again(want: Want, found: Have | None) -> str | None:
    """What is to be said of a thing that must be made; ``None`` when it is as wanted."""
    if found is None:
        return ""
    if not found.made:
        return "; it was asked for before, without an answer"
    if found.released_at is not None:
        return "; it is wanted again"
    return None if found.shape == want.shape else "; it is to be changed"


def take_back(have: Collection[Have], *, observed: int | None) -> list[Step]:
    """The steps that give the outside back what a pod needs no more, the last made first.

    ``observed`` is the newest generation that the host has dealt with: what was released by then has been left. ``None``: the pod is over.
    """
    return [
        Step("take_back", one.kind, one.key, "nothing needs it any more", one.shape, one.external_id)
        for one in reversed(list(have))
        if observed is None or (one.released_at is not None and one.released_at <= observed)
    ]
