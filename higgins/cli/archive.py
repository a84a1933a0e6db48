"""Tar archives of files of this machine, made and unpacked as a copy needs them. It must not know containers.

An archive from a container is not trusted: nothing is written outside the destination, whatever its names and links say.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath

from higgins.cli.errors import CliError


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

    ``rename_root`` is what the copied thing itself is called here (``""``: nothing, its contents are copied); the archive may
    call it by its own name or by ``.``. ``None`` takes all names as they are.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
            names = _Names(destination, rename_root)
            return [member.name for member in archive if not _write(archive, member, names)]
    except tarfile.TarError as error:
        raise CliError("What came from the container is no proper archive.", "Try again.") from error
    except OSError as error:
        raise CliError(f"{error.filename or destination} cannot be written: {error.strerror}.") from error


class _Names:
    """Where each name of an archive goes; the first one asked for tells what the archive calls the copied thing."""

    def __init__(self, destination: Path, rename_root: str | None) -> None:
        self._destination, self._rename = destination, rename_root
        self._nameless: bool | None = None

    def target(self, name: str) -> Path:
        """A place within the destination; raises ``CliError`` for a name that leads out of it, by itself or through a link."""
        parts = [part for part in PurePosixPath(name).parts if part not in {"/", "."}]
        if self._nameless is None:
            self._nameless = not parts
        if self._rename is not None:
            parts = [*([self._rename] if self._rename else []), *(parts if self._nameless else parts[1:])]
        target = self._destination.joinpath(*parts)
        inside = Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(self._destination))
        if ".." in parts or (target != self._destination and not inside):
            raise CliError(f"The archive wants to write outside of {self._destination} ({name}).", "Do not trust it.")
        return target


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, names: _Names) -> bool:
    """Write one member; false for what is no file, directory or link."""
    target = names.target(member.name)
    if member.isdir():
        _make_directory(target, member.mode)
        return True
    if target.is_dir() and not target.is_symlink():
        raise CliError(f"{target} is a directory, and will not be replaced by a file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        target.unlink(missing_ok=True)
        target.symlink_to(member.linkname)
        return True
    if member.islnk():
        first = names.target(member.linkname)
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


def _make_directory(target: Path, mode: int) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise CliError(f"{target} is not a directory, and will not be replaced by one.")
    if not target.is_dir():
        target.mkdir(parents=True)
        target.chmod(mode & 0o777 | 0o700)
