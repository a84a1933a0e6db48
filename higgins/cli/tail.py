"""The output of a container as it comes, by asking for what is new. It must not know who looks at it.

The API tells logs from a second on, and some engines stamp lines with whole seconds, so the lines of the newest two seconds are
asked for again each time; they are counted and left out.
"""

from __future__ import annotations

import collections
import datetime
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from higgins.cli.client.api import Api

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d) ?")


class Tail:
    """What a container has written, standard output and error apart. Each call of ``new`` gives what came since the last."""

    def __init__(self, api: Api, container: dict[str, Any], since: str | None = None) -> None:
        self._api, self._container = api, container
        self._streams = {name: _Stream(since) for name in ("stdout", "stderr")}

    def new(self, last: int | None = None) -> list[tuple[str, str, str]]:
        """New lines as (stream, time stamp, text with its end of line), in the order of time; ``last`` keeps the newest only."""
        found: list[tuple[str, str, str, str]] = []
        for name, stream in self._streams.items():
            other = "stderr" if name == "stdout" else "stdout"
            query = {name: "true", other: "false", "timestamps": "true", "since": stream.since, "tail": last}
            text = self._api.ask(self._container, "logs", query)
            found += [(_order(stamp), name, stamp, line) for stamp, line in stream.fresh(str(text or ""))]
        found.sort(key=lambda entry: entry[0])
        lines = [entry[1:] for entry in found]
        return lines[-last:] if last else ([] if last == 0 else lines)


class _Stream:
    def __init__(self, since: str | None) -> None:
        self.since = since
        self._seen: collections.Counter[tuple[str, str]] = collections.Counter()

    def fresh(self, text: str) -> list[tuple[str, str]]:
        """The lines of an answer that were not there before, with their stamps."""
        lines = _stamped(text)
        known = self._seen.copy()
        fresh = []
        for line in lines:
            if known[line] > 0:
                known[line] -= 1
            else:
                fresh.append(line)
        stamps = [stamp for stamp, _ in lines if stamp]
        if stamps:
            since = int(max(map(_when, stamps))) - 1
            self._seen = collections.Counter(line for line in lines if _when(line[0]) >= since)
            self.since = str(since)
        elif lines:
            self._seen |= collections.Counter(lines)
        return fresh


def _stamped(text: str) -> list[tuple[str, str]]:
    """The lines of an answer with their stamps; a line without one belongs to the one before it."""
    found: list[tuple[str, str]] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        match = _STAMP.match(line)
        if match:
            found.append((match.group(0).rstrip(), line[match.end() :]))
        else:
            found.append((found[-1][0] if found else "", line))
    return found


def _when(stamp: str) -> float:
    match = _STAMP.match(stamp + " ")
    if match is None:
        return 0.0
    zone = "+00:00" if match.group(3) == "Z" else match.group(3)
    return datetime.datetime.fromisoformat(match.group(1) + zone).timestamp()


def _order(stamp: str) -> str:
    """A key that sorts stamps of one zone by time, whatever the number of digits in their fractions."""
    match = _STAMP.match(stamp + " ")
    return match.group(1) + (match.group(2) or ".").ljust(10, "0") if match else ""


def write(lines: list[tuple[str, str, str]], *, stamps: bool = False) -> None:
    """Put lines on this process's own standard output and error, each where it came from."""
    for stream, stamp, text in lines:
        out = sys.stdout if stream == "stdout" else sys.stderr
        out.write(f"{stamp} {text}" if stamps else text)
    sys.stdout.flush()
    sys.stderr.flush()
