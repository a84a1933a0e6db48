"""Tar archives of files of this machine, made and unpacked as a copy needs them. It must not know containers.

An archive from a container is not trusted: nothing is written outside the destination, whatever its names and links say.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from higgins.cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Iterator


def pack(source: Path, name: str | None) -> bytes:
    """A tar of ``source`` under ``name``; of what is in the directory when ``name`` is ``None``."""
    store = io.BytesIO()
    try:
        with tarfile.open(fileobj=store, mode="w", format=tarfile.PAX_FORMAT) as archive:
            if name is not None:
                archive.add(source, arcname=name, filter=_plain)
            else:
                for child in sorted(source.iterdir()):
                    archive.add(child, arcname=child.name, filter=_plain)
    except OSError as error:
        raise CliError(f"{error.filename or source} cannot be read: {error.strerror}.") from error
    return store.getvalue()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without sockets and devices, and without this machine's owners, which mean nothing in the container."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def unpack(data: bytes, destination: Path, rename_root: str | None) -> list[str]:
    """Unpack into the directory ``destination`` and return the names that were left out (devices and the like).

    ``rename_root`` replaces the first part of each name; ``""`` drops it.
    """
    left_out = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
            for member, target in _targets(archive, destination, rename_root):
                if not _write(archive, member, target, destination, rename_root):
                    left_out.append(member.name)
    except tarfile.TarError as error:
        raise CliError("What came from the container is no proper archive.", "Try again.") from error
    except OSError as error:
        raise CliError(f"{error.filename or destination} cannot be written: {error.strerror}.") from error
    return left_out


def _targets(
    archive: tarfile.TarFile, destination: Path, rename_root: str | None
) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    for member in archive:
        target = _target(member.name, destination, rename_root)
        inside = Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(destination))
        if target != destination and not inside:
            raise CliError(f"The archive wants to write outside of {destination} ({member.name}).", "Do not trust it.")
        yield member, target


def _target(name: str, destination: Path, rename_root: str | None) -> Path:
    parts = [part for part in PurePosixPath(name).parts if part not in {"/", "."}]
    if ".." in parts:
        raise CliError(f"The archive wants to write outside of {destination} ({name}).", "Do not trust it.")
    if rename_root is not None and parts:
        parts = [*([rename_root] if rename_root else []), *parts[1:]]
    return destination.joinpath(*parts)


def _write(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, destination: Path, rename_root: str | None
) -> bool:
    if member.isdir():
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise CliError(f"{target} is not a directory, and will not be replaced by one.")
        target.mkdir(parents=True, exist_ok=True)
        if target != destination:
            target.chmod(member.mode & 0o777 | 0o700)
        return True
    if target.is_dir() and not target.is_symlink():
        raise CliError(f"{target} is a directory, and will not be replaced by a file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        target.unlink(missing_ok=True)
        target.symlink_to(member.linkname)
        return True
    if member.islnk():
        first = _target(member.linkname, destination, rename_root)
        if first.is_symlink() or not first.is_file():
            return False
        target.unlink(missing_ok=True)
        shutil.copy2(first, target)
        return True
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        return False
    if target.is_symlink():
        target.unlink()
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(member.mode & 0o777)
    os.utime(target, (member.mtime, member.mtime))
    return True
