"""S5: processor time of the API for lists and for one container, with authentication and policy. The engine under the rows is the fake one."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Iterator

from bench import processes
from bench.callers import Api
from bench.figure import Figure
from bench.house import House

FILLERS = 4
LEAST_CPU_S = 1.0
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


def _cpu_ms(house: House, api: Api, paths: dict[str, str]) -> dict[str, tuple[float, float, int]]:
    """For each path the worker's processor time a request, the time a request takes, and how many were made, in turns."""
    pid = house.pid("api")
    spent = {name: [0.0, 0.0, 0] for name in paths}
    for path in paths.values():
        api.call("GET", path)
    while any(cpu < LEAST_CPU_S for cpu, _, _ in spent.values()):
        for name, path in paths.items():
            before, began = processes.cpu_s(pid), time.perf_counter()
            turns = 20 if name == "list" else 200
            for _ in range(turns):
                api.raw("GET", path)
            spent[name][0] += processes.cpu_s(pid) - before
            spent[name][1] += time.perf_counter() - began
            spent[name][2] += turns
    return {name: (cpu / count * 1000, wall / count * 1000, count) for name, (cpu, wall, count) in spent.items()}


def _figure(name: str, measured: dict[str, tuple[float, float, int]], which: str, most: float) -> Figure:
    cpu_ms, wall_ms, count = measured[which]
    detail: dict[str, object] = {"requests": count, "ms_a_request": round(wall_ms, 3), "engine": "fake"}
    return Figure(
        id="S5",
        name=f"CPU of {name}",
        ours=cpu_ms,
        against=measured["least"][0],
        against_name="GET /v1",
        most=most,
        detail=detail,
    )
