"""S5: processor time of the API for lists and for one container, with authentication and policy. The engine under the rows is the fake one."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
from collections.abc import Iterator

from bench import processes
from bench.callers import Api
from bench.figure import Figure, spread
from bench.house import House

FILLERS = 4
BATCHES = 30
CONTAINER = {
    "environment": {f"SETTING_{place}": f"value-of-setting-{place}" for place in range(6)},
    "labels": {"app": "shop", "tier": "web", "commit": "3f786850e387550fdab836ed7e6dc881de23001b"},
    "workdir": "/srv/app",
    "hostname": "shop-web",
    "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "3"},
    "memory": "64",
    "cpu": 0.1,
}
TARGETS_MS = {100: 3.5, 1000: 30.0}


@dataclasses.dataclass(frozen=True, slots=True)
class Spent:
    """Seconds a request, for each batch of requests."""

    cpu: list[float]
    wall: list[float]


def lists(house: House, rounds: int) -> Iterator[Figure]:
    """Lists of 100 and 1,000 rows, and one container."""
    api, made = house.api(), []
    for rows in TARGETS_MS:
        made += _fill(house, rows - len(made))
        measured = _cpu_ms(
            house, api, {"list": "/containers?limit=1000", "least": "/", "one": f"/containers/{made[0]}"}
        )
        found = len(api.statuses())
        if found != rows:
            raise AssertionError(f"the list has {found} rows instead of {rows}")
        yield _figure(f"GET containers, {rows} rows", measured, "list", TARGETS_MS[rows])
        yield _figure(f"GET one container, {rows} there", measured, "one", 1.0)


def _fill(house: House, count: int) -> list[str]:
    def some(place: int) -> list[str]:
        api = house.api()
        idents = [api.create(name=f"web-{place}-{turn}", **CONTAINER) for turn in range(count // FILLERS)]
        for ident in idents:
            api.wait(ident, "Running", poll_s=0.05)
        api.close()
        return idents

    with concurrent.futures.ThreadPoolExecutor(FILLERS) as pool:
        return [ident for idents in pool.map(some, range(FILLERS)) for ident in idents]


def _cpu_ms(house: House, api: Api, paths: dict[str, str]) -> dict[str, Spent]:
    """What a request of each path costs, the paths in turns."""
    pid = house.pid("api")
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
    for path in paths.values():
        api.raw("GET", path)
    for _ in range(BATCHES):
        for name, path in paths.items():
            turns = 10 if name == "list" else 50
            before, began = processes.threads_cpu_s(pid), time.perf_counter()
            for _ in range(turns):
                api.raw("GET", path)
            took = time.perf_counter() - began
            spent[name].append(((processes.threads_cpu_s(pid) - before) / turns, took / turns))
    return {
        name: Spent(cpu=[cpu for cpu, _ in pairs], wall=[wall for _, wall in pairs]) for name, pairs in spent.items()
    }


def _figure(name: str, measured: dict[str, Spent], which: str, most: float) -> Figure:
    """The least of the batches: neighbours on the machine only ever add to processor time (they share its caches and its cores)."""
    found = measured[which]
    return Figure(
        id="S5",
        name=f"CPU of {name}",
        ours=min(found.cpu) * 1000,
        against=min(measured["least"].cpu) * 1000,
        against_name="GET /v1",
        most=most,
        detail={"cpu": spread(found.cpu), "wall": spread(found.wall), "engine": "fake"},
    )
