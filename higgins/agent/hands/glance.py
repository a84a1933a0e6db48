"""Images that the controller hands on from Glance: fetched to a file, checked, and loaded into the engine under a name of ours.

Knows the wire's stream and the engine; of Glance only what the grant says. Nothing is left of a fetch but the image in the engine.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from higgins.agent.hands import archive
from higgins.core import errors, model
from higgins.core.names import LOCAL_IMAGES
from higgins.engine.api import CanLoadImages, Engine, ImageFacts, PullProgress

RESUMES = 6
SPARE_BYTES = 256 * 1024 * 1024
MOST_IMAGE_BYTES = 20 * 1024**3
_ALGORITHMS = ("sha512", "sha384", "sha256", "sha1", "md5")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}


class Source(Protocol):
    """Where an image's data comes from; ``wire.client.WireClient`` is one."""

    def image(self, uuid: str, offset: int) -> AbstractContextManager[Iterator[bytes]]:
        """The data from an offset on, in chunks; it may end too early without saying so."""
        ...


def local_name(grant: model.ImageGrant) -> str:
    """What the engine calls an image of Glance: it says which one, and which data."""
    return f"{LOCAL_IMAGES}/glance:{grant.uuid}-{grant.checksum[:16].lower()}"


class Fetcher:
    """Fetches granted images into the engine; every method may be called from any thread. ``folder`` is its own.

    ``most_bytes`` is what one image may have, as it comes and again when its layers are unpacked. ``pause`` waits for some seconds.
    """

    def __init__(
        self,
        engine: Engine,
        source: Source,
        folder: Path,
        *,
        most_bytes: int = MOST_IMAGE_BYTES,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine, self._source, self._folder, self._most_bytes = engine, source, folder, most_bytes
        self._pause = pause
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        shutil.rmtree(folder, ignore_errors=True)  # what an agent that was killed left
        folder.mkdir(parents=True, mode=0o700)

    def fetch(
        self, grant: model.ImageGrant, progress: Callable[[PullProgress], None], cancelled: Callable[[], bool]
    ) -> ImageFacts:
        """The image in the engine's store, fetched when it is not there; ``Conflict`` soon after ``cancelled()``.

        ``Invalid`` for data that are not what the grant says, or no usable archive; ``OutOfCapacity`` for too little room.
        """
        name = local_name(grant)
        with self.holding(name):
            with contextlib.suppress(errors.ImageNotFound):
                return self._engine.image(name)
            if not isinstance(self._engine, CanLoadImages):
                raise errors.Unsupported(f"The engine {self._engine.name} on this host cannot load images of Glance.")
            self._check_room(grant)
            with tempfile.TemporaryDirectory(dir=self._folder) as scratch, _translated():
                at = Path(scratch)
                self._download(grant, at / "packed", progress, cancelled)
                return self._load(self._engine, at, name, progress, cancelled)

    @contextlib.contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """While this lasts, an image of this name is not to be removed."""
        with self._lock:
            self._held[name] = self._held.get(name, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._held[name] -= 1
                if not self._held[name]:
                    del self._held[name]

    def held(self) -> frozenset[str]:
        """Names of images that something is being done with."""
        with self._lock:
            return frozenset(self._held)

    def _check_room(self, grant: model.ImageGrant) -> None:
        if grant.size_bytes > self._most_bytes:
            raise errors.Invalid(
                f"The image {grant.name or grant.uuid} has {grant.size_bytes >> 20} MiB, and this host takes no more than "
                f"{self._most_bytes >> 20} MiB. Use a smaller one."
            )
        free = shutil.disk_usage(self._folder).free
        if free < grant.size_bytes + SPARE_BYTES:
            raise errors.OutOfCapacity(
                f"The image {grant.name or grant.uuid} has {grant.size_bytes >> 20} MiB, for which the host's disk has no room: "
                f"{free >> 20} MiB are free. Remove images there, or use another host."
            )

    def _download(
        self,
        grant: model.ImageGrant,
        target: Path,
        progress: Callable[[PullProgress], None],
        cancelled: Callable[[], bool],
    ) -> None:
        """Write the data to a file; what breaks off is asked for again from there on, for as long as a controller needs to restart."""
        digest, done, resumes = _digest_of(grant), 0, 0
        with target.open("wb") as file:
            while done < grant.size_bytes:
                before = done
                try:
                    with self._source.image(grant.uuid, done) as chunks:
                        for chunk in chunks:
                            _check_wanted(cancelled)
                            done += len(chunk)
                            if done > grant.size_bytes:
                                raise _other_data(grant)
                            file.write(chunk)
                            digest.update(chunk)
                            progress(PullProgress(done_bytes=done, total_bytes=grant.size_bytes))
                    if done < grant.size_bytes:
                        raise errors.Unavailable("The image's data broke off on the way. Try again later.")
                except (errors.Unavailable, errors.Timeout):
                    resumes = 0 if done > before else resumes + 1
                    if resumes >= RESUMES:
                        raise
                    for _ in range(2**resumes // 2):  # at once after some progress, then 1, 2, 4 s ...
                        _check_wanted(cancelled)
                        self._pause(1.0)
        if digest.hexdigest() != grant.checksum.lower():
            raise _other_data(grant)

    def _load(
        self,
        engine: CanLoadImages,
        scratch: Path,
        name: str,
        progress: Callable[[PullProgress], None],
        cancelled: Callable[[], bool],
    ) -> ImageFacts:
        progress(PullProgress(text="unpacking"))
        plain = archive.plain(scratch / "packed", scratch / "plain", most_bytes=self._most_bytes)
        image = archive.image_in(plain, _MACHINES.get(platform.machine(), platform.machine()))
        total = sum(layer.size for layer in image.layers)
        done = 0

        def read(count: int) -> None:
            nonlocal done
            done += count
            _check_wanted(cancelled)
            progress(PullProgress(text=f"loading, {done * 100 // max(1, total)} %"))

        chunks = archive.written(plain, image, name, most_bytes=self._most_bytes, read=read)
        return engine.load_image(name, chunks)


def _digest_of(grant: model.ImageGrant) -> hashlib._Hash:
    if grant.algorithm not in _ALGORITHMS:
        raise errors.Invalid(f"The image's checksum is by {grant.algorithm}, which this host does not know.")
    return hashlib.new(grant.algorithm, usedforsecurity=False)


def _check_wanted(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise errors.Conflict("The image is not needed any more.")


def _other_data(grant: model.ImageGrant) -> errors.HigginsError:
    return errors.Invalid(
        f"What Glance gave for the image {grant.name or grant.uuid} is not what its checksum says. Upload the image anew."
    )


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.OutOfCapacity(
            f"The image cannot be kept on the host ({error.strerror or os.strerror(error.errno or 0)}); see whether its disk is full."
        ) from error
