"""Mounts of block devices: made, looked up in the kernel's own table, and ended. Must not know pods or Cinder."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import subprocess
from pathlib import Path

from higgins.core import errors

LOG = logging.getLogger(__name__)

_CALL_S = 120.0
_FORMAT_S = 600.0
_OPTIONS = "nodev,nosuid"
"""A tenant's file system brings no device nodes and no rights."""

_ON_ERRORS = {"ext2": "errors=remount-ro", "ext3": "errors=remount-ro", "ext4": "errors=remount-ro"}
"""These let the superblock, which is the tenant's, choose what a broken file system does to the machine: stop it, for one."""

_BUSY = 32
"""With which umount ends when something holds the file system."""

_DEAD = ("Input/output error", "Read-only file system", "No such device", "No medium found")
"""What the kernel says of a file system whose storage is gone: nothing that is only in memory can be written any more."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mounted:
    """One line of the kernel's table."""

    device: str
    read_only: bool


def mounts(under: Path) -> dict[str, Mounted]:
    """What is mounted directly in a directory, by its name there; of several mounts over each other the last."""
    prefix = f"{os.path.realpath(under)}/"
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        if fields[4].startswith(prefix):
            device = fields[fields.index("-") + 2]
            flags = {*fields[5].split(","), *fields[fields.index("-") + 3].split(",")}
            found[fields[4].removeprefix(prefix)] = Mounted(device, "ro" in flags)
    return found


def scratch(path: Path) -> None:
    """Have a small file system in memory there: what is in it goes with the mounts when the host goes down."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.name not in mounts(path.parent):
        _run("mount", "-t", "tmpfs", "-o", "size=16m,mode=700,nodev,nosuid", "higgins-volumes", str(path))


def no_scratch(path: Path) -> None:
    """End what ``scratch`` made, unless something is still mounted in it; nothing happens when it is not there."""
    with contextlib.suppress(_Failed):
        if path.name in mounts(path.parent):
            _run("umount", str(path))


def make(device: str, filesystem: str, *, over: bool) -> None:
    """Make a file system; unless it goes ``over`` the beginnings of one, ``mkfs`` itself refuses a device on which it finds something."""
    extra = ("-m", "0") if filesystem.startswith("ext") else ()
    force = ("-F",) if over else ()
    _protect(device, False)  # the kernel's refusal outlasts a crash, and the volume: the device may have another by now
    _run(f"mkfs.{filesystem}", "-q", *extra, *force, device, timeout_s=_FORMAT_S)


def mount(device: str, filesystem: str, path: Path, *, read_only: bool, shared: bool = False) -> None:
    """Mount a file system, or say why that cannot be: ``Invalid`` when the kernel refuses what is on the device.

    ``read_only`` leaves the device as it is, to the byte. Only the log of a host that crashed must be replayed before anything can be read; that is
    done for a volume that nobody else can have, and refused where it is ``shared``.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        _protect(device, read_only)
        try:
            _mount(device, filesystem, path, read_only=read_only)
        except _Failed:
            if shared or not read_only:
                raise
            _protect(device, False)
            _mount(device, filesystem, path, read_only=True)
            _protect(device, True)
    except _Failed as error:
        with contextlib.suppress(_Failed):
            _protect(device, False)
        log = "If it was not unmounted cleanly, mount it writable once. " if read_only else ""
        raise errors.Invalid(
            f"The file system ({filesystem}) of the volume {path.name} cannot be mounted; it was left as it is. {log}"
            f"Check it with fsck, or use another volume. The host says: {error.words}"
        ) from error


def _mount(device: str, filesystem: str, path: Path, *, read_only: bool) -> None:
    options = ",".join(filter(None, (_OPTIONS, _ON_ERRORS.get(filesystem), "ro" if read_only else None)))
    _run("mount", "-t", filesystem, "-o", options, device, str(path))


def _protect(device: str, read_only: bool) -> None:
    """Have the kernel itself refuse to write to a device, or let it write again: ``ro`` alone does not keep file systems from replaying their log."""
    _run("blockdev", "--setro" if read_only else "--setrw", device)


def make_writable(path: Path) -> None:
    """Let a read-only mount be written to."""
    _protect(mounts(path.parent)[path.name].device, False)
    _run("mount", "-o", f"remount,rw,{_OPTIONS}", str(path))


def unmount(path: Path) -> bool:
    """Write out what is only in memory, and end a mount; ``NotReady`` while something still uses it, for then its device must stay.

    False when the storage is gone, and with it whatever was not written: then the mount ends all the same.
    """
    written = _written(path)
    known = mounts(path.parent).get(path.name)
    try:
        _run("umount", str(path))
    except _Failed as error:
        if error.status == _BUSY and path.name in mounts(path.parent):
            raise errors.NotReady(f"Something on the host still uses the volume {path.name}.") from error
        raise
    if known is not None and known.read_only:
        with contextlib.suppress(_Failed):
            _protect(known.device, False)
    return written


def _written(path: Path) -> bool:
    """Whether all is on the storage; false when that can never be, or does not answer."""
    try:
        _run("sync", "--file-system", str(path))
    except _Failed as error:
        if not any(words in error.words for words in _DEAD):
            raise
        LOG.warning("The storage of volume %s is gone, what was not written yet is lost: %s", path.name, error.words)
        return False
    except errors.Timeout as error:
        LOG.warning("The storage of volume %s does not answer; its mount is ended: %s", path.name, error.message)
        return False
    return True


class _Failed(errors.Unavailable):
    """A command ended badly; ``words`` are its own last ones."""

    def __init__(self, command: str, status: int, words: str) -> None:
        super().__init__(f"{command} ended with {status}: {words}")
        self.status, self.words = status, words


def _run(*command: str, timeout_s: float = _CALL_S) -> None:
    try:
        done = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        said = done.communicate(timeout=timeout_s)[1]
    except subprocess.TimeoutExpired as error:
        # Not waited for: what hangs in the kernel ends when its storage answers or is given up, whoever kills it.
        done.kill()
        raise errors.Timeout(f"{command[0]} did not end within {timeout_s:g} s on the host.") from error
    except OSError as error:
        raise errors.Unsupported(
            f"The host has no {command[0]} ({error.strerror}). Have the operator install it."
        ) from error
    if done.returncode:
        raise _Failed(command[0], done.returncode, " ".join(said.split())[:300])
