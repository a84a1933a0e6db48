"""What a loop has put off: when each thing is due again, and how many to look for so that these do not hide others. Must not know what a thing is."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0
_FIRST_LOOK_S = 0.25
_LONGEST_LOOK_S = 5.0
_AT_MOST = 500


class Due(Protocol):
    """What is put off: by its uuid, until it has a newer generation."""

    @property
    def uuid(self) -> str: ...  # noqa: D102
    @property
    def generation(self) -> int: ...  # noqa: D102


T = TypeVar("T")


class _Pause(NamedTuple):
    due: float
    failed: int
    looks: int
    generation: int


class Pauses:
    """When what failed is due again: after a pause that doubles up to ``longest_s``, or with a newer generation. Any thread may call.

    With 0 it is due again at once, and is only counted. What is under way elsewhere is looked at again after shorter pauses; they are no success, so
    what fails after them waits longer than the time before.
    """

    def __init__(self, *, longest_s: float = _LONGEST_PAUSE_S) -> None:
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._of: dict[str, _Pause] = {}
        self._looked_at = -math.inf

    def room(self) -> int:
        """How many to look for, so that those put off do not stand before all others."""
        with self._lock:
            return _AT_MOST + len(self._of)

    def let_through(self, found: Sequence[T], due: Callable[[T], Due]) -> list[T]:
        """Those of the found that may be tried now; what is not found any more is forgotten."""
        now = time.monotonic()
        uuids = {due(one).uuid for one in found}
        with self._lock:
            self._looked_at = now
            self._of = {uuid: pause for uuid, pause in self._of.items() if uuid in uuids}
            return [one for one in found if self._may(due(one), now)]

    def _may(self, one: Due, now: float) -> bool:
        pause = self._of.get(one.uuid)
        return pause is None or now >= pause.due or one.generation > pause.generation

    def put_off(self, one: Due, *, underway: bool = False) -> float:
        """Put one off; gives for how many seconds."""
        first_s, grows, most_s = _FIRST_PAUSE_S, 2.0, _LONGEST_PAUSE_S
        if underway:
            first_s, grows, most_s = _FIRST_LOOK_S, 1.5, _LONGEST_LOOK_S
        with self._lock:
            before = self._of.get(one.uuid)
            if before is None or before.generation != one.generation:
                before = _Pause(0.0, failed=0, looks=0, generation=one.generation)
            failed, looks = (before.failed, before.looks + 1) if underway else (before.failed + 1, 0)
            longest_s = min(self._longest_s, most_s, first_s * grows ** min((looks or failed) - 1, 20))
            pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311 - only spreads the replicas
            self._of[one.uuid] = _Pause(time.monotonic() + pause_s, failed, looks, one.generation)
            return pause_s

    def times(self, uuid: str) -> int:
        """How often one has failed; of what was under way the last time, how often in a row."""
        with self._lock:
            found = self._of.get(uuid)
            return 0 if found is None else found.looks or found.failed

    def forget(self, uuid: str) -> None:
        """It has succeeded."""
        with self._lock:
            self._of.pop(uuid, None)

    def next_s(self) -> float | None:
        """Seconds until the first that is put off is due. One that was let through is being tried, and fails or succeeds."""
        now = time.monotonic()
        with self._lock:
            waits = [max(0.0, pause.due - now) for pause in self._of.values() if pause.due > self._looked_at]
        return min(waits, default=None)
