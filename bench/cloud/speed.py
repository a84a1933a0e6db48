"""S3: containers on a Neutron network by the cloud's own Higgins, beside Neutron and the engine asked alone for the same things in the same run.

The other side is the least that any service could do: the port bound to the host, and the engine's calls. It plugs nothing, knows no
users, writes nothing down and looks nothing up; the engine connects its containers to its own bridge.
"""

from __future__ import annotations

import collections
import concurrent.futures
import statistics
import threading
import time
from collections.abc import Callable, Iterator

from bench.callers import Api
from bench.cloud.town import Alone, CloudApi, Town
from bench.figure import Figure, median_ms, spread
from bench.speed import watch

WARM_UP = 2
AT_ONCE = 20
SETTLE_S = 1.5
"""Neutron works for up to half a second on what it hears of a port that was plugged or unplugged: what comes next is not to wait for that."""
WORKERS = 8
ABOVE_ENGINE_MS = 150
ZUN_MS = {
    "engine alone": "216 to 273",
    "run": "1834 to 1974",
    "start": "1428 to 1610",
    "delete": "1071 to 1242",
    "20 at once": "25000 to 30000 (engine alone 3000)",
}
"""Zun 18 with kuryr and docker, on a machine of its own: to be read by its ratio to the engine there."""

Samples = dict[str, list[float]]


def one_at_a_time(town: Town, engine: str, rounds: int) -> Iterator[Figure]:
    """Created and run, started once more, deleted; ours and the others in turns."""
    api, alone = town.api(engine), town.alone(engine)
    found: Samples = collections.defaultdict(list)
    quickest = {"run": 0.0, "start": 0.0, "delete": 0.0}
    for turn in range(rounds + WARM_UP):
        kept = found if turn >= WARM_UP else collections.defaultdict(list)
        for which in ("ours", "alone") if turn % 2 else ("alone", "ours"):
            if which == "ours":
                _ours(api, kept, quickest)
            else:
                taken = _alone(alone, kept)
                quickest = taken if turn < WARM_UP else {name: min(taken[name], quickest[name]) for name in taken}
    yield from _of_creates(engine, found)
    for name, ours, other, words in (
        ("start of a stopped one", "start", "engine's start", "engine's start"),
        ("DELETE to gone", "delete", "port and engine gone", "Neutron's and engine's deletes"),
    ):
        yield Figure(
            id="S3",
            name=f"{name} ({engine})",
            ours=median_ms(found[ours]),
            against=median_ms(found[other]),
            against_name=words,
            detail={
                "ours": spread(found[ours]),
                "other": spread(found[other]),
                "zun_ms": ZUN_MS[ours],
                "zun_engine_ms": ZUN_MS["engine alone"],
            },
        )


def _of_creates(engine: str, found: Samples) -> Iterator[Figure]:
    both = [port + engines for port, engines in zip(found["port"], found["engine"], strict=True)]
    above = [ours - engines for ours, engines in zip(found["run"], found["engine"], strict=True)]
    detail: dict[str, object] = {name: spread(found[name]) for name in ("accepted", "run", "port", "engine")}
    yield Figure(
        id="S3", name=f"POST accepted in a cloud ({engine})", ours=median_ms(found["accepted"]), most=40, detail=detail
    )
    yield Figure(
        id="S3", name=f"POST to Running on a network ({engine})", ours=median_ms(found["run"]), against=median_ms(both),
        against_name="Neutron's port + engine's create + start",
        detail=detail | {"zun_ms": ZUN_MS["run"], "zun_engine_ms": ZUN_MS["engine alone"]},
    )  # fmt: skip
    yield Figure(
        id="S3", name=f"the same, each at its quickest ({engine})", ours=min(found["run"]) * 1000, against=min(both) * 1000,
        against_name="Neutron's port + engine's create + start",
    )  # fmt: skip
    yield Figure(
        id="S3", name=f"the same above the engine alone ({engine})", ours=statistics.median(above) * 1000,
        against=median_ms(found["port"]), against_name="Neutron's port", most=ABOVE_ENGINE_MS, detail={"above": spread(above)},
    )  # fmt: skip


