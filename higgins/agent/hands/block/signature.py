"""What is on a device: nothing, a file system, or something that must not be touched. Reads only.

Whatever carries a signature, or a byte other than zero where one was looked for, is not blank. ``verdict`` is pure.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator, Mapping

from higgins.core import errors

MOUNTABLE = frozenset({"ext2", "ext3", "ext4", "xfs"})
"""File systems that tenants may have the host's kernel read. Not btrfs, which puts devices together by the ids in their superblocks: who copies
one of another volume on the same host into his own joins it.
"""

_NOTHING_FOUND, _SEVERAL_FOUND = 2, 8
_PROBE_S = 60.0
_EDGE = 1 << 20
_SAMPLE, _SAMPLES = 64 << 10, 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What blkid names (such as TYPE, USAGE, PTTYPE) and whether it found several; ``zeros`` when every byte looked at was zero."""

    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    several: bool = False
    zeros: bool = False


def verdict(seen: Seen, volume: str) -> str | None:
    """The file system to mount, ``None`` for a blank device; ``Invalid`` for all else, which stays as it is."""
    stays = "It was left as it is. Use a volume that is empty, or that holds one file system."
    if seen.several:
        raise errors.Invalid(f"The volume {volume} carries the signatures of several things. {stays}")
    kind, table = seen.tags.get("TYPE"), seen.tags.get("PTTYPE")
    if kind is not None and seen.tags.get("USAGE") == "filesystem":
        if kind in MOUNTABLE:
            return kind
        readable = ", ".join(sorted(MOUNTABLE))
        raise errors.Invalid(
            f"The volume {volume} holds a file system of type {kind}, which hosts do not mount (they mount {readable}). It was left as it is."
        )
    if kind is not None:
        raise errors.Invalid(f"The volume {volume} holds {kind}, which is no file system. {stays}")
    if table is not None:
        raise errors.Invalid(f"The volume {volume} holds a partition table ({table}). {stays}")
    if not seen.zeros:
        raise errors.Invalid(f"The volume {volume} holds data that is no file system. {stays}")
    return None


def look(device: str) -> Seen:
    """What is on a device; ``Unavailable`` when it cannot be read."""
    try:
        done = subprocess.run(
            ["blkid", "--probe", "--output", "export", device], capture_output=True, text=True, timeout=_PROBE_S
        )
        lines = (line.partition("=") for line in done.stdout.splitlines())
        tags = {name: value for name, _, value in lines if name != "DEVNAME"}
        if done.returncode not in (0, _NOTHING_FOUND, _SEVERAL_FOUND):
            raise errors.Unavailable(f"The volume's device cannot be read: blkid ended with {done.returncode}.")
        return Seen(tags=tags, several=done.returncode == _SEVERAL_FOUND, zeros=not tags and _zeros(device))
    except subprocess.TimeoutExpired as error:
        raise errors.Timeout(f"The volume's device was not read within {_PROBE_S:g} s.") from error
    except OSError as error:
        raise errors.Unavailable(f"The volume's device cannot be read ({error.strerror}).") from error


def _zeros(device: str) -> bool:
    with open(device, "rb", buffering=0) as file:
        size = os.lseek(file.fileno(), 0, os.SEEK_END)
        if size == 0:
            raise errors.Unavailable("The volume's device has no data behind it.")
        return all(not os.pread(file.fileno(), length, start).strip(b"\0") for start, length in _places(size))


def _places(size: int) -> Iterator[tuple[int, int]]:
    """Both ends of a device, and places all over it."""
    yield 0, min(_EDGE, size)
    yield max(0, size - _EDGE), _EDGE
    for place in range(1, _SAMPLES):
        yield size * place // _SAMPLES, _SAMPLE
