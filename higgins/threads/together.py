"""Does several things at the same time, where none needs another's answer. Must not know what is done, nor who is asked."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
Q = TypeVar("Q")

_AT_ONCE = 8


def together(work: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """What ``work`` gives for each thing, in their order, once all are done. Raises the first thing's error."""
    given: list[R] = []
    for answer in side_by_side(work, things):
        if isinstance(answer, Exception):
            raise answer
        given.append(answer)
    return given


def both(first: Callable[[], R], second: Callable[[], Q]) -> tuple[R, Q]:
    """What the two give; raises the first one's error, else the second one's. The first is done in the calling thread."""
    with concurrent.futures.ThreadPoolExecutor(1, "together") as threads:
        other = threads.submit(second)
        return first(), other.result()


def side_by_side(work: Callable[[T], R], things: Sequence[T]) -> list[R | Exception]:
    """What ``work`` gives, or raised, for each thing, in their order; a single one is done in the calling thread."""
    if len(things) < 2:
        return [_caught(work, thing) for thing in things]
    with concurrent.futures.ThreadPoolExecutor(min(len(things), _AT_ONCE), "together") as threads:
        return list(threads.map(lambda thing: _caught(work, thing), things))


def _caught(work: Callable[[T], R], thing: T) -> R | Exception:
    try:
        return work(thing)
    except Exception as error:  # noqa: BLE001 - raised again by who asked, once its neighbours' answers are kept
        return error
