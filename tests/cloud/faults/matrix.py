"""Which faults are tried at which call sites, and the table of what came of them. Knows neither Higgins nor pytest."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping

from tests.cloud.faults.life import Life
from tests.cloud.faults.proxy import ANSWERS

PROPERTY = "fault"
LASTING_S = 3.0
COUNTED = ("tried", "recovered", "failed with its reason", "left over", "stuck", "not reached")


def every(sites: Mapping[str, int]) -> Iterator[Life]:
    """Each call site with each answer, by turns once and for some seconds; sites that one life comes to again also the second time."""
    for number, (site, count) in enumerate(sorted(sites.items())):
        for turn, answer in enumerate(ANSWERS, number):
            yield Life(site, answer, lasts_s=LASTING_S * (turn % 2))
        if count > 1:
            yield from (Life(site, answer, nth=2) for answer in ("cut", "503", "404"))


def some(sites: Mapping[str, int]) -> Iterator[Life]:
    """Of each call site what loses most (a cut), another answer and one that lasts, so that together all answers come up."""
    others = [answer for answer in ANSWERS if answer != "cut"]
    for number, (site, count) in enumerate(sorted(sites.items())):
        yield Life(site, "cut", nth=min(count, 1 + number % 2))
        yield Life(site, others[number % len(others)])
        yield Life(site, others[(number + 3) % len(others)], lasts_s=LASTING_S)


def two(sites: Mapping[str, int]) -> Iterator[Life]:
    """Of each call site a cut, and another answer that lasts."""
    others = [answer for answer in ANSWERS if answer != "cut"]
    for number, site in enumerate(sorted(sites)):
        yield Life(site, "cut")
        yield Life(site, others[number % len(others)], lasts_s=LASTING_S)


def few(sites: Mapping[str, int]) -> Iterator[Life]:
    """One answer of every third call site, and not the same ones."""
    for number, site in enumerate(sorted(sites)[::3]):
        yield Life(site, ANSWERS[number % len(ANSWERS)], lasts_s=LASTING_S if number % 2 else 0.0)


def row(life: Life) -> dict[str, object]:
    """What a report carries of one life: plain data."""
    what = (
        "not reached" if not life.hits else life.wrong or ("recovered" if life.outcome == "recovered" else COUNTED[2])
    )
    return {"site": life.title, "answer": life.answer + ("+" if life.lasts_s else ""), "what": what}


def shown(rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """The table: a call site, its counts, and which answers made the container fail, with reason, or worse."""
    sites: dict[str, dict[str, list[str]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for each in rows:
        for what in ("tried", each["what"]):
            sites[each["site"]][what].append(each["answer"])
    yield f"{'':82}" + "".join(f"{title:>{len(title) + 3}}" for title in COUNTED)
    for site, found in sorted(sites.items()):
        yield _line(site, [len(found.get(what, ())) for what in COUNTED])
        for what in sorted(set(found) - {"tried", "recovered"}):
            yield f"    {what}: {', '.join(sorted(found[what]))}"
    totals = [sum(len(found.get(what, ())) for found in sites.values()) for what in COUNTED]
    yield _line(f"all {len(sites)} call sites ('+': the answer lasted {LASTING_S:g} s)", totals)


def _line(title: str, numbers: Iterable[int]) -> str:
    return f"{title:82}" + "".join(f"{number:>{len(head) + 3}}" for number, head in zip(numbers, COUNTED, strict=True))
