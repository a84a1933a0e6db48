"""The verb cp: files and directories between a container and this machine, with the rules of ``cp -a``.

A source ``DIR/.`` means what is in the directory. A destination that is a directory takes the source in; otherwise it names it.
"""

from __future__ import annotations

import base64
import posixpath
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from higgins.cli import archive, output
from higgins.cli.errors import ApiError, CliError
from higgins.cli.session import Session, json_option, pass_session

if TYPE_CHECKING:
    from higgins.cli.client.api import Api, Json

_LONG_S = 3600.0
_DIRECTORY_BIT, _LINK_BIT = 1 << 31, 1 << 27
"""Of Go's file modes, which engines use in their stat."""
_MOST_LINKS = 10
_POSIX_TYPE, _POSIX_DIRECTORY = 0o170000, 0o040000


@click.command("cp")
@click.argument("source", metavar="SOURCE")
@click.argument("destination", metavar="DESTINATION")
@json_option
@pass_session
def cp_verb(session: Session, source: str, destination: str, as_json: bool) -> None:
    """Copy files: one of SOURCE and DESTINATION is NAME:/PATH, the other a path here; - is a tar on standard input or output."""
    origin, target = _container_path(source), _container_path(destination)
    if (origin is None) == (target is None):
        raise click.UsageError("One side must be NAME:/PATH and the other a path of this machine.")
    if origin is not None:
        container = session.api.container(origin[0])
        _out(session.api, container, origin[1], destination)
    elif target is not None:
        container = session.api.container(target[0])
        _in(session.api, container, source, target[1])
    if as_json:
        output.print_json({"source": source, "destination": destination, "copied": True})


def _container_path(text: str) -> tuple[str, str] | None:
    """The container and the path of ``NAME:PATH``; ``None`` for a path of this machine."""
    name, colon, path = text.partition(":")
    if not colon or "/" in name or name in {"", ".", ".."}:
        return None
    return name, path if path.startswith("/") else f"/{path}"


def _fetch(api: Api, container: Json, path: str) -> tuple[bytes, Json]:
    try:
        answer = api.ask(container, "get_archive", {"path": path}, timeout_s=_LONG_S)
        return base64.b64decode(answer["data"]), answer.get("stat") or {}
    except ApiError as error:
        if error.status == 404:
            raise _NothingThere(
                f"There is no {path} in {container['name']}.", f"Look: higgins exec {container['name']} ls -l {path}"
            ) from error
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CliError("The service's answer has no archive in it.") from error


class _NothingThere(CliError):
    pass


def _send(api: Api, container: Json, path: str, data: bytes) -> None:
    body = {"data": base64.b64encode(data).decode()}
    try:
        api.act(container, "put_archive", {"path": path}, body=body, timeout_s=_LONG_S)
    except ApiError as error:
        if error.status == 404:
            raise CliError(f"There is no directory {path} in {container['name']}.", "Make it first.") from error
        raise


def _is_directory(stat: Json) -> bool:
    mode = int(stat.get("mode") or 0)
    return bool(mode & _DIRECTORY_BIT) or mode & _POSIX_TYPE == _POSIX_DIRECTORY


def _link_target(stat: Json) -> str:
    """Where a link leads; empty for what is no link."""
    return str(stat.get("linkTarget") or "") if int(stat.get("mode") or 0) & _LINK_BIT else ""


def _out(api: Api, container: Json, path: str, destination: str) -> None:
    clean = posixpath.normpath(path)
    data, stat = _fetch(api, container, clean)
    for _ in range(_MOST_LINKS):  # a path that ends with / or /. means what a link leads to
        if not path.endswith(("/", "/.")) or not _link_target(stat):
            break
        clean = posixpath.normpath(posixpath.join(posixpath.dirname(clean), _link_target(stat)))
        data, stat = _fetch(api, container, clean)
    if destination == "-":
        if sys.stdout.isatty():
            raise click.UsageError("A tar is not for a terminal; send it on, as in: higgins cp NAME:/PATH - | tar x")
        sys.stdout.buffer.write(data)
        return
    folder, root = _landing(Path(destination), destination, path, directory=_is_directory(stat))
    left_out = archive.unpack(data, folder, root)
    if left_out:
        click.echo(f"Left out, for they are no files: {', '.join(output.clean(n) for n in left_out)}", err=True)


def _landing(place: Path, told: str, path: str, *, directory: bool) -> tuple[Path, str]:
    """The directory to unpack into, and what the copied thing is called there."""
    if place.is_dir():
        return place, "" if path.endswith("/.") else posixpath.basename(posixpath.normpath(path))
    if directory and place.exists():
        raise CliError(f"{place} is a file, and {path} is a directory.", "Name a directory to copy it to.")
    if told.endswith("/") and not directory:
        raise CliError(f"There is no directory {told}.", "Make it first.")
    if not place.parent.is_dir():
        raise CliError(f"There is no directory {place.parent}.", "Make it first.")
    return place.parent, place.name


def _in(api: Api, container: Json, source: str, path: str) -> None:
    if source == "-":
        if sys.stdin.isatty():
            raise click.UsageError("Send a tar to standard input, as in: tar c DIR | higgins cp - NAME:/PATH")
        _send(api, container, path, sys.stdin.buffer.read())
        return
    origin = Path(source)
    if not origin.exists():
        raise CliError(f"There is no {source} on this machine.")
    name = Path(origin.resolve() if origin.name in {"", ".", ".."} else origin).name
    inner = None if origin.is_dir() and (source.endswith("/.") or source == ".") else name
    if path.endswith("/"):  # said to be a directory: no need to look
        _send(api, container, path, archive.pack(origin, inner))
        return
    place, kind = _look(api, container, posixpath.normpath(path))
    if kind == "directory":
        _send(api, container, place, archive.pack(origin, inner))
    elif origin.is_dir() and kind == "file":
        raise CliError(f"{path} in {container['name']} is a file, and {source} is a directory.")
    else:
        parent, last = posixpath.split(place)
        _send(api, container, parent, archive.pack(origin, last))


def _look(api: Api, container: Json, path: str) -> tuple[str, str]:
    """Where a path of a container leads, and what is there: ``directory``, ``file`` or ``nothing``.

    The API has no question for that alone, so the answer brings the files along: a large directory is refused.
    """
    for _ in range(_MOST_LINKS):
        if path == "/":
            return path, "directory"
        try:
            _, stat = _fetch(api, container, path)
        except _NothingThere:
            return path, "nothing"
        except ApiError as error:
            if error.status == 400:
                error.hint = f"If {path} is a directory, end its path with /"
            raise
        if not _link_target(stat):
            return path, "directory" if _is_directory(stat) else "file"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), _link_target(stat)))
    raise CliError(f"The links at {path} in {container['name']} lead in a circle.")
