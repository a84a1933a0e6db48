"""Ends a process of this host with everything that it started. For commands inside containers that must not outlive their time."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal

PROC = pathlib.Path("/proc")


def kill_tree(pid: int) -> bool:
    """Kill a process and all of its descendants; false when this user may not."""
    if pid <= 0 or not (PROC / str(pid)).exists():
        return True
    try:
        # Frozen first, so that nothing can be started while the tree is walked.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        for child in _children(pid):
            kill_tree(child)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    except PermissionError:
        return False
    return True


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listing in PROC.glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            found.extend(int(word) for word in listing.read_text().split())
    return found
