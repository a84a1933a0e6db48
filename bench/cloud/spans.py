"""Who asked whom for what, from when to when: recorded at the seams where the calls pass anyway. Knows no benchmark and no table."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from bench.work import Tally
from higgins.store.session import Database, Transaction

PARTS = {
    "MainThread": "api",
    "together": "api",
    "outside": "provision",
    **dict.fromkeys(("worker", "assignments", "reports", "engine", "timer", "Thread"), "agent"),
}
"""Threads by the first word of their name, where that is not the part's own name."""
_IDENTS = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """One call; times are those of ``time.perf_counter``."""

    part: str
    whom: str
    what: str
    began: float
    ended: float


def part_of_thread() -> str:
    """Which part of Higgins the calling thread belongs to."""
    first = re.split("[_ ]|-[0-9]", threading.current_thread().name)[0]
    return PARTS.get(first, first)


class Recorder:
    """Keeps calls and marks, from any thread, and counts the calls in a tally too."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._marks: list[tuple[str, float]] = []

    def mark(self, name: str) -> None:
        """Something happened now."""
        with self._lock:
            self._marks.append((name, time.perf_counter()))

    @contextlib.contextmanager
    def span(self, whom: str, what: str, kind: str | None = None) -> Iterator[None]:
        """A call that goes on for as long as the block; counted as ``kind`` if that is given."""
        part, began = part_of_thread(), time.perf_counter()
        if kind is not None:
            self.tally.add(part, kind, what)
        try:
            yield
        finally:
            self.keep(Span(part, whom, what, began, time.perf_counter()))

    def keep(self, span: Span) -> None:
        """A call that is over."""
        with self._lock:
            self._spans.append(span)

    def taken(self) -> tuple[list[Span], list[tuple[str, float]]]:
        """Calls and marks until now, in the order of their beginning; they begin anew."""
        with self._lock:
            spans, marks = sorted(self._spans, key=lambda one: one.began), self._marks
            self._spans, self._marks = [], []
        return spans, marks


class Timed:
    """Anything of which chosen methods are recorded; ``kind`` is what they are counted as."""

    def __init__(
        self, inner: Any, recorder: Recorder, whom: str, methods: Collection[str], kind: str | None = None
    ) -> None:
        self._inner, self._recorder, self._whom, self._methods, self._kind = inner, recorder, whom, methods, kind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._methods:
            return found

        def timed(*words: Any, **named: Any) -> Any:
            said = " ".join(word for word in words if isinstance(word, str))
            with self._recorder.span(self._whom, plain(said if "/" in said else name), self._kind):
                return found(*words, **named)

        return timed


class TimedDatabase(Database):
    """A database whose statements and commits are recorded."""

    def __init__(self, url: str, recorder: Recorder, **words: Any) -> None:
        super().__init__(url, **words)
        self._recorder = recorder
        sa.event.listen(self.engine, "before_cursor_execute", self._before)
        sa.event.listen(self.engine, "after_cursor_execute", self._after)

    @contextlib.contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Transaction]:
        """As the other; from the block's end on it is the commit."""
        part, began = part_of_thread(), 0.0
        with super().write(durable=durable) as tx:
            yield tx
            began = time.perf_counter()
        self._recorder.keep(Span(part, "database", "COMMIT", began, time.perf_counter()))

    def _before(self, _connection: Any, _cursor: Any, _sql: str, _words: Any, context: Any, _many: bool) -> None:
        context.higgins_began = time.perf_counter()

    def _after(self, _connection: Any, _cursor: Any, sql: str, _words: Any, context: Any, _many: bool) -> None:
        words = " ".join(sql.split())[:60]
        self._recorder.keep(Span(part_of_thread(), "database", words, context.higgins_began, time.perf_counter()))


@contextlib.contextmanager
def http_recorded(recorder: Recorder, services: Mapping[str, str]) -> Iterator[None]:
    """Record what this process asks of services by the library that all ports to the cloud share; ``services`` are names by host and port."""
    send: Callable[..., Any] = HTTPAdapter.send

    def recorded(adapter: HTTPAdapter, request: PreparedRequest, *words: Any, **named: Any) -> Any:
        asked = urllib.parse.urlsplit(str(request.url))
        whom = services.get(asked.netloc)
        if whom is None:
            return send(adapter, request, *words, **named)
        query = "&".join(dict.fromkeys(name for name, _ in urllib.parse.parse_qsl(asked.query)))
        said = plain(f"{request.method} {asked.path}") + (f"?{query}" if query else "")
        with recorder.span(whom, said, f"{whom} calls"):
            return send(adapter, request, *words, **named)

    HTTPAdapter.send = recorded  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]


def plain(words: str) -> str:
    """Words without what differs from one container to the next."""
    return _IDENTS.sub("ID", words)


def covered_s(spans: Sequence[Span], began: float, ended: float) -> float:
    """How much of a time at least one of the calls took; calls side by side count once."""
    total, reached = 0.0, began
    for one in sorted(spans, key=lambda one: one.began):
        start, stop = max(one.began, reached), min(one.ended, ended)
        if stop > start:
            total += stop - start
            reached = stop
    return total


def beside(one: Span, others: Sequence[Span]) -> list[Span]:
    """The calls that went on at the same time for at least a fifth of the shorter one's time."""
    found = []
    for other in others:
        both = min(one.ended, other.ended) - max(one.began, other.began)
        if other is not one and both > 0.2 * min(one.ended - one.began, other.ended - other.began):
            found.append(other)
    return found
