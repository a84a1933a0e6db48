"""Keeps one party from taking all of what many share: how much of something goes on at once, in all and for each party."""

from __future__ import annotations

import threading
from collections import Counter

from higgins.core import errors

WAIT_S = 1.0
"""How long somebody waits for his turn. Long enough for a burst of quick ones, and short, since he waits in one of the threads that are few."""


class Turns:
    """At most ``total`` turns at once, and at most ``each`` of one party."""

    def __init__(self, total: int, each: int, *, wait_s: float = WAIT_S) -> None:
        self._total, self._each, self._wait_s = total, each, wait_s
        self._changed = threading.Condition()
        self._taken: Counter[str] = Counter()

    @classmethod
    def of(cls, threads: int) -> Turns:
        """Such that a quarter of these threads is left for everything else, and half of them for other parties."""
        return cls(max(1, threads - threads // 4), max(1, threads // 2))

    def take(self, party: str, message: str) -> Turn:
        """A turn, to be given back by leaving it as a context or by its ``close``; ``Busy`` with the message when there is none in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(party), self._wait_s):
                raise errors.Busy(message)
            self._taken[party] += 1
        return Turn(self, party)

    def _is_free(self, party: str) -> bool:
        return self._taken[party] < self._each and self._taken.total() < self._total

    def _give_back(self, party: str) -> None:
        with self._changed:
            self._taken[party] -= 1
            self._taken += Counter()  # without those that have none left
            self._changed.notify_all()


class Turn:
    """One turn; closing it again changes nothing."""

    def __init__(self, turns: Turns, party: str) -> None:
        self._turns: Turns | None = turns
        self._party = party

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it back."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns._give_back(self._party)
