"""Volumes of Cinder on this host: each connected, looked at and mounted once, for as long as any pod of the host needs it.

What pods hold is noted beside the mounts in a file system in memory: when the host goes down both go, and an engine that starts a container
before its volume is mounted again finds no directory to bind, rather than an empty one. Of a connection it is noted there too, without what
is secret in it, what ends it when nobody else knows it any more.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from higgins.agent.hands.block import signature, table
from higgins.agent.hands.foreign import need_root
from higgins.core import errors, model, names

LOG = logging.getLogger(__name__)

_SECRET = re.compile("pass|secret|key|token|cred", re.IGNORECASE)
"""Names of what stands in connections and is needed to connect, never to disconnect."""


class Connects(Protocol):
    """What is needed of ``Brick``."""

    def properties(self, *, hostname: str, address: str) -> str:
        """The JSON of what Cinder must be told of this host."""
        ...

    def connect(self, connection: dict[str, Any]) -> str:
        """The device of a volume."""
        ...

    def disconnect(self, connection: dict[str, Any], device: str | None, *, force: bool) -> None:
        """Have it gone; with ``force`` also when nothing can be written to it any more."""
        ...


class BlockVolumes:
    """Attaches and detaches; every method may be called from any thread, and repeated after a crash at any point.

    Mounts are at ``root``/at/VOLUME; ``notes`` is a directory on disk for what must outlive the host's end. Back ends of Cinder are told
    ``hostname`` and ``address``.
    """

    def __init__(self, root: Path, notes: Path, brick: Connects, *, hostname: str = "", address: str = "") -> None:
        self._root, self._notes, self._brick = root, notes, brick
        self._hostname, self._address = hostname, address
        self._connector: str | None = None
        self._asking, self._noting, self._lock = threading.Lock(), threading.Lock(), threading.Lock()
        self._one_by_one: dict[str, threading.Lock] = collections.defaultdict(threading.Lock)
        self._holders: dict[str, set[str]] = {}
        for marker in self._held.glob("*/*"):
            self._holders.setdefault(marker.parent.name, set()).add(marker.name)

    @property
    def _at(self) -> Path:
        return self._root / "at"

    @property
    def _held(self) -> Path:
        return self._root / "held"

    def connector(self) -> str:
        """The JSON that Cinder needs to connect volumes to this host; empty on a host that cannot attach any. Asked for once."""
        with self._asking:
            if self._connector is None:
                try:
                    need_root("attach volumes")
                    self._connector = self._brick.properties(hostname=self._hostname, address=self._address)
                except errors.Unsupported as error:
                    LOG.warning("%s", error.message)
                    self._connector = ""
                except errors.NotReady as error:
                    LOG.warning("%s It is asked again.", error.message)
            return self._connector or ""

    def path(self, volume: str) -> Path:
        """Where a volume is mounted when it is."""
        return self._at / volume

    def held(self, pod: str) -> frozenset[str]:
        """The volumes of which something may be left for a pod."""
        with self._lock:
            return frozenset(volume for volume, pods in self._holders.items() if pod in pods)

    def attached(self, pod: str) -> frozenset[str]:
        """The volumes that a pod holds and that are mounted now."""
        held = self.held(pod)
        return held & table.mounts(self._at).keys() if held else held

    def strangers(self, assigned: Callable[[str], bool]) -> tuple[str, ...]:
        """Pods that hold a volume and are not assigned, sorted."""
        with self._lock:
            holders = frozenset[str]().union(*self._holders.values())
        return tuple(sorted(pod for pod in holders if not assigned(pod)))

    def leave(self, pod: str) -> None:
        """Let go of all that a pod holds of which nobody knows any more; a device that cannot be disconnected stays so."""
        for volume in self.held(pod):
            connection = self._noted_connection(pod, volume)
            try:
                self._end(pod, volume, connection)
            except (errors.Timeout, errors.Unavailable) as error:
                if connection is None:
                    raise
                LOG.warning("The device of volume %s stays connected: %s", volume, error.message)
                self._end(pod, volume, None)

    def mounted(self) -> tuple[str, ...]:
        """Every volume that is mounted, sorted."""
        return tuple(sorted(table.mounts(self._at)))

    def attach(self, pod: str, grant: model.VolumeGrant) -> None:
        """Have a volume mounted for a pod; a blank one gets its file system first.

        ``Invalid`` for what is neither blank nor a file system that can be mounted; ``Unsupported`` where the host cannot attach at all.
        """
        need_root("attach volumes")
        connection = _connection(grant)
        with self._alone(grant.name):
            self._hold(pod, grant.name, connection)
            known = table.mounts(self._at).get(grant.name)
            if known is None:
                self._mount(grant, connection)
            elif known.read_only and not grant.read_only:
                table.make_writable(self.path(grant.name))

    def detach(self, pod: str, volume: str, grant: model.VolumeGrant | None) -> None:
        """Have a pod hold a volume no more, and disconnect it once no pod does; nothing happens when it is not held.

        Without a grant its device stays connected. ``NotReady`` while something still uses the volume.
        """
        self._end(pod, volume, None if grant is None else _connection(grant))

    def _end(self, pod: str, volume: str, connection: dict[str, Any] | None) -> None:
        with self._alone(volume):
            with self._lock:
                others = self._holders.get(volume, set()) - {pod}
            if not others:
                self._unmount(volume, connection)
            self._let_go(pod, volume)

    def _noted_connection(self, pod: str, volume: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(_noted(self._held / volume / pod) or "null")
        except ValueError:
            return None
        return found

    def _mount(self, grant: model.VolumeGrant, connection: dict[str, Any]) -> None:
        device = self._brick.connect(connection)
        filesystem = self._filesystem(grant, device, str(connection.get("attachment_id") or ""))
        table.mount(device, filesystem, self.path(grant.name), read_only=grant.read_only, shared=grant.shared)

    def _filesystem(self, grant: model.VolumeGrant, device: str, attachment: str) -> str:
        """The file system on a device, made if it is blank. That it is being made is noted: half of one is not blank and holds nothing yet."""
        formatting = self._notes / grant.name
        begun = _noted(formatting) == attachment != ""
        try:
            found = signature.verdict(signature.look(device), grant.name)
        except errors.Invalid:
            if not begun:
                raise
            found = None
        if found is None and grant.read_only:
            raise errors.Invalid(
                f"The volume {grant.name} is empty, so it cannot be mounted read-only. Mount it writable the first time."
            )
        if found is None:
            _note(formatting, attachment)
            table.make(device, grant.filesystem, over=begun)
        _strike(formatting)
        return found or grant.filesystem

    def _unmount(self, volume: str, connection: dict[str, Any] | None) -> None:
        known = table.mounts(self._at).get(volume)
        written = known is not None and table.unmount(self.path(volume))
        if connection is not None:
            # Of what is not mounted nothing can be written out any more.
            self._brick.disconnect(connection, known.device if known else None, force=not written)
        with contextlib.suppress(FileNotFoundError):
            self.path(volume).rmdir()
        _strike(self._notes / volume)

    def _hold(self, pod: str, volume: str, connection: dict[str, Any]) -> None:
        with self._noting:
            table.scratch(self._root)
            marker = self._held / volume / pod
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.write_text(json.dumps(without_secrets(connection)))
            with self._lock:
                self._holders.setdefault(volume, set()).add(pod)

    def _let_go(self, pod: str, volume: str) -> None:
        with self._noting:
            marker = self._held / volume / pod
            marker.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others hold it, or there was none
                marker.parent.rmdir()
            with self._lock:
                holders = self._holders.get(volume, set())
                holders.discard(pod)
                if not holders:
                    self._holders.pop(volume, None)
                last = not self._holders
            if last:
                table.no_scratch(self._root)

    @contextlib.contextmanager
    def _alone(self, volume: str) -> Iterator[None]:
        if not names.is_uuid(volume):
            raise errors.Invalid(f"The host was told of a volume {volume!r}, which is no uuid.")
        with self._lock:
            lock = self._one_by_one[volume]
        with lock, _translated(volume):
            yield


def without_secrets(connection: Any) -> Any:
    """A connection as it may be noted."""
    if isinstance(connection, list):
        return [without_secrets(one) for one in connection]
    if isinstance(connection, dict):
        return {name: without_secrets(value) for name, value in connection.items() if not _SECRET.search(name)}
    return connection


def _connection(grant: model.VolumeGrant) -> dict[str, Any]:
    found = json.loads(grant.connection or "null")
    if not found:
        raise errors.NotReady(f"The host was not told yet how to reach the volume {grant.name}.")
    return dict(found)


def _noted(note: Path) -> str:
    try:
        return note.read_text()
    except FileNotFoundError:
        return ""


def _note(note: Path, words: str) -> None:
    """Write a note so that it is on the disk when this returns."""
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with note.open("w") as file:
        file.write(words)
        file.flush()
        os.fsync(file.fileno())
    _settle(note.parent)


def _strike(note: Path) -> None:
    """Remove a note for good: one that came back with a power cut would have a volume's data overwritten."""
    try:
        note.unlink()
    except FileNotFoundError:
        return
    _settle(note.parent)


def _settle(directory: Path) -> None:
    found = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(found)
    finally:
        os.close(found)


@contextlib.contextmanager
def _translated(volume: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.Unavailable(
            f"The host cannot keep the volume {volume} ({error.strerror}); tell the operator."
        ) from error
