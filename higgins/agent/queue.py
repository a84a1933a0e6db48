"""A queue of keys to be looked at: one key is never with two workers, and may be added for later.

It knows nothing of pods. A key added while a worker has it comes back once that worker is done.
"""

from __future__ import annotations

import heapq
import threading
import time


class WorkQueue:
    """Keys with the time at which each is due; every method may be called from any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._taken: set[str] = set()
        self._closed = False

    def add(self, key: str, *, after_s: float = 0.0) -> None:
        """Have a key looked at after some seconds, or sooner if it was to be looked at sooner."""
        due = time.monotonic() + after_s
        with self._condition:
            known = self._due.get(key)
            if known is not None and known <= due:
                return
            self._due[key] = due
            if key not in self._taken:
                heapq.heappush(self._heap, (due, key))
                self._condition.notify()

    def get(self) -> str | None:
        """Wait for the next due key and take it; None once the queue is closed."""
        with self._condition:
            while not self._closed:
                wait_s = self._wait_s()
                if wait_s is None or wait_s > 0:
                    self._condition.wait(wait_s)
                    continue
                _, key = heapq.heappop(self._heap)
                del self._due[key]
                self._taken.add(key)
                # A worker whose wait has just ended takes this one also when another was woken for it.
                self._condition.notify()
                return key
            return None

    def _wait_s(self) -> float | None:
        while self._heap:
            due, key = self._heap[0]
            if self._due.get(key) == due and key not in self._taken:
                return due - time.monotonic()
            heapq.heappop(self._heap)
        return None

    def done(self, key: str) -> None:
        """Give a key back; it is due again when it was added meanwhile."""
        with self._condition:
            self._taken.discard(key)
            if key in self._due:
                heapq.heappush(self._heap, (self._due[key], key))
                self._condition.notify()

    def close(self) -> None:
        """Let every waiting worker go."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
