"""A loop's heartbeat: one thread that does a pass when a hint comes, and now and then without one. Must not know what a pass does."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Collection

from higgins.core import errors
from higgins.wire.hints import Hints

LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0


class Pulse:
    """Calls ``work`` on one thread of its own: at the start, soon after a hint of one of ``topics``, and every ``interval_s``.

    ``work`` gives the seconds after which it wants to be called again at the latest, or ``None``. When it raises, it is called again after
    a pause that grows up to half a minute; hints do not shorten that.
    """

    def __init__(
        self, name: str, work: Callable[[], float | None], hints: Hints, topics: Collection[str], *, interval_s: float
    ) -> None:
        self._name = name
        self._work = work
        self._topics = frozenset(topics)
        self._interval_s = interval_s
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        hints.listen(self._hear)

    def start(self) -> None:
        """Begin."""
        self._stopping.clear()
        self._due.set()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the pass that is going on."""
        self._stopping.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _hear(self, topic: str) -> None:
        if topic in self._topics:
            self._due.set()

    def _run(self) -> None:
        wait_s = self._interval_s
        while True:
            self._due.wait(wait_s)
            if self._stopping.is_set():
                return
            self._due.clear()
            wait_s = self._pass()

    def _pass(self) -> float:
        try:
            sooner_s = self._work()
        except Exception as error:  # a loop outlives whatever one pass meets
            self._failures += 1
            if isinstance(error, errors.HigginsError):
                LOG.warning("The loop %s will try again: %s", self._name, error.message)
            else:
                LOG.exception("The loop %s met something unforeseen and will try again", self._name)
            self._stopping.wait(self._pause_s())
            return 0.0
        self._failures = 0
        return self._interval_s if sooner_s is None else min(self._interval_s, max(0.0, sooner_s))

    def _pause_s(self) -> float:
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311 - only spreads the replicas
