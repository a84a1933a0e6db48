"""A tenant's file system on a block device of this host: what its superblock must not decide. Root, mkfs and loop devices."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from higgins.agent.hands.block import table

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")


def said(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def device(tmp_path):
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    said("mkfs.ext4", "-q", "-F", image)
    said("tune2fs", "-e", "panic", image)
    found = said("losetup", "--find", "--show", image)
    yield found
    said("losetup", "--detach", found)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_broken_one_stops_itself_and_not_the_machine(device, tmp_path, read_only):
    place = tmp_path / "at" / "volume"
    table.mount(device, "ext4", place, read_only=read_only)
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        options = next(line for line in lines if str(place) in line)
        assert "errors=remount-ro" in options
        assert table.mounts(place.parent)["volume"].read_only is read_only
    finally:
        said("umount", place)
