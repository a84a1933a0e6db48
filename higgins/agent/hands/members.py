"""Finds the files in a tar that a stranger made, reading no more than headers of bounded size. Knows nothing of images.

The standard library's reader takes the sizes of extended headers at their word, and so can be made to fill the memory; here it only decodes
single blocks of 512 bytes. The formats are those of POSIX.1-2001 (ustar, pax) and of GNU's long names.
"""

from __future__ import annotations

import dataclasses
import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from higgins.core.errors import Invalid

BLOCK_BYTES = 512
MOST_MEMBERS = 20_000
MOST_HEADER_BYTES = 256 * 1024
_PAX, _PAX_FOR_ALL = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), tarfile.XGLTYPE
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """Where a regular file lies in an archive."""

    offset: int
    size: int


def index(path: Path) -> dict[str, Member]:
    """The regular files of a tar by their names, and links by theirs if they lead to one of these.

    ``Invalid`` for what is broken, too much, outside of the archive, or neither file, directory nor link.
    """
    found: dict[str, Member] = {}
    links: dict[str, str] = {}
    with path.open("rb") as file:
        for entry, offset in _entries(file, path.stat().st_size):
            name = inside(entry.name)
            if entry.type in _REGULAR:
                found[name] = Member(offset, entry.size)
                links.pop(name, None)
            elif entry.type == tarfile.SYMTYPE:
                links[name] = inside(posixpath.join(posixpath.dirname(name), entry.linkname))
            elif entry.type == tarfile.LNKTYPE:
                links[name] = inside(entry.linkname)
            elif entry.type != tarfile.DIRTYPE:
                raise broken(f"'{entry.name[:80]}' in it is neither a file nor a directory")
    return {name: found[target] for name, target in links.items() if target in found} | found


def inside(name: str) -> str:
    """A member's name without detours; ``Invalid`` for one outside of the archive."""
    normal = posixpath.normpath(name)
    if name.startswith("/") or normal == ".." or normal.startswith("../") or "\0" in name:
        raise broken(f"'{name[:80]}' in it is outside of it")
    return normal


def padding(size: int) -> bytes:
    """The zeros after a member's content."""
    return bytes(-size % BLOCK_BYTES)


def broken(why: str) -> Invalid:
    """The error for an archive that cannot be used."""
    return Invalid(f"The image's archive cannot be used: {why}.")


def _entries(file: IO[bytes], total: int) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Each member with its long names and sizes in it, and where its content begins."""
    told: dict[str, str] = {}
    offset = count = 0
    while (entry := _header(file, offset)) is not None:
        count += 1
        if count > MOST_MEMBERS:
            raise broken(f"it has more than {MOST_MEMBERS} members")
        if entry.type in _PAX or entry.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, _PAX_FOR_ALL):
            extended = _extended(file, entry)
            told |= {} if entry.type == _PAX_FOR_ALL else extended
        else:
            _apply(entry, told)
            told = {}
            yield entry, offset + BLOCK_BYTES
        size = 0 if entry.type in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE) else entry.size
        offset += BLOCK_BYTES + size + len(padding(size))
        if offset - len(padding(size)) > total:
            raise broken("it ends too early")


def _header(file: IO[bytes], offset: int) -> tarfile.TarInfo | None:
    """The header at a place; ``None`` at the end of the archive, ``Invalid`` where neither is."""
    file.seek(offset)
    block = file.read(BLOCK_BYTES)
    try:
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.EmptyHeaderError, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
        if offset == 0:
            raise broken("it is no tar") from None
        return None
    except (tarfile.HeaderError, ValueError) as error:
        raise broken("it is no tar" if offset == 0 else "it is damaged") from error
    if entry.size < 0:
        raise broken("it is damaged")
    return entry


def _extended(file: IO[bytes], entry: tarfile.TarInfo) -> dict[str, str]:
    """What an extended header says of the member after it."""
    if entry.size > MOST_HEADER_BYTES:
        raise broken("a header in it is too big")
    content = file.read(entry.size)
    if len(content) < entry.size:
        raise broken("it ends too early")
    if entry.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        word = content.split(b"\0", 1)[0].decode(errors="surrogateescape")
        return {"path" if entry.type == tarfile.GNUTYPE_LONGNAME else "linkpath": word}
    return dict(_records(content))


def _records(content: bytes) -> Iterator[tuple[str, str]]:
    """Pairs of a pax header: each is its own length in decimal, a space, ``key=value`` and a line's end."""
    while content.strip(b"\0"):
        length, _, _ = content.partition(b" ")
        size = int(length) if length.isdigit() and len(length) < 8 else 0
        record, content = content[len(length) + 1 : size], content[size:]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise broken("a header in it is damaged")
        yield key.decode(errors="surrogateescape"), value[:-1].decode(errors="surrogateescape")


def _apply(entry: tarfile.TarInfo, told: dict[str, str]) -> None:
    if any(key.startswith("GNU.sparse") for key in told):
        raise broken(f"'{entry.name[:80]}' in it is a sparse file")
    entry.name = told.get("path", entry.name)
    entry.linkname = told.get("linkpath", entry.linkname)
    if "size" in told:
        if not told["size"].isdigit() or len(told["size"]) > 18:
            raise broken("it is damaged")
        entry.size = int(told["size"])
