"""Mounts of real block devices: one that only reads changes no byte, and one whose storage is gone comes to its end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from higgins.agent.hands.block import table
from higgins.core import errors

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and loop devices need root")

VOLUME = str(uuid.uuid4())


def run(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, text=True, capture_output=True).stdout.strip()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as found:
        yield found


class Disk:
    """Files that stand behind loop devices, and mounts of these."""

    def __init__(self, folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.path = folder / "at" / VOLUME

    def clean(self) -> pathlib.Path:
        """A file with a file system on which something is written."""
        file = self.folder / "clean"
        with file.open("wb") as made:
            made.truncate(64 << 20)
        run("mkfs.ext4", "-q", file)
        self.mount(self.loop(file))
        (self.path / "note").write_text("kept")
        table.unmount(self.path)
        return file

    def crashed(self) -> pathlib.Path:
        """What a host leaves that goes down while it writes."""
        file, copy = self.clean(), self.folder / "crashed"
        self.mount(self.loop(file))
        (self.path / "last").write_text("in the log only")
        run("sync", "--file-system", self.path)
        shutil.copyfile(file, copy)
        table.unmount(self.path)
        assert "needs_recovery" in run("dumpe2fs", "-h", copy)
        return copy

    def loop(self, file: pathlib.Path) -> str:
        device = run("losetup", "--find", "--show", file)
        self._stack.callback(run, "losetup", "--detach", device)
        return device

    def mount(self, device: str, **how: bool) -> None:
        table.mount(device, "ext4", self.path, **({"read_only": False} | how))
        self._stack.callback(self.end)

    def end(self) -> None:
        """Nothing is mounted, whatever a test did."""
        if VOLUME in table.mounts(self.path.parent):
            run("umount", self.path)


@pytest.fixture
def disk(tmp_path: pathlib.Path, stack: contextlib.ExitStack) -> Disk:
    return Disk(tmp_path, stack)


def digest(file: pathlib.Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("shared", [False, True])
def test_a_mount_that_only_reads_changes_no_byte(disk: Disk, shared: bool) -> None:
    file = disk.clean()
    device, before = disk.loop(file), digest(file)
    disk.mount(device, read_only=True, shared=shared)
    assert (disk.path / "note").read_text() == "kept"
    assert run("blockdev", "--getro", device) == "1"
    table.unmount(disk.path)
    run("blockdev", "--flushbufs", device)
    assert digest(file) == before
    assert run("blockdev", "--getro", device) == "0", "who mounts it next may write"


def test_a_log_is_not_replayed_on_what_others_may_have(disk: Disk) -> None:
    file = disk.crashed()
    device, before = disk.loop(file), digest(file)
    with pytest.raises(errors.Invalid, match="mount it writable once"):
        disk.mount(device, read_only=True, shared=True)
    run("blockdev", "--flushbufs", device)
    assert digest(file) == before
    assert run("blockdev", "--getro", device) == "0", "the next volume by that device may be written"
    disk.mount(device, read_only=False, shared=True)
    assert (disk.path / "last").read_text() == "in the log only"


def test_a_log_is_replayed_where_nobody_else_can_be(disk: Disk) -> None:
    disk.mount(disk.loop(disk.crashed()), read_only=True)
    assert (disk.path / "last").read_text() == "in the log only"
    with pytest.raises(OSError, match="Read-only"):
        (disk.path / "last").write_text("changed")


def test_a_file_system_is_made_where_a_crash_left_the_device_protected(disk: Disk, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "blank"
    file.touch()
    os.truncate(file, 64 << 20)
    device = disk.loop(file)
    run("blockdev", "--setro", device)
    table.make(device, "ext4", over=False)
    disk.mount(device)


def test_what_only_reads_may_come_to_write(disk: Disk) -> None:
    disk.mount(disk.loop(disk.clean()), read_only=True)
    table.make_writable(disk.path)
    (disk.path / "note").write_text("changed")
    assert table.unmount(disk.path)


def test_the_mount_of_storage_that_is_gone_ends(disk: Disk) -> None:
    file = disk.clean()
    device = disk.loop(file)
    disk.mount(device)
    (disk.path / "more").write_bytes(os.urandom(8 << 20))
    os.truncate(file, 4096)
    run("losetup", "--set-capacity", device)
    assert not table.unmount(disk.path)
    assert VOLUME not in table.mounts(disk.path.parent)


def test_what_is_in_use_stays_mounted(disk: Disk) -> None:
    disk.mount(disk.loop(disk.clean()))
    with (disk.path / "note").open(), pytest.raises(errors.NotReady, match="still uses the volume"):
        table.unmount(disk.path)
    assert VOLUME in table.mounts(disk.path.parent)
