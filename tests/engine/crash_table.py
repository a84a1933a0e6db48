"""The table at the end of a run: every point at which the agent was killed, and what that did. Knows how a report carries it, no engine.

The rows travel with the tests' reports, so that they are seen also when the tests run in workers of their own.
"""

from __future__ import annotations

import dataclasses
import textwrap

PROPERTY = "crash"
WIDTH = 140
COUNTED = ("leaked", "stuck", "wrongly restarted", "not reached")


def row(place, scene, names, counts):
    """What a report carries of one scene: plain data."""
    return {"scene": f"{place}, {scene}", "points": list(names), **{what: counts[what] for what in COUNTED}}


def shown(rows):
    """The lines of the table: a scene, its counts, and below it the names of its points, gathered by call."""
    titles = ("killed", *COUNTED)
    yield f"{'':44}" + "".join(f"{title:>19}" for title in titles)
    for each in sorted(rows, key=lambda each: each["scene"]):
        yield _line(each["scene"], [len(each["points"]), *(each[what] for what in COUNTED)])
        yield from textwrap.wrap(
            "; ".join(_gathered(each["points"])), WIDTH, initial_indent="  ", subsequent_indent="  "
        )
    totals = [sum(len(each["points"]) for each in rows), *(sum(each[what] for each in rows) for what in COUNTED)]
    yield _line(f"all {len(rows)} scenes", totals)


def _line(title, numbers):
    return f"{title:44}" + "".join(f"{number:>19}" for number in numbers)


def _gathered(points):
    """``engine.start#1 before`` and the like -> one word a call: ``engine.start before 1,2 after 1,2``."""
    calls: dict[str, dict[str, list[str]]] = {}
    for point in points:
        call, _, when = point.partition(" ")
        name, _, number = call.partition("#")
        calls.setdefault(name, {}).setdefault(when, []).append(number)
    for name, moments in sorted(calls.items()):
        same = len(moments) > 1 and len({tuple(numbers) for numbers in moments.values()}) == 1
        if same:
            numbers = next(iter(moments.values()))
            yield f"{name} {' and '.join(moments)} {_ranges(numbers)}"
        else:
            yield f"{name} " + ", ".join(f"{when} {_ranges(numbers)}" for when, numbers in moments.items())


@dataclasses.dataclass
class _Range:
    first: int
    last: int

    def __str__(self):
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


def _ranges(numbers):
    """``1, 2, 3, 5`` -> ``1-3,5``."""
    ranges: list[_Range] = []
    for number in sorted(map(int, numbers)):
        if ranges and ranges[-1].last == number - 1:
            ranges[-1].last = number
        else:
            ranges.append(_Range(number, number))
    return ",".join(map(str, ranges))
