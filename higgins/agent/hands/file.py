"""Files that a user injects into his containers: kept in a folder of the pod, mounted by the engine.

A folder appears whole or not at all, so what is there is complete; a container may change its files, so they are
written once and kept until the pod goes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from higgins.core import errors, model


class Files:
    """The injected files of every pod, under one private root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with _translated():
            root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def written(self, pod: str) -> frozenset[str]:
        """The containers of a pod whose files are there."""
        with _translated():
            try:
                names = os.listdir(self._root / pod)
            except FileNotFoundError:
                return frozenset()
        return frozenset(name for name in names if not name.endswith(".part"))

    def pods(self) -> tuple[str, ...]:
        """Pods of which a folder is there."""
        with _translated():
            return tuple(sorted(os.listdir(self._root)))

    def path(self, pod: str, container: str, place: int) -> Path:
        """Where the file of a container's mount, by its place among the mounts, is kept."""
        return self._root / pod / container / str(place)

    def write(self, pod: str, spec: model.ContainerSpec) -> None:
        """Write all files of a container; nothing happens when they are there. ``Unavailable`` when the disk is full."""
        final = self.path(pod, spec.uuid, 0).parent
        part = final.with_name(f"{final.name}.part")
        if final.exists():
            return
        with _translated():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            for place, mount in enumerate(spec.mounts):
                if mount.kind == "file":
                    with (part / str(place)).open("wb") as file:
                        file.write(mount.content or b"")
                        file.flush()
                        os.fsync(file.fileno())
            part.rename(final)

    def remove(self, pod: str) -> None:
        """Remove all files of a pod; nothing happens when there are none."""
        with _translated():
            try:
                shutil.rmtree(self._root / pod)
            except FileNotFoundError:
                return


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.Unavailable(
            f"Injected files cannot be kept on the host ({error.strerror}); see whether its disk is full."
        ) from error
