"""Takes the framing off an engine's output streams. Knows no container and no verbs.

The frame is Docker's: one byte for the stream (1 stdout, 2 stderr), three zeros, four bytes of length, then the bytes.
"""

from __future__ import annotations

import collections
import http.client
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from higgins.core import errors
from higgins.engine.dialect import faults

HEADER_BYTES = 8
LONGEST_LINE_BYTES = 1 << 20
Lines = Iterator[bytes]


class Readable(Protocol):
    """What can be read in exact amounts."""

    def exactly(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end."""
        ...


def unframed(stream: Readable) -> Iterator[bytes]:
    """The contents of the frames, in the order they came; ends with the stream, in the middle of a frame too."""
    while len(header := stream.exactly(HEADER_BYTES)) == HEADER_BYTES:
        size = int.from_bytes(header[4:], "big")
        while size > 0:
            part = stream.exactly(min(size, 64 * 1024))
            if not part:
                return
            size -= len(part)
            yield part


def translated(chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    """The same chunks, with a broken stream told in Higgins' own errors."""
    try:
        yield from chunks
    except (OSError, http.client.HTTPException) as problem:
        raise faults.translate(problem, what) from problem


def lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in lines, with their ends; one longer than ``LONGEST_LINE_BYTES`` in pieces."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(rest) > LONGEST_LINE_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest


def last_lines(chunks: Iterator[bytes], count: int, most_bytes: int) -> Iterator[bytes]:
    """The last lines of what is read to its end first, and a byte more than ``most_bytes`` of them at least, if there are so many."""
    kept: collections.deque[bytes] = collections.deque()
    size = 0
    for line in lines(chunks):
        kept.append(line)
        size += len(line)
        while len(kept) > count or size - len(kept[0]) > most_bytes:
            size -= len(kept.popleft())
    yield from kept


class Watch:
    """Breaks something off, from a thread of its own, as soon as ``cancelled`` says so; to be used as a context."""

    def __init__(self, cancelled: Callable[[], bool] | None, every_s: float = 0.2) -> None:
        self._cancelled, self._every_s = cancelled, every_s
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._break_off: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="engine-watch", daemon=True)
        self.fired = False

    def __enter__(self) -> Watch:
        if self._cancelled is not None:
            self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def arm(self, break_off: Callable[[], None]) -> None:
        """What to call; at once when it is too late already."""
        with self._lock:
            self._break_off = break_off
            if self.fired:
                break_off()

    def check(self, message: str) -> None:
        """``Conflict`` when it has fired."""
        if self.fired:
            raise errors.Conflict(message)

    def _run(self) -> None:
        while self._cancelled is not None and not self._ended.wait(self._every_s):
            if self._cancelled():
                with self._lock:
                    self.fired = True
                    if self._break_off is not None:
                        self._break_off()
                return
