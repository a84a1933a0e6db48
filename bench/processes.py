"""What processes of this machine cost: processor time and memory, from /proc. Knows nothing of who they are."""

from __future__ import annotations

import os
import pathlib

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor time that a process and its threads have used, in seconds; its children's is not in it."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def threads_cpu_s(pid: int) -> float:
    """The same of the threads that it has now, to the nanosecond: for a process that keeps its threads."""
    found = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += int((task / "schedstat").read_text().split()[0])
    return found / 1e9


def pss_mib(pid: int) -> float:
    """Memory with what is shared divided among its sharers, in MiB."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup names no Pss")


def children(pid: int) -> list[int]:
    """The processes that it started, as far as they are still its children."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    for child in children(pid):
        found += family(child)
    return found


def command(pid: int) -> str:
    """Its command line."""
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
