"""Work on several pods side by side, never twice on one. Must not know what the work is."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

LOG = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class Crew:
    """Does one piece of work for each pod at a time, on up to ``at_once`` threads; with 0 in the calling thread.

    ``again`` is called, from the thread of the work, when somebody came with a newer generation of the pod while the work went on.
    """

    def __init__(self, name: str, again: Callable[[], None], *, at_once: int = 0) -> None:
        self._name, self._again, self._at_once = name, again, at_once
        self._lock = threading.Lock()
        self._busy: dict[str, int] = {}
        self._newer: set[str] = set()
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None

    def take(self, uuid: str, generation: int, work: Callable[[], None]) -> None:
        """Have ``work`` done for this pod, unless something is being done for it: then it is asked for anew later, if this is newer."""
        with self._lock:
            if uuid in self._busy:
                if generation > self._busy[uuid]:
                    self._newer.add(uuid)
                return
            self._busy[uuid] = generation
            if self._at_once and self._threads is None:
                self._threads = concurrent.futures.ThreadPoolExecutor(self._at_once, self._name)
            threads = self._threads
        if threads is None:
            self._do(uuid, work)
        else:
            threads.submit(self._do, uuid, work)

    def stop(self) -> None:
        """End after the work that has begun; what waits is forgotten."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            self._busy.clear()
            self._newer.clear()

    def _do(self, uuid: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the loop of a thread: the pod is found due again by the next pass
            LOG.exception("The work on pod %s met something unforeseen and will be tried again", uuid)
        with self._lock:
            self._busy.pop(uuid, None)
            newer = uuid in self._newer
            self._newer.discard(uuid)
        if newer:
            self._again()


def side_by_side(work: Callable[[T], R], things: Sequence[T]) -> list[R | Exception]:
    """What ``work`` gives, or raised, for each thing in turn; several run side by side, a single one in the calling thread."""
    if len(things) < 2:
        return [_caught(work, thing) for thing in things]
    with concurrent.futures.ThreadPoolExecutor(len(things), "outside") as threads:
        return list(threads.map(lambda thing: _caught(work, thing), things))


def _caught(work: Callable[[T], R], thing: T) -> R | Exception:
    try:
        return work(thing)
    except Exception as error:  # noqa: BLE001 - raised again by who asked, once its neighbours' answers are kept
        return error


def worst(errors: Iterable[Exception], final: Callable[[Exception], bool]) -> Exception | None:
    """The first error that is final, else the first; ``None`` when there is none."""
    found = list(errors)
    return next((error for error in found if final(error)), found[0] if found else None)
