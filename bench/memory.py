"""S8: what the agent takes of its host's memory and processor, idle and with many containers, beside the engine's own share."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Iterator

from bench import processes
from bench.callers import SLEEP, Api, CallFailed
from bench.figure import Figure
from bench.house import House

CONTAINERS = 110
AT_ONCE = 4
SETTLE_S, IDLE_S = 15.0, 30.0
LEAST_FREE_MIB = 2048


def memory(house: House, rounds: int) -> Iterator[Figure]:
    """Idle, then with containers that sleep."""
    agent, daemon = house.pid("agent"), house.daemon
    if daemon is None:
        raise AssertionError("the memory of a fake engine says nothing")
    yield from _figures(house, agent, daemon.pid, "idle", 60.0)
    count, why = _fill(house)
    yield from _figures(house, agent, daemon.pid, f"{count} containers", 90.0, note=why)


def _figures(house: House, agent: int, daemon: int, when: str, most_mib: float, note: str = "") -> Iterator[Figure]:
    threading.Event().wait(SETTLE_S)
    before, daemon_before, began = processes.cpu_s(agent), processes.cpu_s(daemon), time.perf_counter()
    threading.Event().wait(IDLE_S)
    seconds = time.perf_counter() - began
    daemons = processes.family(daemon)
    yield Figure(
        id="S8",
        name=f"agent PSS, {when} ({house.engine})",
        ours=processes.pss_mib(agent),
        against=sum(processes.pss_mib(pid) for pid in daemons if _is_daemon(pid)),
        against_name=f"{house.engine}'s daemon",
        unit="MiB",
        most=most_mib,
        detail={"note": note, "api": round(processes.pss_mib(house.pid("api")), 1), **_others(house)},
    )
    yield Figure(
        id="S8",
        name=f"agent CPU, {when} ({house.engine})",
        ours=(processes.cpu_s(agent) - before) / seconds * 100,
        against=(processes.cpu_s(daemon) - daemon_before) / seconds * 100 or None,
        against_name=f"{house.engine}'s daemon",
        unit="% of a core",
        most=0.5,
        detail={"seconds": round(seconds, 1)},
    )


def _is_daemon(pid: int) -> bool:
    return any(word in processes.command(pid) for word in ("podman system service", "dockerd", "containerd --config"))


def _others(house: House) -> dict[str, float]:
    return {"controller": round(processes.pss_mib(house.pid("controller")), 1)}


def _free_mib() -> float:
    with open("/proc/meminfo") as file:
        words = dict(line.split(":", 1) for line in file)
    return int(words["MemAvailable"].split()[0]) / 1024


def _fill(house: House) -> tuple[int, str]:
    """How many containers run, and why there are fewer than wanted."""
    made: list[str] = []

    def some(api: Api) -> str:
        while len(made) < CONTAINERS:
            if _free_mib() < LEAST_FREE_MIB:
                return "the machine has no more memory to spare"
            ident = api.create(command=SLEEP, memory="16", cpu=0.1)
            made.append(ident)
            try:
                api.wait(ident, "Running", poll_s=0.1)
            except CallFailed as error:
                made.remove(ident)
                return str(error)
        return ""

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        reasons = {reason for reason in pool.map(some, [house.api() for _ in range(AT_ONCE)]) if reason}
    return len(made), "; ".join(sorted(reasons))
