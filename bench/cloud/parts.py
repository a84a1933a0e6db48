"""S3's parts: where the time of a create and of a delete goes, from the request until nothing is left to do.

The parts follow one another, and each ends with what begins the next: the hint that a wish was committed, that a host was claimed, that the
pod is provisioned, the assignment in the agent's hands, the report. Within a part stands what was asked of whom, and what went on side by side.
"""

from __future__ import annotations

import collections
import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence

from bench.cloud.spans import Span, beside, covered_s
from bench.cloud.town import Town
from bench.cloud.whole import Whole, whole
from bench.figure import Figure, median_ms, spread
from higgins.core.phase import Phase
from higgins.wire import hints

WARM_UP = 2
# Each part, and the mark that ends it; "" is the last commit of all.
CREATE = {
    "API request": hints.SCHEDULE,
    "scheduling and claim": hints.PROVISION,
    "provisioning": "host/",
    "to the agent": "given",
    "agent": Phase.RUNNING.value,
    "report": "told",
}
DELETE = {
    "API request": "host/",
    "to the agent": "given",
    "agent": Phase.GONE.value,
    "report": hints.TAKE_BACK,
    "taking back": "",
}
WHOM = ("Keystone", "Neutron", "Placement", "Glance", "Cinder", "engine", "plug", "journal", "wire", "database")


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """One operation: when each part began, and the end of the last; when the request was answered; every call."""

    parts: tuple[str, ...]
    edges: tuple[float, ...]
    answered: float
    spans: tuple[Span, ...]

    @property
    def total_s(self) -> float:
        """All parts."""
        return self.edges[-1] - self.edges[0]


def parts(town: Town, engine: str, rounds: int) -> Iterator[Figure]:
    """Creates one at a time, the network known from the minute before or not in turns, and deletes."""
    known: list[Turn] = []
    unknown: list[Turn] = []
    deletes: list[Turn] = []
    with whole(town, engine) as found:
        for number in range(2 * (rounds + WARM_UP)):
            created, deleted = _turns(found, network_known=bool(number % 2))
            if number >= 2 * WARM_UP:
                (known if number % 2 else unknown).append(created)
                deletes.append(deleted)
    yield _figure(f"create, network used in the last minute, all parts in one process ({engine})", known)
    yield _figure(f"create, first on its network for a minute, all parts in one process ({engine})", unknown)
    yield _figure(f"delete, all parts in one process ({engine})", deletes)


def _turns(found: Whole, *, network_known: bool) -> tuple[Turn, Turn]:
    found.as_for_one_who_calls_again(network_known=network_known)
    found.settled(None)
    found.recorder.taken()
    began = time.perf_counter()
    ident = found.create()
    answered = time.perf_counter()
    found.wire.wait(ident, Phase.RUNNING)
    found.settled(Phase.RUNNING)
    created = _turn(CREATE, began, answered, *found.recorder.taken())
    began = time.perf_counter()
    found.call("DELETE", f"/v1/containers/{ident}?force=true")
    answered = time.perf_counter()
    found.settled(None)
    return created, _turn(DELETE, began, answered, *found.recorder.taken())


def _turn(
    parts: dict[str, str], began: float, answered: float, spans: Sequence[Span], marks: Sequence[tuple[str, float]]
) -> Turn:
    edges = [began]
    for name in parts.values():
        if name:
            edges.append(next(at for mark, at in marks if mark.startswith(name) and at >= edges[-1]))
        else:
            edges.append(max(one.ended for one in spans if one.what == "COMMIT"))
    return Turn(tuple(parts), tuple(edges), answered, tuple(spans))


def _figure(name: str, turns: Sequence[Turn]) -> Figure:
    return Figure(
        id="S3",
        name=name,
        ours=median_ms([turn.total_s for turn in turns]),
        detail={
            "spread": spread([turn.total_s for turn in turns]),
            "table": [*_of_parts(turns)],
            "calls": [*_of_calls(turns)],
        },
    )


def _whom(span: Span) -> str:
    return span.whom if span.whom in WHOM else "engine"


def _within(turn: Turn, place: int) -> list[Span]:
    began, ended = turn.edges[place], turn.edges[place + 1]
    return [one for one in turn.spans if one.began < ended and one.ended > began and one.what != "assignments"]


def _of_parts(turns: Sequence[Turn]) -> Iterator[tuple[str, ...]]:
    """A row for each part: its time, how much of it calls to each took, and what is left, which is our own."""
    seen = [whom for whom in WHOM if any(_whom(one) == whom for turn in turns for one in turn.spans)]
    yield ("part", "ms", *seen, "own")
    for place, part in enumerate(turns[0].parts):
        sums: dict[str, list[float]] = collections.defaultdict(list)
        for turn in turns:
            began, ended = turn.edges[place], turn.edges[place + 1]
            spans = _within(turn, place)
            sums["ms"].append(ended - began)
            sums["own"].append(ended - began - covered_s(spans, began, ended))
            for whom in seen:
                sums[whom].append(covered_s([one for one in spans if _whom(one) == whom], began, ended))
        yield (part, *(_ms(sums[name]) for name in ("ms", *seen, "own")))
    yield ("all", f"{median_ms([turn.total_s for turn in turns]):.1f}", *("" for _ in seen), "")
    yield (
        "(request answered)",
        f"{median_ms([turn.answered - turn.edges[0] for turn in turns]):.1f}",
        *("" for _ in seen),
        "",
    )


def _ms(values: Sequence[float]) -> str:
    found = median_ms(values)
    return f"{found:.1f}" if found >= 0.05 else "."


def _of_calls(turns: Sequence[Turn]) -> Iterator[tuple[str, ...]]:
    """A row for each call but the database's and the journal's: when it began, how long it took, what went on beside it."""
    yield ("call", "of", "part", "at ms", "takes ms", "side by side with")
    found: dict[tuple[str, str, str, int], list[tuple[Span, Turn]]] = collections.defaultdict(list)
    for turn in turns:
        times: collections.Counter[tuple[str, str, str]] = collections.Counter()
        for one in turn.spans:
            if one.whom in ("database", "journal") or one.what == "assignments" or one.began > turn.edges[-1]:
                continue
            key = (_whom(one), one.what, one.part)
            times[key] += 1
            found[(*key, times[key])].append((one, turn))
    often = {key: several for key, several in found.items() if len(several) * 2 > len(turns)}
    for (whom, what, part, _), several in sorted(often.items(), key=lambda item: _at(item[1])):
        takes = statistics.median(one.ended - one.began for one, _ in several)
        one, turn = several[len(several) // 2]
        others = [
            other for other in turn.spans if other.whom not in ("database", "journal") and other.what != "assignments"
        ]
        names = dict.fromkeys(other.what for other in beside(one, others))
        yield (what, whom, part, f"{_at(several) * 1000:.1f}", f"{takes * 1000:.1f}", "; ".join(names))


def _at(several: Sequence[tuple[Span, Turn]]) -> float:
    return statistics.median(one.began - turn.edges[0] for one, turn in several)
