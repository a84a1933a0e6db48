"""Keeps the processes of one machine running: starts them, starts one again that died, ends all of them together.

It knows commands and process ids only; what the processes do is their own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from higgins.cmd.machine.lifeline import PARENT_VARIABLE

LOG = logging.getLogger(__name__)

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 10.0
_STEADY_AFTER_S = 30.0
_EARLY_ENDS = 3
_HOPELESS = ".failing"


def end_left_over(marks: Mapping[str, str], within_s: float = 5.0) -> int:
    """End what a supervisor that was killed left behind: processes that one started with these words in their environment.

    Gives how many. Call it only where no such supervisor runs.
    """
    wanted = {f"{name}={value}".encode() for name, value in marks.items()}
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            words = set(place.read_bytes().split(b"\0"))
            started = any(word.startswith(f"{PARENT_VARIABLE}=".encode()) for word in words)
            if started and wanted <= words and int(place.parent.name) != os.getpid():
                found.append(os.pidfd_open(int(place.parent.name)))
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline_s = time.monotonic() + within_s
        for handle in found:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
        for handle in found:
            select.select([handle], [], [], max(0.0, deadline_s - time.monotonic()))
    for handle in found:
        os.close(handle)
    return len(found)


def hopeless(pid_dir: Path) -> list[str]:
    """Names of the children of the supervisor that runs there, which ended soon after their start three times in a row."""
    return sorted(place.stem for place in pid_dir.glob(f"*{_HOPELESS}"))


@dataclasses.dataclass(slots=True)
class Child:
    """One process: how to start it, and how its last starts went."""

    name: str
    command: Sequence[str]
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    started_at_s: float = 0.0
    start_again_at_s: float = 0.0
    delay_s: float = _FIRST_DELAY_S
    early_ends: int = 0


class Supervisor:
    """Runs children until it is told to stop; one that ends by itself is started again after a growing delay."""

    def __init__(
        self, children: Sequence[Child], pid_dir: Path, environment: Mapping[str, str], stop_within_s: float = 15.0
    ) -> None:
        self._children = list(children)
        self._pid_dir = pid_dir
        self._environment = {**os.environ, **environment, PARENT_VARIABLE: str(os.getpid())}
        self._stop_within_s = stop_within_s
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stopping = False
        for child in self._children:
            self._hopeless_file(child).unlink(missing_ok=True)

    def run(self) -> None:
        """Start all, look after them until SIGTERM or SIGINT, then end all. Call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop_signal)
        signal.signal(signal.SIGCHLD, self._on_child_signal)
        signal.set_wakeup_fd(self._wake_write)  # a lock taken in a handler could wait for the code it interrupted
        try:
            while not self._stopping:
                if select.select([self._wake_read], [], [], self._look())[0]:
                    os.read(self._wake_read, 512)
        finally:
            signal.set_wakeup_fd(-1)
            self._end_all()

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _on_child_signal(self, number: int, frame: FrameType | None) -> None:
        """Nothing to do here: the wake-up byte has been written."""

    def _look(self) -> float:
        """Start whatever should run and does not; seconds until the next look."""
        now_s = time.monotonic()
        next_look_s = 5.0
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._note_end(child, now_s)
            if child.process is None:
                if child.start_again_at_s <= now_s:
                    self._start(child, now_s)
                else:
                    next_look_s = min(next_look_s, child.start_again_at_s - now_s)
        return max(next_look_s, 0.01)

    def _start(self, child: Child, now_s: float) -> None:
        with child.log_file.open("ab") as log:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        child.started_at_s = now_s
        (self._pid_dir / f"{child.name}.pid").write_text(f"{child.process.pid}\n")
        LOG.info("started %s (pid %d)", child.name, child.process.pid)

    def _note_end(self, child: Child, now_s: float) -> None:
        process = child.process
        if process is None:
            return
        _kill_group(process.pid, signal.SIGKILL)  # workers that a killed parent left behind hold its port
        child.early_ends += 1
        if now_s - child.started_at_s > _STEADY_AFTER_S:
            child.delay_s, child.early_ends = _FIRST_DELAY_S, 0
        if child.early_ends >= _EARLY_ENDS:
            self._hopeless_file(child).touch()
        (self._pid_dir / f"{child.name}.pid").unlink(missing_ok=True)
        child.process = None
        child.start_again_at_s = now_s + child.delay_s
        LOG.warning(
            "%s ended with %s; it starts again in %.1f s (its log: %s)",
            child.name,
            process.returncode,
            child.delay_s,
            child.log_file,
        )
        child.delay_s = min(child.delay_s * 2, _LONGEST_DELAY_S)

    def _hopeless_file(self, child: Child) -> Path:
        return self._pid_dir / f"{child.name}{_HOPELESS}"

    def _end_all(self) -> None:
        running = [child for child in self._children if child.process is not None]
        for child in running:
            _kill_group(child.process.pid if child.process else 0, signal.SIGTERM)
        deadline_s = time.monotonic() + self._stop_within_s
        for child in running:
            process = child.process
            if process is None:
                continue
            try:
                process.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                LOG.warning("%s did not end in time and is killed", child.name)
            _kill_group(process.pid, signal.SIGKILL)
            process.wait()
            (self._pid_dir / f"{child.name}.pid").unlink(missing_ok=True)


def _kill_group(pid: int, number: signal.Signals) -> None:
    if pid > 1:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
