"""Processors of a host by their numbers, and how the kernel and the engines write several: ``0-3,8``. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from higgins.core.errors import Invalid

_PART = re.compile(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?")


def parse(text: str) -> frozenset[int]:
    """The numbers in a text such as ``0-3,8``; none of an empty one. ``Invalid`` for anything else."""
    found: set[int] = set()
    for part in text.split(",") if text.strip() else ():
        match = _PART.fullmatch(part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise Invalid(f"'{text}' names no processors. Write their numbers as 2-5,8.")
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(found)


def text(numbers: Iterable[int]) -> str:
    """The numbers as a text that ``parse`` reads, each once and in order."""
    runs = itertools.groupby(enumerate(sorted(set(numbers))), key=lambda pair: pair[1] - pair[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(pairs) for _, pairs in runs)]
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ends)
