"""Plans what to ask of the outside for one pod: a printable list of idempotent steps, each with its reason. Pure: no store, no cloud, no clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Literal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One outside thing that a pod needs. ``key`` makes it this one among its kind; ``why`` ends the sentence "asked for because"."""

    kind: str
    key: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Have:
    """One outside thing as the ledger has it. ``made`` is false while nobody knows whether the outside has done what it was asked."""

    kind: str
    key: str
    made: bool = True
    external_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. ``make`` writes the ledger, asks, and writes what came of it; ``take_back`` asks, and then strikes the entry."""

    verb: Literal["make", "take_back"]
    kind: str
    key: str
    why: str
    external_id: str | None = None

    def __str__(self) -> str:
        return f"{self.verb} {self.kind} {self.key}: {self.why}"


def plan(wants: Sequence[Want], have: Collection[Have]) -> list[Step]:
    """The steps after which the outside gives exactly what is wanted; none when it does.

    What is new is made, in the order wanted; what was asked for and never confirmed is asked for again; what is wanted no more is
    taken back, the last first. A pod that is over wants nothing.
    """
    known = {(one.kind, one.key): one for one in have}
    wanted = {(want.kind, want.key) for want in wants}
    surplus = [one for one in have if (one.kind, one.key) not in wanted]
    steps = [_take_back(one) for one in reversed(surplus)]
    for want in wants:
        found = known.get((want.kind, want.key))
        if found is None:
            steps.append(Step("make", want.kind, want.key, want.why))
        elif not found.made:
            again = f"{want.why}; it was asked for before, without an answer"
            steps.append(Step("make", want.kind, want.key, again))
    return steps


def _take_back(one: Have) -> Step:
    return Step("take_back", one.kind, one.key, "nothing needs it any more", one.external_id)
