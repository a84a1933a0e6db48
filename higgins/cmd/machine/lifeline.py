"""How a process of ours ends: when it is told to, and never later than the supervisor that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
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


def block_stop_signals() -> None:
    """Keep SIGTERM and SIGINT for ``wait_for_stop``; call it before any thread starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)


def wait_for_stop() -> None:
    """Return when the process was told to end."""
    signal.sigwait(_STOP_SIGNALS)