def _timed(kept: Samples, name: str, work: Callable[[], object]) -> float:
    threading.Event().wait(SETTLE_S)
    began = time.perf_counter()
    work()
    kept[name].append(time.perf_counter() - began)
    return kept[name][-1]


def _ours(api: CloudApi, kept: Samples, quickest: dict[str, float]) -> None:
    """Nobody asks before the others alone could be done at their quickest: asking all the time slows what is waited for."""
    threading.Event().wait(SETTLE_S)
    began = time.perf_counter()
    ident = api.create()
    kept["accepted"].append(time.perf_counter() - began)
    api.wait(ident, "Running", quiet_s=max(0.0, quickest["run"] * 0.8 - kept["accepted"][-1]))
    kept["run"].append(time.perf_counter() - began)
    api.ask(ident, "stop")
    api.wait(ident, "Stopped")

    def start() -> None:
        api.ask(ident, "start")
        api.wait(ident, "Running", quiet_s=quickest["start"] * 0.7)

    def delete() -> None:
        api.delete(ident)
        api.wait_gone(ident, quiet_s=quickest["delete"] * 0.7)

    _timed(kept, "start", start)
    _timed(kept, "delete", delete)


def _alone(alone: Alone, kept: Samples) -> dict[str, float]:
    """The same by Neutron and the engine; gives how long each took."""
    made: list[str] = []
    port_s = _timed(kept, "port", lambda: made.append(alone.port()))
    engine_s = _timed(kept, "engine", lambda: made.append(alone.run()))
    port, ident = made
    alone.engine.stop(ident)
    start_s = _timed(kept, "engine's start", lambda: alone.engine.start(ident))

    def delete() -> None:
        alone.engine.remove(ident)
        alone.neutron.delete_port(port)

    delete_s = _timed(kept, "port and engine gone", delete)
    return {"run": port_s + engine_s, "start": start_s, "delete": delete_s}


def many_at_once(town: Town, engine: str, rounds: int) -> Iterator[Figure]:
    """Creates at once until all run, beside as many ports and containers by eight workers with Neutron and the engine alone."""
    found: Samples = collections.defaultdict(list)
    for turn in range(rounds):
        for which in ("ours", "alone") if turn % 2 else ("alone", "ours"):
            if which == "ours":
                _all_ours(town, engine, found, min(found["alone"]))
            else:
                _all_alone(town, engine, found)
    yield Figure(
        id="S3",
        name=f"{AT_ONCE} at once until all run ({engine})",
        ours=median_ms(found["ours"]),
        against=median_ms(found["alone"]),
        against_name=f"ports and engine alone, {WORKERS} workers",
        detail={name: spread(found[name]) for name in ("ours", "accepted", "alone")} | {"zun_ms": ZUN_MS["20 at once"]},
    )


def _all_ours(town: Town, engine: str, found: Samples, quickest_s: float) -> None:
    watcher, callers = town.api(engine), [town.api(engine) for _ in range(AT_ONCE)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.perf_counter()
        idents = list(pool.map(lambda caller: caller.create(cpu=0.5), callers))
        found["accepted"].append(time.perf_counter() - began)
        threading.Event().wait(max(0.0, quickest_s - found["accepted"][-1]))
        watch(watcher, set(idents))
        found["ours"].append(time.perf_counter() - began)
        list(pool.map(Api.delete, callers, idents))
    for ident in idents:
        watcher.wait_gone(ident, poll_s=0.05)
    for caller in (watcher, *callers):
        caller.close()


def _all_alone(town: Town, engine: str, found: Samples) -> None:
    workers = [town.alone(engine) for _ in range(WORKERS)]
    places, made, lock = iter(range(AT_ONCE)), list[tuple[Alone, str, str]](), threading.Lock()
    for worker in workers:
        worker.neutron.networks(id=town.network, fields="id")  # logged in, as Higgins is

    def work(alone: Alone) -> None:
        while True:
            with lock:
                if next(places, None) is None:
                    return
            made.append((alone, alone.port(), alone.run()))

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        began = time.perf_counter()
        list(pool.map(work, workers))
        found["alone"].append(time.perf_counter() - began)
    for alone, port, ident in made:
        alone.engine.remove(ident)
        alone.neutron.delete_port(port)
    for worker in workers:
        worker.engine.close()
