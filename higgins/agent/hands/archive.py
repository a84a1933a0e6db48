"""Reads image archives that strangers made and writes them anew: clean, with one image under a name of ours. Knows no engine and no Glance.

Taken are the archives of ``docker save`` and OCI layouts, as they are or gzipped. Nothing is ever unpacked: an archive is a file in which
the few members that its manifest names are found, and everything else in it (tags above all) is left behind.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from higgins.agent.hands import layout
from higgins.agent.hands.members import BLOCK_BYTES, Member, broken, index, inside, padding
from higgins.core.errors import Invalid, OutOfCapacity

CHUNK_BYTES = 256 * 1024
MOST_LAYERS = 512
MOST_TEXT_BYTES = 8 * 1024 * 1024
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The one image of an archive: its config as it stands there, and its layers, the lowest first, with the digests of their plain tars."""

    config: bytes
    layers: tuple[Member, ...]
    diff_ids: tuple[str, ...]


def plain(packed: Path, unpacked: Path, *, most_bytes: int) -> Path:
    """The archive as a plain tar: the file itself, or, of a gzipped one, ``unpacked``, which is written then.

    ``Invalid`` when it is broken, or grows beyond ``most_bytes``.
    """
    with packed.open("rb") as file:
        if file.read(2) != _GZIP:
            return packed
    written = 0
    try:
        with gzip.open(packed) as source, unpacked.open("wb") as target:
            while chunk := source.read(CHUNK_BYTES):
                written += len(chunk)
                if written > most_bytes:
                    raise Invalid(
                        f"The image's archive unpacks to more than {most_bytes >> 20} MiB, the most that this host takes."
                    )
                target.write(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise broken(f"its compression is damaged ({error})") from error
    except OSError as error:
        raise OutOfCapacity(f"The image could not be unpacked on the host: {error.strerror}. Free its disk.") from error
    return unpacked


def image_in(path: Path, architecture: str) -> Image:
    """The one image of a plain archive; ``Invalid`` when there is none, more than one, or anything that does not belong into one.

    Of an OCI layout for several machines the one of ``architecture`` (such as ``amd64``) is taken.
    """
    members = index(path)
    with path.open("rb") as file:

        def text(name: str) -> bytes:
            return _text(file, members, name)

        if "manifest.json" in members:
            config_at, layers_at = layout.docker(_json(text("manifest.json"), "manifest.json"))
        elif "index.json" in members:
            config_at, layers_at = layout.oci(lambda name: _json(text(name), name), architecture)
        else:
            raise broken("it has neither a manifest.json nor an index.json. Save the image with docker save")
        config = text(config_at)
    diff_ids = layout.diff_ids(_json(config, config_at))
    if len(diff_ids) != len(layers_at) or len(diff_ids) > MOST_LAYERS:
        raise broken(f"it has {len(layers_at)} layers, and its config speaks of {len(diff_ids)}")
    return Image(config=config, layers=tuple(_member(members, at) for at in layers_at), diff_ids=diff_ids)


def written(
    path: Path, image: Image, name: str, *, most_bytes: int, read: Callable[[int], None] = lambda count: None
) -> Iterator[bytes]:
    """A clean archive of the image under ``name`` and no other, in chunks; ``read`` is told how many bytes of layers went by.

    The layers' plain tars may have ``most_bytes`` together.

    ``Invalid``, before the manifest is given away, when a layer is not the one that the config names: no engine then takes the archive for
    whole, and nobody gets layers that are known on the host by naming their digests alone.
    """
    at = f"{hashlib.sha256(image.config).hexdigest()}.json"
    layers = [f"{number:04}.tar" for number in range(len(image.layers))]
    manifest = msgspec.json.encode([{"Config": at, "RepoTags": [name], "Layers": layers}])
    yield from _entry(at, image.config)
    with path.open("rb") as file:
        for layer_at, member, diff_id in zip(layers, image.layers, image.diff_ids, strict=True):
            yield _header(layer_at, member.size)
            digest = _Digest(most_bytes)
            for chunk in _chunks(file, member):
                digest.update(chunk)
                read(len(chunk))
                yield chunk
            yield padding(member.size)
            most_bytes -= digest.check(diff_id)
    yield from _entry("manifest.json", manifest)
    yield bytes(2 * BLOCK_BYTES)


def _member(members: dict[str, Member], name: str) -> Member:
    found = members.get(inside(name))
    if found is None:
        raise broken(f"'{name[:80]}', which its manifest names, is not in it")
    return found


def _text(file: IO[bytes], members: dict[str, Member], name: str) -> bytes:
    member = _member(members, name)
    if member.size > MOST_TEXT_BYTES:
        raise broken(f"'{name[:80]}' in it is too big for what it should be")
    return b"".join(_chunks(file, member))


def _json(content: bytes, name: str) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise broken(f"'{name[:80]}' in it is no JSON") from error


def _chunks(file: IO[bytes], member: Member) -> Iterator[bytes]:
    file.seek(member.offset)
    left = member.size
    while left:
        chunk = file.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise broken("it ends too early")
        left -= len(chunk)
        yield chunk


def _entry(name: str, content: bytes) -> Sequence[bytes]:
    return _header(name, len(content)), content, padding(len(content))


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.PAX_FORMAT)


class _Digest:
    """SHA-256 of a layer's plain tar of ``most_bytes``, whether it comes gzipped or not."""

    def __init__(self, most_bytes: int) -> None:
        self._sha = hashlib.sha256()
        self._unzip: Any = None
        self._head: bytes | None = b""
        self._most_bytes, self._bytes = most_bytes, 0

    def update(self, chunk: bytes) -> None:
        """The next bytes of the layer as it lies in the archive."""
        if self._head is not None:
            self._head += chunk
            if len(self._head) < len(_ZSTD):
                return
            chunk, self._head = self._head, None
            self._begin(chunk)
        self._take(chunk)

    def check(self, diff_id: str) -> int:
        """How many bytes the plain tar has; ``Invalid`` unless it has this digest."""
        if self._head:
            self._begin(self._head)
            self._take(self._head)
        if self._unzip is not None:
            self._count(self._unzip.flush())
            if not self._unzip.eof:
                raise broken("a layer ends too early")
        if f"sha256:{self._sha.hexdigest()}" != diff_id:
            raise broken("a layer is not the one that its config names")
        return self._bytes

    def _begin(self, head: bytes) -> None:
        if head.startswith(_ZSTD):
            raise broken("a layer is compressed with zstd; save it uncompressed or gzipped")
        if head.startswith(_GZIP):
            self._unzip = zlib.decompressobj(wbits=31)

    def _take(self, chunk: bytes) -> None:
        if self._unzip is None:
            self._count(chunk)
            return
        try:
            while chunk:
                if self._unzip.eof:
                    self._unzip = zlib.decompressobj(wbits=31)  # gzip's files may be strung together
                self._count(self._unzip.decompress(chunk, 4 * CHUNK_BYTES))
                chunk = self._unzip.unused_data if self._unzip.eof else self._unzip.unconsumed_tail
        except zlib.error as error:
            raise broken(f"a layer's compression is damaged ({error})") from error

    def _count(self, plain_bytes: bytes) -> None:
        self._bytes += len(plain_bytes)
        if self._bytes > self._most_bytes:
            raise broken("its layers unpack to more than this host takes")
        self._sha.update(plain_bytes)
