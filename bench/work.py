"""S10: statements, commits and engine calls of an operation, counted by part: a number that no machine changes.

API, controller and agent are built in this one process from the same parts as by their commands, each with a database that counts.
Heartbeats are stretched to an hour, so that only what the operation causes is counted. The engine is a real one.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import pathlib
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from falcon import testing

from bench.callers import CPUS, MEMORY_MIB, SLEEP
from bench.figure import Figure
from bench.house import engine_of
from higgins.agent.loop import Timings
from higgins.agent.service import Agent
from higgins.api.app import make_app
from higgins.api.identity.noauth import NoAuth
from higgins.cmd.parts import AgentQuestions
from higgins.control import service
from higgins.control.means import Means
from higgins.control.settings import Settings
from higgins.core.caller import Scope
from higgins.core.phase import Phase
from higgins.engine.load import open_engine
from higgins.policy.enforce import Policy
from higgins.provision.loop import Provisioner
from higgins.provision.volumes import Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store import hosts, migrate, pods
from higgins.store.agents.desk import Desk
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import hints
from higgins.wire.client import WireClient
from higgins.wire.server import Server

HOUR_S = 3600.0
QUIET_S = 0.7
TARGETS: dict[str, dict[str, int | None]] = {
    # The third call is the inspect that finds the address the bridge gave: see README.md.
    "create + start": {"statements": 14, "commits": 4, "engine calls": 3},
    "delete": {"statements": 8, "commits": None, "engine calls": 1},
    "show": {"statements": 1, "commits": 0, "engine calls": 0},
}
KINDS = ("statements", "commits", "engine calls", "wire calls")
HEADERS = {
    "X-User-Id": "u",
    "X-Project-Id": "p",
    "X-Roles": "admin,manager,member,reader",
    "OpenStack-API-Version": "container 1.40",
}


class Tally:
    """Counts by part and kind of work, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.words: collections.Counter[tuple[str, str]] = collections.Counter()
        self.last_s = time.monotonic()

    def add(self, part: str, kind: str, words: str = "") -> None:
        with self._lock:
            self.counts[part, kind] += 1
            if words:
                self.words[part, words] += 1
            self.last_s = time.monotonic()

    def taken(self) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
        """The counts until now, which begin anew."""
        with self._lock:
            found = dict(self.counts), dict(self.words)
            self.counts.clear()
            self.words.clear()
            return found


class DatabaseCounter:
    """Counts under the name of the part, or of the part's thread where several share a database."""

    def __init__(self, tally: Tally, part: str | None = None) -> None:
        self._tally, self._part = tally, part

    def _name(self) -> str:
        return self._part or threading.current_thread().name.partition("_")[0]

    def statement(self, sql: str) -> None:
        self._tally.add(self._name(), "statements", " ".join(sql.split())[:160])

    def commit(self) -> None:
        self._tally.add(self._name(), "commits")


class Counted:
    """Anything of which chosen methods are counted."""

    def __init__(self, inner: Any, tally: Tally, kind: str, methods: tuple[str, ...]) -> None:
        self._inner, self._tally, self._kind, self._methods = inner, tally, kind, methods

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._methods:
            return found

        def counted(*words: Any, **named: Any) -> Any:
            said = " ".join(str(word)[:60] for word in words if isinstance(word, str)) or name
            self._tally.add("agent", self._kind, said)
            return found(*words, **named)

        return counted


@dataclasses.dataclass(slots=True)
class Bench:
    """The whole of Higgins in this process."""

    client: testing.TestClient
    tally: Tally
    watched: Database

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = self.client.simulate_request(method, path, headers=HEADERS, json=body)
        if answer.status_code >= 400 and answer.status_code != 404:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.text}")
        return answer

    def settled(self, phase: Phase | None) -> None:
        """Wait until every pod has the phase, none is there for ``None``, and then until no part has done anything for a while.

        Looks at the database past the counters.
        """
        settled(self.watched, self.tally, phase)


def settled(watched: Database, tally: Tally, phase: Phase | None, within_s: float = 60.0) -> None:
    """Wait until every pod has the phase, none is there for ``None``, and then until no part has done anything for a while."""

    def phases() -> set[Phase | None]:
        with watched.read() as tx:
            return {pod.phase for pod in pods.list(tx, Scope(None))}

    deadline, pause = time.monotonic() + within_s, threading.Event()
    while phases() != ({phase} if phase else set()) or time.monotonic() - tally.last_s < QUIET_S:
        if time.monotonic() > deadline:
            raise AssertionError(f"the pods are {phases()}, not {phase}")
        pause.wait(0.1)


