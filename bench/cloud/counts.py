"""S10 in a whole cloud: statements, commits and calls to each service of create + start, show and delete on a tenant's network, by part."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

from bench.cloud.town import Town
from bench.cloud.whole import Whole, whole
from bench.figure import Figure
from bench.work import figures
from higgins.core.phase import Phase

NOTHING: dict[str, int | None] = dict.fromkeys(
    ("Keystone calls", "Neutron calls", "Placement calls", "Glance calls", "Cinder calls", "engine calls"), 0
)
TARGETS: dict[str, dict[str, int | None]] = {
    "create + start": NOTHING
    | {"statements": 14, "commits": 4, "Placement calls": 2, "Neutron calls": 3, "engine calls": 2},
    "show": NOTHING | {"statements": 1, "commits": 0},
    "delete": NOTHING | {"statements": 8, "commits": None, "Placement calls": 1, "Neutron calls": 1, "engine calls": 1},
}
KINDS = ("statements", "commits", *NOTHING, "wire calls")


def counts(town: Town, engine: str, rounds: int) -> Iterator[Figure]:
    """A round of each operation at a time; the first one is not counted, as it also asks what is kept afterwards."""
    totals: dict[str, collections.Counter[tuple[str, str]]] = collections.defaultdict(collections.Counter)
    words: dict[str, collections.Counter[tuple[str, str]]] = collections.defaultdict(collections.Counter)
    with whole(town, engine) as found:
        for turn in range(rounds + 1):
            for name, counted, said in _round(found):
                if turn:
                    totals[name].update(counted)
                    words[name].update(said)
    yield from figures(TARGETS, KINDS, totals, words, rounds, f"cloud, {engine}")


def _round(found: Whole) -> Iterator[tuple[str, Any, Any]]:
    taken = found.recorder.tally.taken
    found.as_for_one_who_calls_again(network_known=True)
    found.settled(None)
    taken()
    path = f"/v1/containers/{found.create()}"
    found.settled(Phase.RUNNING)
    yield "create + start", *taken()
    found.call("GET", path)
    yield "show", *taken()
    found.call("DELETE", path + "?force=true")
    found.settled(None)
    yield "delete", *taken()
