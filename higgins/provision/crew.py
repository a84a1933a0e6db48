"""Work on several pods side by side, never twice on one. Must not know what the work is."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
from collections.abc import Callable, Iterable

from higgins.store.loops.holds import Holder

LOG = logging.getLogger(__name__)


class Crew:
    """Does pieces of work on up to ``at_once`` threads; with 0 in the calling thread. Crews of one ``holder`` never work on one pod at once.

    ``again`` is called when somebody came for a pod while a crew was at it: for one that is at something else, or with a newer generation.
    """

    def __init__(self, name: str, holder: Holder, again: Callable[[], None], *, at_once: int = 0) -> None:
        self._name, self._holder, self._again, self._at_once = name, holder, again, at_once
        self._lock = threading.Lock()
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None

    def take(self, uuid: str, generation: int, work: Callable[[], None]) -> None:
        """Have ``work`` done for this pod, unless something is being done for it."""
        if not self._holder.begin(uuid, self, generation, self._again):
            return
        if not self._at_once:
            self._do(uuid, work)
            return
        with self._lock:
            if self._threads is None:
                self._threads = concurrent.futures.ThreadPoolExecutor(self._at_once, self._name)
            self._threads.submit(self._do, uuid, work)

    def stop(self) -> None:
        """End after the work that has begun; what waits is forgotten."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        self._holder.abandon(self)

    def _do(self, uuid: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the loop of a thread: the pod is found due again by the next pass
            LOG.exception("The work on pod %s met something unforeseen and will be tried again", uuid)
        finally:
            self._holder.end(uuid)


def worst(errors: Iterable[Exception], badness: Callable[[Exception], int]) -> Exception | None:
    """The worst error, of several that are as bad the first; ``None`` when there is none."""
    return max(errors, key=badness, default=None)
