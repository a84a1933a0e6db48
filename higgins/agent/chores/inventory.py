"""What this host is and has: from the engine's own words, /proc and the file system that holds its data."""

from __future__ import annotations

import dataclasses
import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path

from higgins.agent.hands.processors import Processors
from higgins.core import errors, model, units
from higgins.engine.api import Engine, EngineInfo, abilities

MEMORY_STEP = 0.05
DISK_STEP_GIB = 1


class Inventory:
    """Asks for the facts of this host; every method may be called from any thread.

    ``network_host`` is what Neutron calls it, ``connector`` gives what Cinder must know of it.
    """

    def __init__(
        self,
        engine: Engine,
        hostname: str,
        network_host: str = "",
        connector: Callable[[], str] = lambda: "",
        *,
        processors: Processors,
    ) -> None:
        self._engine, self._hostname, self._network_host = engine, hostname, network_host
        self._connector, self._processors = connector, processors
        self._lock = threading.Lock()
        self._info: EngineInfo | None = None
        self._told: model.HostFacts | None = None

    def ask(self) -> model.HostFacts:
        """The facts now; an engine that does not answer is told by ``engine_up`` and ``engine_error``."""
        error = ""
        try:
            info: EngineInfo | None = self._engine.info()
        except errors.HigginsError as silent:
            info, error = None, silent.message
        with self._lock:
            self._info = info or self._info
            known = self._info
        cannot_limit = known.cannot_limit if known else ()
        memory_mib, used_mib = _memory()
        disk_gib, disk_used_gib = _disk(known.data_path if known else "/")
        return model.HostFacts(
            hostname=self._hostname,
            engine=known.name if known else self._engine.name,
            engine_version=known.version if known else "",
            engine_up=info is not None,
            engine_error=error,
            cpus=len(os.sched_getaffinity(0)),
            dedicated_cpus=0 if "cpu_policy" in cannot_limit else self._processors.set_aside,
            memory_mib=memory_mib,
            disk_gib=disk_gib,
            memory_used_mib=used_mib,
            disk_used_gib=disk_used_gib,
            architecture=platform.machine(),
            os=_os_name(),
            kernel_version=platform.release(),
            labels=known.labels if known else {},
            runtimes=known.runtimes if known else (),
            abilities=abilities(self._engine),
            disk_quota_supported=known.disk_quota if known else False,
            cannot_limit=cannot_limit,
            network_host=self._network_host,
            connector=self._connector(),
        )

    def news(self) -> model.HostFacts | None:
        """The facts now when they differ from those last told by more than noise."""
        facts = self.ask()
        with self._lock:
            if self._told is not None and _same(self._told, facts):
                return None
            self._told = facts
        return facts

    def told(self, facts: model.HostFacts) -> None:
        """These were told in another way."""
        with self._lock:
            self._told = facts

    @property
    def info(self) -> EngineInfo | None:
        """The engine's words when it last answered."""
        with self._lock:
            return self._info


def _same(old: model.HostFacts, new: model.HostFacts) -> bool:
    memory = abs(old.memory_used_mib - new.memory_used_mib) < max(1.0, MEMORY_STEP * new.memory_mib)
    disk = abs(old.disk_used_gib - new.disk_used_gib) <= DISK_STEP_GIB
    steady = dataclasses.replace(new, memory_used_mib=old.memory_used_mib, disk_used_gib=old.disk_used_gib)
    return memory and disk and steady == old


def _memory() -> tuple[int, int]:
    """Total and used MiB."""
    found = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            found[name] = int(rest.split()[0]) // 1024
    return found["MemTotal"], found["MemTotal"] - found.get("MemAvailable", 0)


def _disk(path: str) -> tuple[int, int]:
    """Total and used GiB of the file system that holds a path."""
    try:
        seen = os.statvfs(path)
    except OSError:
        seen = os.statvfs("/")
    return seen.f_blocks * seen.f_frsize // units.GIB, (seen.f_blocks - seen.f_bfree) * seen.f_frsize // units.GIB


def _os_name() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.system()
    return release.get("PRETTY_NAME", platform.system())
