"""How a process of ours treats its memory, once it is built. Knows nothing of what was built."""

from __future__ import annotations

import ctypes
import gc

_YOUNG, _OLDER = 50_000, 20
_M_MMAP_THRESHOLD = -3  # mallopt(3)
_LARGE_BYTES = 1024 * 1024


def settle_memory() -> None:
    """Call it when all is built that lives as long as the process: the garbage collector never looks at that again.

    Collections come less often too: a list of a thousand containers makes tens of thousands of objects and hardly a cycle among them.
    Large blocks (a password's check takes 16 MiB) go back to the system at once, where the C library is glibc, instead of staying with the
    thread that asked for them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _OLDER, _OLDER)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
