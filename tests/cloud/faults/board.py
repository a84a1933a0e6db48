"""Which requests go wrong, and how: faults armed for a call site, told apart by what a request mentions. Knows no socket.

A call site is one line: who asks, which service, the method, the path with ids taken out, the names of its query.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator

ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
OWN_NAME = re.compile(r"(?<=/)(?:CUSTOM|COMPUTE|HW|MISC)_[A-Z0-9_]+|(?<=/)faults-[a-z0-9-]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived. ``text`` is all of it that may tell whose it is: path, query, tokens, body."""

    service: str
    asker: str
    method: str
    path: str
    text: str = ""

    @property
    def site(self) -> str:
        """Its call site."""
        path, _, query = self.path.partition("?")
        place = OWN_NAME.sub("{name}", ID.sub("{id}", urllib.parse.unquote(path)))
        names = sorted({name for name, _ in urllib.parse.parse_qsl(query, keep_blank_values=True)})
        return f"{self.asker}: {self.service} {self.method} {place}" + (f"?{','.join(names)}" if names else "")


@dataclasses.dataclass(slots=True, kw_only=True)
class Fault:
    """``times`` requests of a site are answered so, from the ``nth`` on; more of them while ``until`` (monotonic) has not come.

    ``words`` says whose: a request that mentions none of them passes; ``None`` means anybody's. While ``pending`` they are not all known yet.
    """

    site: str
    answer: str
    words: set[str] | None = None
    pending: bool = False
    nth: int = 1
    lasts_s: float = 0.0
    slow_s: float = 1.5
    met: int = 0
    hits: int = 0
    until: float = 0.0
    lifted: threading.Event = dataclasses.field(default_factory=threading.Event)

    def meets(self, call: Call) -> bool:
        """Whether it is about this request."""
        return call.site == self.site and (self.words is None or _mentions(call.text, self.words))

    def strikes(self) -> bool:
        """Whether one more of its requests goes wrong."""
        self.met += 1
        now = time.monotonic()
        if self.met == self.nth:
            self.until = now + self.lasts_s
        if self.lifted.is_set() or self.met < self.nth or (self.met > self.nth and now >= self.until):
            return False
        self.hits += 1
        return True


class Board:
    """What all proxies of a test share. Safe to share between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._faults: list[Fault] = []
        self._watched: list[set[str]] = []
        self.seen: dict[str, int] = {}
        self.mentioned: dict[str, int] = {}

    @contextlib.contextmanager
    def armed(self, fault: Fault) -> Iterator[Fault]:
        """The fault holds until the end, when requests that it lets hang are let go."""
        with self._changed:
            self._faults.append(fault)
        try:
            with self.watching(fault.words):
                yield fault
        finally:
            fault.lifted.set()
            with self._changed:
                self._faults.remove(fault)
                self._changed.notify_all()

    @contextlib.contextmanager
    def watching(self, words: set[str] | None) -> Iterator[None]:
        """The ids of things that mention one of these words are added to them, as services tell them."""
        with self._changed:
            self._watched += [] if words is None else [words]
        try:
            yield
        finally:
            with self._changed:
                self._watched = [one for one in self._watched if one is not words]

    def about(self, fault: Fault, *more: str) -> None:
        """Say whose requests are meant, as far as it was not known; those that waited for that go on."""
        with self._changed:
            if fault.words is not None:
                fault.words.update(more)
            fault.pending = False
            self._changed.notify_all()

    def struck(self, call: Call) -> Fault | None:
        """The fault that this request meets, if any. Waits while one of its site does not know yet whom it is about."""
        with self._changed:
            site = call.site
            self._changed.wait_for(lambda: not any(one.pending for one in self._faults if one.site == site), timeout=10)
            self.seen[site] = self.seen.get(site, 0) + 1
            if any(_mentions(call.text, words) for words in self._watched):
                self.mentioned[site] = self.mentioned.get(site, 0) + 1
            return next((one for one in self._faults if one.meets(call) and one.strikes()), None)

    def learn(self, call: Call, answer: bytes) -> None:
        """Note the ids of what an answer tells of somebody's things."""
        with self._changed:
            mine = [words for words in self._watched if words]
            if not mine:
                return
        told = list(_things(answer))
        with self._changed:
            for words in mine:
                asked = call.method == "POST" and _mentions(call.text, words)
                for ident, text in told:
                    if (asked and len(told) == 1) or _mentions(text, words):
                        words.add(ident)


def _mentions(text: str, words: set[str]) -> bool:
    # Lives add to their words while requests are looked at; a tuple of a set is made in one piece.
    return any(word in text for word in tuple(words))


def _things(answer: bytes) -> Iterator[tuple[str, str]]:
    """The id and the text of each thing in a service's answer: ``{"port": {...}}``, ``{"ports": [...]}``, or of Glance the thing alone."""
    try:
        found = json.loads(answer)
    except ValueError:
        return
    if not isinstance(found, dict):
        return
    for inner in (found, *found.values()):
        for one in inner if isinstance(inner, list) else (inner,):
            if isinstance(one, dict) and ID.fullmatch(str(one.get("id"))):
                yield one["id"], json.dumps(one)