@contextlib.contextmanager
def bench(engine: str, address: str, state: pathlib.Path) -> Iterator[tuple[Bench, Callable[[], None]]]:
    """All parts running; the second is what takes the counting of the API's side off."""
    tally = Tally()
    url = f"sqlite:///{state}/higgins.db"
    migrate.upgrade(url)
    sealer, token, local = Sealer(secrets.token_bytes(32)), secrets.token_urlsafe(16), hints.LocalHints()
    of_api, of_loops = (
        Database(url, one_machine=True, observer=DatabaseCounter(tally, "api")),
        Database(url, one_machine=True, observer=DatabaseCounter(tally)),
    )
    with Database(url).write() as tx:
        own = installation.ensure(tx, sealer)
        hosts.enroll(tx, "bench", hashlib.sha256(token.encode()).hexdigest())
    means = Means(
        db=of_api,
        sealer=sealer,
        policy=Policy(),
        hint=hints.after_wish(local),
        installation=own,
        settings=Settings(),
    )
    driver: Any = open_engine(engine, f"{address}?installation={own}")
    driver.http = Counted(driver.http, tally, "engine calls", ("call", "stream"))
    wire: Any = Counted(
        WireClient(f"unix:{state}/wire.sock", token), tally, "wire calls", ("assignments", "report", "hello")
    )
    parts: list[Any] = [
        Scheduler(of_loops, local, interval_s=HOUR_S, hosts_kept_s=2 * HOUR_S),
        Provisioner(of_loops, local, [Volumes(of_loops)], sealer, interval_s=HOUR_S),
        Server(Desk(of_loops, sealer), local, f"unix:{state}/wire.sock", sweep_s=HOUR_S, credential_kept_s=HOUR_S),
        Agent(
            driver,
            wire,
            hostname="bench",
            state_dir=state / "agent",
            live_address=f"unix:{state}/live.sock",
            live_token=token,
            timings=Timings(inventory_s=HOUR_S),
        ),
    ]
    app = make_app(service.build(means, AgentQuestions()), NoAuth())
    for part in parts:
        part.start()
    try:
        yield Bench(testing.TestClient(app), tally, Database(url)), tally.taken
    finally:
        for part in reversed(parts):
            part.stop()


def work(engine: str, rounds: int) -> Iterator[Figure]:
    """Counts of create + start, show and delete, a round of each at a time."""
    totals: dict[str, collections.Counter[tuple[str, str]]] = collections.defaultdict(collections.Counter)
    words: dict[str, collections.Counter[tuple[str, str]]] = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory(prefix="hig-s10-", dir="/tmp") as folder, engine_of(engine) as daemon:
        if daemon is None:
            raise AssertionError("calls of a fake engine say nothing")
        with bench(engine, f"unix://{daemon.socket}", pathlib.Path(folder)) as (found, taken):
            for turn in range(rounds + 1):
                for name, counts, said in _round(found, taken):
                    if turn:  # the first round also asks what is kept afterwards
                        totals[name].update(counts)
                        words[name].update(said)
    yield from figures(TARGETS, KINDS, totals, words, rounds, engine)


def figures(
    targets: Mapping[str, Mapping[str, int | None]],
    kinds: Sequence[str],
    totals: Mapping[str, Mapping[tuple[str, str], int]],
    words: Mapping[str, Mapping[tuple[str, str], int]],
    rounds: int,
    where: str,
) -> Iterator[Figure]:
    """A figure for each kind of work of each operation: ``totals`` counts by part and kind, ``words`` statements by part and text."""
    for name, most in targets.items():
        for kind in kinds:
            by_part = {part: count / rounds for (part, k), count in totals[name].items() if k == kind}
            said = [f"{part}: {text} x {count / rounds:g}" for (part, text), count in words[name].items()]
            yield Figure(
                id="S10",
                name=f"{name}: {kind} ({where})",
                ours=sum(by_part.values()),
                unit="",
                most=most.get(kind),
                detail={
                    "by_part": dict(sorted(by_part.items())),
                    "what": sorted(said) if kind == "statements" else [],
                },
            )


def _round(found: Bench, taken: Callable[[], Any]) -> Iterator[tuple[str, Any, Any]]:
    body = {"image": "busybox", "command": SLEEP, "cpu": CPUS, "memory": str(MEMORY_MIB)}
    found.settled(None)
    taken()
    path = "/v1/containers/" + found.call("POST", "/v1/containers?run=true", body).json["uuid"]
    found.settled(Phase.RUNNING)
    yield "create + start", *taken()
    found.call("GET", path)
    yield "show", *taken()
    found.call("DELETE", path + "?force=true")
    found.settled(None)
    yield "delete", *taken()
