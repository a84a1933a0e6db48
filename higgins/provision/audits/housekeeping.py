"""Housekeeping: old history is deleted, questions that nobody waits for are ended, pods whose host is silent say so.

Decides nothing about pods.
"""

from __future__ import annotations

import datetime

from higgins.core.defaults import HOST_DOWN_AFTER_S
from higgins.store.records import idempotency
from higgins.store.session import Database
from higgins.store.upkeep import housekeeping
from higgins.wire.hints import Hints
from higgins.wire.pulse import Pulse


class Housekeeper:
    """Does its rounds on a thread of its own. History ends after ``history_days``, idempotency keys after ``idempotency_hours``.

    A live question that is an action (commit, signal) ends after ``question_s``: longer than any answer is waited for.
    """

    def __init__(
        self,
        db: Database,
        own_hints: Hints,
        *,
        history_days: float = 30.0,
        idempotency_hours: float = 24.0,
        question_s: float = 300.0,
        down_after_s: float = HOST_DOWN_AFTER_S,
        interval_s: float = 60.0,
    ) -> None:
        self._db = db
        self._history = datetime.timedelta(days=history_days)
        self._keys = datetime.timedelta(hours=idempotency_hours)
        self._questions = datetime.timedelta(seconds=question_s)
        self._silence = datetime.timedelta(seconds=down_after_s)
        self._pulse = Pulse("housekeeping", self.run_once, own_hints, (), interval_s=interval_s)

    def start(self) -> None:
        """Begin."""
        self._pulse.start()

    def stop(self) -> None:
        """End after the round that is going on."""
        self._pulse.stop()

    def run_once(self) -> float | None:
        """One round; gives 0 when there is more history to delete than one transaction should."""
        now = self._db.now()
        with self._db.write() as tx:
            housekeeping.explain_silence(tx, heard_after=now - self._silence)
            housekeeping.end_questions(tx, now - self._questions)
            idempotency.purge(tx, now - self._keys)
        with self._db.write() as tx:
            deleted = housekeeping.purge_history(tx, now - self._history)
        return 0.0 if deleted else None
