"""What may be formatted: a blank device and nothing else; what may be mounted: one file system that hosts know."""

from __future__ import annotations

from pathlib import Path

import pytest

from higgins.agent.hands.block.signature import Seen, look, verdict
from higgins.core import errors

GIB = 1 << 30


def said(**tags: str) -> Seen:
    return Seen(tags=tags)


def test_a_blank_device_is_blank() -> None:
    assert verdict(Seen(zeros=True), "v") is None


@pytest.mark.parametrize("kind", ["ext4", "ext3", "ext2", "xfs"])
def test_a_file_system_is_mounted(kind: str) -> None:
    assert verdict(said(TYPE=kind, USAGE="filesystem"), "v") == kind


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Seen(), "holds data that is no file system"),
        (Seen(several=True), "signatures of several things"),
        (Seen(several=True, zeros=True), "signatures of several things"),
        (said(TYPE="ext4", USAGE="other"), "holds ext4, which is no file system"),
        (said(TYPE="LVM2_member", USAGE="raid"), "holds LVM2_member"),
        (said(TYPE="crypto_LUKS", USAGE="crypto"), "holds crypto_LUKS"),
        (said(TYPE="ntfs", USAGE="filesystem"), "of type ntfs, which hosts do not mount"),
        (said(TYPE="btrfs", USAGE="filesystem"), "of type btrfs, which hosts do not mount"),
        (said(PTTYPE="gpt"), r"a partition table \(gpt\)"),
    ],
)
def test_all_else_is_refused_and_left(seen: Seen, words: str) -> None:
    with pytest.raises(errors.Invalid, match=words) as refused:
        verdict(seen, "v")
    assert "left as it is" in refused.value.message


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(GIB)
    return path


def test_a_file_of_zeros_is_seen_as_blank(disk: Path) -> None:
    assert look(str(disk)) == Seen(zeros=True)


@pytest.mark.parametrize("place", [0, 4096, (1 << 20) - 1, GIB // 2, GIB - (1 << 20), GIB - 1])
def test_a_single_byte_at_either_end_or_where_it_is_sampled_is_data(disk: Path, place: int) -> None:
    with disk.open("r+b") as file:
        file.seek(place)
        file.write(b"x")
    assert not look(str(disk)).zeros


def test_a_partition_table_is_seen(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.seek(446)
        file.write(bytes.fromhex("00 20 21 00 83 8b 08 82 00 08 00 00 00 f8 1f 00"))
        file.seek(510)
        file.write(b"\x55\xaa")
    assert look(str(disk)).tags.get("PTTYPE") == "dos"


def test_a_device_that_is_not_there_is_no_blank_one(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable):
        verdict(look(str(tmp_path / "nothing")), "v")
    (tmp_path / "empty").touch()
    with pytest.raises(errors.Unavailable):
        look(str(tmp_path / "empty"))
