"""Runs agents that die at a chosen point: forked from one process that has everything imported, told by lines of JSON.

A point is a moment just before or just after one call that leaves the agent: of the engine, of the journal, of the wire. The agent's
own code knows nothing of it: what it calls is wrapped. Each call made is written to a log before it is made.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import importlib.metadata
import json
import os
import pathlib
import signal
import sys
import threading
import time

from higgins.agent.journal import Journal
from higgins.agent.loop import Timings
from higgins.agent.service import Agent
from higgins.engine.load import GROUP
from higgins.wire.client import WireClient

QUICK = Timings(
    backoff_first_s=0.05,
    backoff_most_s=0.5,
    orphan_grace_s=0.3,
    reconnect_most_s=0.1,
    tick_s=0.05,
    poll_wait_s=5.0,
)
# Podman's store also shows what the agents of other tests are making: the grace is longer than any creation.
REAL = dataclasses.replace(QUICK, orphan_grace_s=10.0)
JOURNAL = ("keep", "intend", "flush", "resolved", "forget")
WIRE = ("hello", "assignments", "report")


class Points:
    """Counts calls by name, writes them down, and kills the process at the chosen one."""

    def __init__(self, log: str, kill_at: str | None) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._kill_at = kill_at
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def around(self, kind, name, call, target=""):
        with self._lock:
            count = self._counts[name] = self._counts.get(name, 0) + 1
            self._pass(f"{kind}.{name}#{count} before", "")
        self._write(f"{kind}.{name}#{count} call {target}")
        done = "-"
        try:
            answer = call()
            done = target
            return answer
        finally:
            with self._lock:
                self._pass(f"{kind}.{name}#{count} after", done)

    def _pass(self, point, target):
        self._write(f"{point} {target}".rstrip())
        if point == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, line):
        os.write(self._log, f"{line}\n".encode())


def deadly(inner, kind, names, points):
    """The same object, with a point before and after each of these methods."""

    def wrap(name):
        def call(self, *args, **kwargs):
            if name == "flush" and not (inner._unsaved or inner._unsaved_pods):
                return None  # it writes nothing
            first = args[0] if args else ""
            target = first.spec.uuid if name == "create" else first if isinstance(first, str) else ""
            return points.around(kind, name, lambda: getattr(inner, name)(*args, **kwargs), target)

        return call

    def plain(name):
        return lambda self, *args, **kwargs: getattr(inner, name)(*args, **kwargs)

    public = [name for name in dir(inner) if not name.startswith("_") and callable(getattr(inner, name))]
    members = {name: wrap(name) if name in names else plain(name) for name in public}
    proxy = type(f"Deadly{type(inner).__name__}", (), members)()
    if hasattr(inner, "name"):
        proxy.name = inner.name
    return proxy


def run(order, drivers):
    faulthandler.register(signal.SIGUSR1)
    root = pathlib.Path(order["root"])
    points = Points(order["log"], order.get("kill_at"))
    engine = drivers[order["engine"]](order["address"])
    verbs = [name for name in dir(engine) if not name.startswith("_") and callable(getattr(engine, name))]
    state = root / "state"
    state.mkdir(parents=True, exist_ok=True)
    agent = Agent(
        deadly(engine, "engine", [name for name in verbs if name != "close"], points),
        deadly(WireClient(order["wire"], "host-token"), "wire", WIRE, points),
        hostname="host-1",
        state_dir=state,
        live_address=f"unix:{root}/live",
        live_token="live-token",
        timings=QUICK if order["engine"] == "fake" else REAL,
        workers=4,
        journal=deadly(Journal(state / "journal.sqlite"), "journal", JOURNAL, points),
    )
    agent.start()
    signal.pause()


def main():
    """Orders: ``{"start": ...}`` answers a pid, ``{"wait": pid, "for_s": n}`` whether it ended, ``{"kill": pid}`` when it is dead."""
    children: set[int] = set()
    drivers = {entry.name: entry.load() for entry in importlib.metadata.entry_points(group=GROUP)}
    for line in sys.stdin:
        order = json.loads(line)
        answer: object = None
        if "start" in order:
            pid = os.fork()
            if pid == 0:
                log = os.open(order["start"]["log"] + ".err", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                for stream in (1, 2):
                    os.dup2(log, stream)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                run(order["start"], drivers)
                os._exit(0)
            children.add(pid)
            answer = pid
        elif "kill" in order and order["kill"] in children:
            os.kill(order["kill"], signal.SIGKILL)
            os.waitpid(order["kill"], 0)
            children.discard(order["kill"])
        elif "wait" in order:
            answer = _ended(order["wait"], order["for_s"], children)
        print(json.dumps(answer), flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _ended(pid, for_s, children):
    until = time.monotonic() + for_s
    while pid in children:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            children.discard(pid)
            break
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


if __name__ == "__main__":
    main()
