"""Images of the fake engine as archives of ``docker save``: an empty layer and a config that tells the digest. Knows no engine."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from higgins.core import errors

MOST_BYTES = 64 * 1024 * 1024
EMPTY_LAYER = bytes(10240)


def digest_of(archive: Iterator[bytes], name: str) -> str:
    """The hex digest of the one image in an archive; ``Invalid`` when it is broken, or not called ``name``."""
    content = bytearray()
    for chunk in archive:
        content += chunk
        if len(content) > MOST_BYTES:
            raise errors.Invalid("The engine cannot read the image's archive: it is too big for the fake engine.")
    try:
        with tarfile.open(fileobj=io.BytesIO(bytes(content)), mode="r:") as tar:
            return _digest_in(tar, name)
    except (tarfile.TarError, KeyError, IndexError, TypeError, ValueError, msgspec.MsgspecError) as problem:
        raise errors.Invalid(f"The engine cannot read the image's archive: {problem}.") from problem


def _digest_in(tar: tarfile.TarFile, name: str) -> str:
    found = _member(tar, "manifest.json")
    image = msgspec.json.decode(found)[0]
    if image["RepoTags"] != [name]:
        raise errors.Invalid(f"The engine cannot read the image's archive: it does not hold {name}.")
    config = _member(tar, image["Config"])
    known: dict[str, Any] = msgspec.json.decode(config)
    layers = [hashlib.sha256(_member(tar, layer)).hexdigest() for layer in image["Layers"]]
    if [f"sha256:{layer}" for layer in layers] != known["rootfs"]["diff_ids"]:
        raise errors.Invalid("The engine cannot read the image's archive: its layers are not those of its config.")
    return cast("str", known.get("fake_digest")) or hashlib.sha256(config).hexdigest()


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    opened = tar.extractfile(name)
    if opened is None:
        raise KeyError(name)
    return opened.read()


def written(name: str, digest: str) -> bytes:
    """The archive of an image with this name (and tag) and hex digest."""
    layer = hashlib.sha256(EMPTY_LAYER).hexdigest()
    config = msgspec.json.encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
            "fake_digest": digest,
        }
    )
    at = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = msgspec.json.encode([{"Config": at, "RepoTags": [name], "Layers": [f"{layer}.tar"]}])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in ((f"{layer}.tar", EMPTY_LAYER), (at, config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
