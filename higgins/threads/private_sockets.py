"""Unix sockets that nobody but their owner may use, made without the process' umask: all threads share that one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def owned(path: str | os.PathLike[str]) -> Iterator[bool]:
    """Whether the socket at a path is this process' own while the block runs; false when another one that lives says so.

    The kernel knows by a locked file beside it, and forgets when the process ends, however that happens.
    """
    lock = os.open(f"{os.fspath(path)}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_ours = False
    else:
        is_ours = True
    try:
        yield is_ours
    finally:
        os.close(lock)


def bound(path: str | os.PathLike[str], kind: socket.SocketKind) -> socket.socket:
    """A socket of mode 0600 at a path; one that a dead process left there is replaced. It does not listen yet."""
    pathlib.Path(path).unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, kind)
    try:
        os.fchmod(made.fileno(), 0o600)  # Linux gives a socket's file the mode that the socket has
        made.bind(os.fspath(path))
    except OSError:
        made.close()
        raise
    return made
