"""Private engines for a whole run, a clean driver for each test, and the table of abilities and engines at the end."""

from __future__ import annotations

import dataclasses
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from higgins.core import model
from higgins.core.phase import EngineState
from higgins.engine import api, load
from tests.engine import crash_table, running

ENGINES = ("fake", "fake-dir", "podman", "docker")
FOREVER = ("sleep", "1000")
POLITE = ("sh", "-c", "trap 'exit 0' TERM; trap 'exit 7' USR1; echo ready; while true; do sleep 0.05; done")


def pytest_configure(config):
    config.addinivalue_line("markers", "ability(name): what a conformance test shows, a row of the table at the end")


@pytest.fixture(scope="session")
def podman_daemon():
    yield from _daemon("podman")


@pytest.fixture(scope="session")
def docker_daemon():
    yield from _daemon("docker")


def _daemon(name):
    why = running.missing(name)
    if why:
        pytest.skip(why)
    with running.daemon(name) as private:
        yield private


PATIENCE_S = 150
"""For what takes no second on a machine that is not busy, or does not stand still."""


def wait_until(reached: Callable[[], object], what: str, deadline_s: float = PATIENCE_S) -> object:
    """The first true answer."""
    deadline, pause = time.monotonic() + deadline_s, threading.Event()
    while not (answer := reached()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        pause.wait(0.02)
    return answer


@dataclasses.dataclass
class Bench:
    """An engine under test and the containers that a test makes on it."""

    name: str
    engine: api.Engine
    daemon: running.Daemon | None
    properties: list[tuple[str, object]] = dataclasses.field(default_factory=list)

    def cannot(self) -> None:
        """The test showed that the engine says so, plainly: that is no yes in the table."""
        self.properties.append(("cannot", True))

    def creation(
        self, command: tuple[str, ...] | None = FOREVER, *, network: str = "none", image: str = "busybox", **words
    ) -> api.Creation:
        """What to create, with a new uuid."""
        own = {
            name: words.pop(name)
            for name in ("hostname", "binds", "dns_servers", "dns_search", "build", "ports", "processors")
            if name in words
        }
        uid = words.pop("uuid", None) or str(uuid.uuid4())
        spec = model.ContainerSpec(uuid=uid, name="test", image=image, command=command, **words)
        return api.Creation(pod=f"pod-{uid}", build=own.pop("build", 1), spec=spec, image=image, network=network, **own)

    def made(self, command: tuple[str, ...] | None = FOREVER, **words) -> str:
        """The uuid of a container that was created."""
        creation = self.creation(command, **words)
        self.engine.create(creation)
        return creation.spec.uuid

    def started(self, command: tuple[str, ...] | None = FOREVER, **words) -> str:
        """The uuid of a container that was created and started."""
        uid = self.made(command, **words)
        self.engine.start(uid)
        return uid

    def inside(self, uid: str, *command: str) -> bytes:
        """What a command in a container prints, which is something.

        It is asked again otherwise: two seconds after its end dockerd throws away what it has not copied by then (moby's daemon/monitor.go).
        """
        printed = b""
        for _ in range(5):
            printed = printed or self.engine.exec(uid, command, timeout_s=PATIENCE_S).output
        return printed

    def polite(self, **words) -> str:
        """The uuid of a running container that obeys signals."""
        uid = self.started(POLITE, **words)
        wait_until(lambda: b"ready" in b"".join(self.engine.logs(uid)), "the trap is set")
        return uid

    def ended(self, uid: str) -> model.ContainerFacts:
        """Its facts once it has ended."""
        return wait_until(lambda: self.facts_in(uid, EngineState.STOPPED), "it ends")

    def facts_in(self, uid: str, state: EngineState) -> model.ContainerFacts | None:
        """Its facts when it is in that state."""
        facts = self.engine.inspect(uid)
        return facts if facts.state is state else None


@pytest.fixture(params=ENGINES)
def engine_name(request) -> str:
    marker = request.node.get_closest_marker("ability")
    request.node.user_properties += [("engine", request.param), ("ability", marker.args[0] if marker else "")]
    return request.param


@pytest.fixture
def bench(engine_name, request, tmp_path) -> Iterator[Bench]:
    daemon = None
    if engine_name == "fake":
        engine = load.open_engine("fake", "fake:")
    elif engine_name == "fake-dir":
        engine = load.open_engine("fake", f"fake://{tmp_path}/engine")
    else:
        daemon = request.getfixturevalue(f"{engine_name}_daemon")
        engine = load.open_engine(engine_name, f"unix://{daemon.socket}?installation={uuid.uuid4()}")
    if daemon is None:
        engine.pull("busybox")
    yield Bench(engine_name.partition("-")[0], engine, daemon, request.node.user_properties)
    remove_all(engine)
    engine.close()


def remove_all(engine: api.Engine) -> None:
    """Members of a pod go before the container whose network they share."""
    left = [facts.uuid for facts in engine.list()]
    for uid in left[:]:
        try:
            engine.remove(uid)
        except Exception:
            left.append(uid)
    for uid in left:
        engine.remove(uid)


def pytest_terminal_summary(terminalreporter):
    _show_abilities(terminalreporter)
    rows = list(_properties(terminalreporter, ("passed", "failed"), crash_table.PROPERTY))
    if rows:
        terminalreporter.section("where the agent was killed, and what that did")
        for line in crash_table.shown(rows):
            terminalreporter.write_line(line)


def _properties(terminalreporter, outcomes, name):
    reports = (report for outcome in outcomes for report in terminalreporter.stats.get(outcome, ()))
    for report in reports:
        yield from (value for known, value in getattr(report, "user_properties", ()) if known == name)


def _show_abilities(terminalreporter):
    rows: dict[str, dict[str, str]] = {}
    for outcome, mark in (("passed", "yes"), ("skipped", "-"), ("failed", "FAILED"), ("error", "FAILED")):
        for report in terminalreporter.stats.get(outcome, ()):
            words = dict(getattr(report, "user_properties", ()))
            if words.get("ability"):
                told = "no" if words.get("cannot") and mark == "yes" else mark
                row = rows.setdefault(words["ability"], {})
                row[words["engine"]] = told if told in ("FAILED", "no") else row.get(words["engine"], told)
    if not rows:
        return
    terminalreporter.section("what the engines can do")
    terminalreporter.write_line(f"{'':34}" + "".join(f"{name:>10}" for name in ENGINES))
    for ability in sorted(rows):
        terminalreporter.write_line(f"{ability:34}" + "".join(f"{rows[ability].get(name, ''):>10}" for name in ENGINES))
