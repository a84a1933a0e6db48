"""A private engine and a Higgins on it, for one run: own state directory, own port, own network namespace; all of it is taken down."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

from bench import processes
from bench.callers import Api, RawEngine
from tests.engine import running

ROOT = pathlib.Path(__file__).parents[1]
STOP_WITHIN_S = 30.0
# What a user's own local.conf would say, so that no quota and no claim is in the way of a thousand containers.
ROOMY = """
[quota]
containers = -1
memory = -1
cpu = -1
disk = -1
[scheduler]
cpu_allocation_ratio = 1000
ram_allocation_ratio = 1000
"""


class CannotRun(Exception):
    """This machine lacks something; the message says what."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running Higgins and the engine under it; ``daemon`` is ``None`` for the fake engine."""

    engine: str
    state: pathlib.Path
    port: int
    daemon: running.Daemon | None

    def api(self) -> Api:
        """A client for one thread."""
        return Api(self.port, str(self.state / "clouds.yaml"))

    def raw(self) -> RawEngine:
        """A client of the engine alone, for one thread."""
        if self.daemon is None:
            raise CannotRun("The fake engine has no REST API.")
        return RawEngine(str(self.daemon.socket), self.engine)

    def pid(self, part: str) -> int:
        """The process of ``api``, ``controller`` or ``agent``; of the API the worker that answers."""
        pid = int((self.state / "run" / f"{part}.pid").read_text())
        return processes.children(pid)[0] if part == "api" else pid


@contextlib.contextmanager
def engine_of(name: str) -> Iterator[running.Daemon | None]:
    """A private engine with busybox in its store."""
    if name == "fake":
        yield None
        return
    why = running.missing(name)
    if why:
        raise CannotRun(why)
    with running.daemon(name) as daemon:
        yield daemon


@contextlib.contextmanager
def house(engine: str) -> Iterator[House]:
    """A private engine and Higgins on it, ready to take containers."""
    with engine_of(engine) as daemon:
        state = pathlib.Path(tempfile.mkdtemp(prefix="hig-bench-", dir="/tmp"))
        try:
            (state / "local.conf").write_text(ROOMY)
            port = _free_port()
            _start(state, port, engine, "fake:" if daemon is None else f"unix://{daemon.socket}")
            yield House(engine=engine, state=state, port=port, daemon=daemon)
        finally:
            _stop(state)
            shutil.rmtree(state, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(state: pathlib.Path, port: int, engine: str, address: str) -> None:
    words = ["--state", str(state), "--port", str(port), "--engine", engine, "--engine-address", address, "--detach"]
    done = subprocess.run(
        [sys.executable, "-m", "higgins.cmd.up", *words], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        logs = "\n".join(f"{path.name}: {path.read_text()[-600:]}" for path in (state / "log").glob("*.log"))
        raise CannotRun(f"Higgins did not start: {done.stdout}{done.stderr}\n{logs}")


def _stop(state: pathlib.Path) -> None:
    recorded = state / "higgins.pid"
    words = recorded.read_text().strip() if recorded.exists() else ""
    if not words:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(words), signal.SIGTERM)
        deadline, pause = time.monotonic() + STOP_WITHIN_S, threading.Event()
        while pathlib.Path(f"/proc/{words}").exists() and time.monotonic() < deadline:
            pause.wait(0.05)
