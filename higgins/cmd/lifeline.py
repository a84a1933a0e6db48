"""Ties a child process to the supervisor of ``higgins-up``: none of them outlives it, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "HIGGINS_SUPERVISOR_PID"
_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def die_with_supervisor(signal_number: int = signal.SIGTERM) -> None:
    """Ask the kernel to send ``signal_number`` when the parent ends; nothing happens outside ``higgins-up``.

    Call it from the main thread: the kernel watches the thread that started this process.
    """
    expected = os.environ.get(PARENT_VARIABLE)
    if expected is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if os.getppid() == 1 and expected != "1":  # it ended before the request above
        sys.exit(1)
