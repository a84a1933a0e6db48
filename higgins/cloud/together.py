"""Asks several things at the same time, where none needs another's answer. Must not know what is asked, nor of whom."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 8


def together(work: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """What ``work`` gives for each thing, in their order; a single one is asked for in the calling thread. Raises the first thing's error."""
    if len(things) < 2:
        return [work(thing) for thing in things]
    with concurrent.futures.ThreadPoolExecutor(min(len(things), _AT_ONCE), "together") as threads:
        return list(threads.map(work, things))
