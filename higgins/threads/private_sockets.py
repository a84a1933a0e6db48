"""Unix sockets that nobody but their owner may use, made without the process' umask: all threads share that one."""

from __future__ import annotations

import os
import pathlib
import socket


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
