"""Keeps one party from taking all of what many share: how much of something goes on at once, in all and for each party.

Knows no clock and queues nobody: who gets no turn is told so, since waiting for one would hold the very thread that is short.
"""

from __future__ import annotations

import threading
from collections import Counter

from higgins.core import errors


class Turns:
    """At most ``total`` turns at once, and at most ``each`` of one party."""

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._all = 0

    @classmethod
    def of(cls, threads: int) -> Turns:
        """Such that a quarter of these threads is left for everything else, and half of them for other parties."""
        return cls(max(1, threads - threads // 4), max(1, threads // 2))

    def take(self, party: str, message: str) -> Turn:
        """A turn, to be given back by leaving it as a context or by its ``close``; ``Busy`` with the message when there is none."""
        with self._lock:
            if self._all >= self._total or self._taken[party] >= self._each:
                raise errors.Busy(message)
            self._all += 1
            self._taken[party] += 1
        return Turn(self, party)

    def _give_back(self, party: str) -> None:
        with self._lock:
            self._all -= 1
            self._taken[party] -= 1
            if not self._taken[party]:
                del self._taken[party]


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
