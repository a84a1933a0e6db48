"""S1, S2, S4: how long a create takes to be accepted and to run, one at a time and many at once, beside the engine alone."""

from __future__ import annotations

import concurrent.futures
import statistics
import threading
import time
from collections.abc import Iterator

from bench.callers import Api, CallFailed, RawEngine
from bench.figure import Figure, median_ms, spread
from bench.house import House

WARM_UP = 3
WORKERS = 8
AT_ONCE = 32
WATCH_S = 0.05
DIFFERS_ANYWAY = {"ContainerIDFile", "LogConfig"}


def accepted(house: House, rounds: int) -> Iterator[Figure]:
    """S1: a POST until its 202, beside the engine's create call."""
    api, raw = house.api(), house.raw()
    ours, engines = [], []
    for turn in range(rounds + WARM_UP):
        began = time.perf_counter()
        ident = api.create(run=False)
        took = time.perf_counter() - began
        api.wait(ident, "Created")
        api.delete(ident)
        api.wait_gone(ident)
        began = time.perf_counter()
        other = raw.create()
        engine_took = time.perf_counter() - began
        raw.remove(other)
        if turn >= WARM_UP:
            ours.append(took)
            engines.append(engine_took)
    yield Figure(
        id="S1",
        name=f"POST accepted ({house.engine})",
        ours=median_ms(ours),
        against=median_ms(engines),
        against_name="engine's create",
        most=15,
        detail={"ours": spread(ours), "engine": spread(engines)},
    )


def one_at_a_time(house: House, rounds: int) -> Iterator[Figure]:
    """S2: a POST until the API shows Running, beside the engine's create and start."""
    api, raw = house.api(), house.raw()
    ours, engines, differs = [], [], _differing_options(house, api, raw)
    quickest = _engines(raw)
    for turn in range(rounds + WARM_UP):
        pair = (_ours(api, quickest), _engines(raw)) if turn % 2 else (_engines(raw), _ours(api, quickest))[::-1]
        quickest = min(quickest, pair[1])
        if turn >= WARM_UP:
            ours.append(pair[0])
            engines.append(pair[1])
    yield Figure(
        id="S2",
        name=f"POST to Running ({house.engine})",
        ours=median_ms(ours),
        against=median_ms(engines),
        against_name="engine's create + start",
        most=1.25,
        by_ratio=True,
        detail={"ours": spread(ours), "engine": spread(engines), "options_that_differ": differs},
    )


def _ours(api: Api, quickest_engine_s: float) -> float:
    """Nobody asks before the engine alone could be done at its quickest: asking all the time slows the start that is waited for."""
    began = time.perf_counter()
    ident = api.create()
    api.wait(ident, "Running", quiet_s=max(0.0, quickest_engine_s - (time.perf_counter() - began)))
    took = time.perf_counter() - began
    api.delete(ident)
    api.wait_gone(ident)
    return took


def _engines(raw: RawEngine) -> float:
    began = time.perf_counter()
    ident = raw.create()
    raw.start(ident)
    took = time.perf_counter() - began
    raw.remove(ident)
    return took


def _differing_options(house: House, api: Api, raw: RawEngine) -> list[str]:
    """Names of the options in which our container and the bare one are not made alike: none, if the comparison is fair."""
    ours, other = api.create(run=False), raw.create()
    api.wait(ours, "Created")
    mine, theirs = raw.options(f"higgins-{ours}"), raw.options(other)
    api.delete(ours)
    api.wait_gone(ours)
    raw.remove(other)
    return sorted(
        name
        for name in mine.keys() | theirs.keys()
        if mine.get(name) != theirs.get(name) and name not in DIFFERS_ANYWAY
    )


def many_at_once(house: House, rounds: int) -> Iterator[Figure]:
    """S4: creates at once until all run, beside as many by eight workers with the engine alone."""
    ours, engines, last = [], [], []
    for turn in range(rounds):
        for which in ("ours", "engine") if turn % 2 else ("engine", "ours"):
            if which == "ours":
                took, first_to_last = _all_ours(house, min(engines))
                ours.append(took)
                last.append(first_to_last)
            else:
                engines.append(_all_engines(house))
    yield Figure(
        id="S4",
        name=f"{AT_ONCE} creates at once ({house.engine})",
        ours=AT_ONCE / statistics.median(ours),
        against=AT_ONCE / statistics.median(engines),
        against_name=f"engine, {WORKERS} workers",
        unit="/s",
        least=0.9,
        by_ratio=True,
        detail={"ours": spread(ours), "engine": spread(engines), "all_accepted": spread(last)},
    )


def _all_ours(house: House, quickest_engine_s: float) -> tuple[float, float]:
    """Seconds until all run, and until all were accepted. Nobody asks before they could run: see ``_ours``."""
    watcher = house.api()
    callers = [house.api() for _ in range(AT_ONCE)]
    for caller in callers:
        caller.call("GET", "/images?limit=1")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.perf_counter()
        idents = list(pool.map(Api.create, callers))
        accepted_s = time.perf_counter() - began
        threading.Event().wait(max(0.0, quickest_engine_s - accepted_s))
        watch(watcher, set(idents))
        took = time.perf_counter() - began
        list(pool.map(Api.delete, callers, idents))
    for ident in idents:
        watcher.wait_gone(ident, poll_s=0.05)
    for caller in (watcher, *callers):
        caller.close()
    return took, accepted_s


def watch(api: Api, idents: set[str]) -> None:
    """Return when a list shows all of them Running."""
    deadline, pause = time.monotonic() + 300, threading.Event()
    while True:
        statuses = api.statuses()
        if all(statuses[ident] == "Running" for ident in idents):
            return
        failed = [ident for ident in idents if statuses[ident] in ("Error", "Dead")]
        if failed or time.monotonic() > deadline:
            raise CallFailed(f"not all run: {failed or statuses}")
        pause.wait(WATCH_S)


def _all_engines(house: House) -> float:
    """Seconds until all run."""
    raws = [house.raw() for _ in range(WORKERS)]
    made: list[tuple[RawEngine, str]] = []
    places = iter(range(AT_ONCE))
    lock = threading.Lock()

    def work(raw: RawEngine) -> None:
        while True:
            with lock:
                if next(places, None) is None:
                    return
            ident = raw.create()
            raw.start(ident)
            made.append((raw, ident))

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        began = time.perf_counter()
        list(pool.map(work, raws))
        took = time.perf_counter() - began
    for raw, ident in made:
        raw.remove(ident)
    for raw in raws:
        raw.close()
    return took
