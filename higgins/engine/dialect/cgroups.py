"""Reads what a container uses, and its limits, from the control groups of this host.

That takes a millisecond where Docker's own sample takes a second. Knows both versions of control groups and the mix of them.
Where the files are not to be seen (``seen``), the engine has to be asked.
"""

from __future__ import annotations

import contextlib
import pathlib

from higgins.engine import api

ROOT = pathlib.Path("/sys/fs/cgroup")
PROC = pathlib.Path("/proc")
NO_LIMIT_BYTES = 1 << 60


class Groups:
    """The control groups of one running container, found by its first process and its id."""

    def __init__(self, pid: int, engine_id: str) -> None:
        self._pid = pid
        self._folders: dict[str, pathlib.Path] = {}
        for line in _text(PROC / str(pid) / "cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            if engine_id not in path:
                continue  # without root on version 1 a container stays in the group of the engine
            for controller in controllers.split(","):
                self._folders[controller] = _folder(controller, _of_container(path, engine_id))

    def seen(self) -> bool:
        """Whether the files are there."""
        return bool(self._first("memory", "memory.current", "memory.usage_in_bytes"))

    def limits(self) -> tuple[float | None, int | None]:
        """Processors and bytes of memory; ``None`` for no limit."""
        quota, _, period = self._first("cpu", "cpu.max").partition(" ")
        if not quota:
            quota, period = self._first("cpu", "cpu.cfs_quota_us"), self._first("cpu", "cpu.cfs_period_us")
        memory = _number(self._first("memory", "memory.max", "memory.limit_in_bytes"))
        cpus = _number(quota) / max(1, _number(period)) if _number(quota) > 0 else None
        return cpus, memory if 0 < memory < NO_LIMIT_BYTES else None

    def sample(self) -> api.Stats:
        """What is used now."""
        usage = _number(self._first("memory", "memory.current", "memory.usage_in_bytes"))
        memory = _table(self._first("memory", "memory.stat"))
        cache = memory.get("total_inactive_file", memory.get("inactive_file", 0))
        reads, writes = self._blocks()
        received, sent = self._network()
        return api.Stats(
            cpu_s=self._cpu_s(),
            memory_bytes=max(0, usage - cache),
            memory_limit_bytes=self.limits()[1] or 0,
            block_read_bytes=reads,
            block_write_bytes=writes,
            net_rx_bytes=received,
            net_tx_bytes=sent,
            pids=_number(self._first("pids", "pids.current")),
        )

    def _cpu_s(self) -> float:
        nanoseconds = self._first("cpuacct", "cpuacct.usage")
        if nanoseconds:
            return _number(nanoseconds) / 1e9
        return _table(self._first("cpu", "cpu.stat")).get("usage_usec", 0) / 1e6

    def _blocks(self) -> tuple[int, int]:
        sums = {"read": 0, "write": 0}
        for line in self._first(
            "blkio", "blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"
        ).splitlines():
            _, _, rest = line.partition(" ")
            kind, _, value = rest.partition(" ")
            sums[kind.lower()] = sums.get(kind.lower(), 0) + _number(value)
        for line in self._first("io", "io.stat").splitlines():
            for word in line.split()[1:]:
                kind, _, value = word.partition("=")
                sums["read"] += _number(value) if kind == "rbytes" else 0
                sums["write"] += _number(value) if kind == "wbytes" else 0
        return sums["read"], sums["write"]

    def _network(self) -> tuple[int, int]:
        received = sent = 0
        for line in _text(PROC / str(self._pid) / "net" / "dev").splitlines()[2:]:
            name, _, counters = line.partition(":")
            words = counters.split()
            if name.strip() != "lo" and len(words) >= 9:
                received, sent = received + _number(words[0]), sent + _number(words[8])
        return received, sent

    def _first(self, controller: str, *names: str) -> str:
        for folder in (self._folders.get(controller), self._folders.get("")):
            for name in names if folder is not None else ():
                text = _text(folder / name) if folder is not None else ""
                if text:
                    return text
        return ""


def _of_container(path: str, engine_id: str) -> str:
    """The part of a path down to the container's own group: its first process may live in a group below."""
    parts = path.split("/")
    for place, part in enumerate(parts):
        if engine_id in part:
            return "/".join(parts[: place + 1])
    return path


def _folder(controller: str, path: str) -> pathlib.Path:
    if controller:
        return ROOT / controller / path.lstrip("/")
    mixed = ROOT / "unified"
    return (mixed if mixed.is_dir() else ROOT) / path.lstrip("/")


def _text(path: pathlib.Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip()
    return ""


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _table(text: str) -> dict[str, int]:
    return {name: _number(value) for name, _, value in (line.partition(" ") for line in text.splitlines())}
