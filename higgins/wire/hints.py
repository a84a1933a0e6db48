"""Hints: one process tells others that looking at the database now would pay. Losing one costs time, never truth.

A hint is a topic, a short word; who listens looks at the database, where the truth is. Must not know what is looked at.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pathlib
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from higgins.threads import private_sockets

LOG = logging.getLogger(__name__)

SCHEDULE = "schedule"
"""A pod waits for a host."""

PROVISION = "provision"
"""A pod with a host has a new wish."""

TAKE_BACK = "take-back"
"""A pod is over: deleted before it had a host, or gone from its host."""

_HOST = "host/"
_MOST_BYTES = 256


def host_topic(host_id: int) -> str:
    """The topic of what a host is assigned."""
    return f"{_HOST}{host_id}"


def host_of(topic: str) -> int | None:
    """The host that a topic is about, if it is about one."""
    name = topic.removeprefix(_HOST)
    return int(name) if topic.startswith(_HOST) and name.isdecimal() else None


Listener = Callable[[str], None]
"""Told of a topic, on any thread; must return at once."""


class Hints(Protocol):
    """A way to tell and to be told. Neither call raises, whatever happens to the other side."""

    def nudge(self, topic: str) -> None:
        """Tell everybody who listens; nobody listening is fine."""
        ...

    def listen(self, listener: Listener) -> None:
        """From now on call ``listener`` with every topic told."""
        ...


class LocalHints:
    """Hints among the threads of one process."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def nudge(self, topic: str) -> None:
        """Tell the listeners of this process, on the caller's thread."""
        for listener in self._listeners:
            listener(topic)

    def listen(self, listener: Listener) -> None:
        """Add a listener."""
        with self._lock:
            self._listeners = (*self._listeners, listener)


class DatagramHints:
    """Hints to another process on this machine, through its unix datagram socket (see ``DatagramEar``). Only tells.

    Never waits: a datagram that does not go through at once is dropped, as the other side looks by itself now and then.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def nudge(self, topic: str) -> None:
        """Send the topic; dropped when nobody is there or the other side is behind."""
        try:
            self._socket.sendto(topic.encode(), self._path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN, errno.ENOBUFS):
                LOG.warning("A hint to %s was lost: %s", self._path, error)

    def listen(self, listener: Listener) -> None:
        """Nothing is ever told here."""

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


class DatagramEar:
    """Takes hints from other processes at a unix datagram socket (mode 0600) and passes them on to hints of its own process."""

    def __init__(self, path: str | os.PathLike[str], onto: Hints) -> None:
        self._path = pathlib.Path(path)
        self._onto = onto
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; a socket that a dead process left there is replaced."""
        ear = private_sockets.bound(self._path, socket.SOCK_DGRAM)
        self._socket = ear
        self._thread = threading.Thread(target=self._listen, args=(ear,), name="hints", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. The socket's file stays: another process may have put its own there meanwhile."""
        ear, thread = self._socket, self._thread
        if ear is None or thread is None:
            return
        self._socket = None
        with contextlib.suppress(OSError):
            ear.shutdown(socket.SHUT_RDWR)
        thread.join()
        ear.close()

    def _listen(self, ear: socket.socket) -> None:
        while self._socket is ear:
            try:
                topic = ear.recv(_MOST_BYTES).decode("ascii", "replace")
            except OSError:
                return
            if topic:
                self._onto.nudge(topic)


class AfterWish(Protocol):
    """What a use case calls after its commit. Must return at once and never raise; a lost hint costs latency only."""

    def __call__(self, host_id: int | None, *, straight: bool = False) -> None:
        """The wishes of this host (its row's id) changed, or a pod waits for one (``None``).

        ``straight`` says that the host deals with it and provisioning has no part in it.
        """
        ...


def after_wish(*hints: Hints) -> AfterWish:
    """Tells all of these what a wish concerns."""

    def tell(host_id: int | None, *, straight: bool = False) -> None:
        for one in hints:
            for topic in _topics(host_id, straight):
                one.nudge(topic)

    return tell


def _topics(host_id: int | None, straight: bool) -> Iterable[str]:
    if host_id is None:
        return (SCHEDULE,)
    return (host_topic(host_id),) if straight else (PROVISION, host_topic(host_id))
