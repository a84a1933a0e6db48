"""What a person types for an option, as the API wants it. It must not know HTTP; the only files read are those the user names.

A value that cannot be right ends the command as a usage error (exit code 2).
"""

from __future__ import annotations

import base64
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?", re.IGNORECASE)
_TO_MIB = {"b": 1 / 1024 / 1024, "k": 1 / 1024, "m": 1.0, "": 1.0, "g": 1024.0}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_SIZE = re.compile(r"size=(\d+)[gG]?")


def memory_mib(text: str) -> int:
    """Mebibytes for ``512``, ``512m``, ``1g``."""
    match = _MEMORY.fullmatch(text.strip())
    mib = float(match.group(1)) * _TO_MIB[match.group(2).lower()] if match else 0
    if mib < 1:
        raise click.BadParameter(f"'{text}' is no amount of memory; write 512 (MiB), 512m or 1g.")
    return round(mib)


def seconds(text: str) -> int:
    """Seconds for ``30``, ``30s``, ``2m``, ``1h30m``."""
    match = _DURATION.fullmatch(text.strip())
    if not match or not any(match.groups()):
        raise click.BadParameter(f"'{text}' is no duration; write 30s, 2m or 1h.")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest


def restart_policy(text: str) -> dict[str, str]:
    """The API's restart policy for ``no``, ``always``, ``unless-stopped``, ``on-failure`` and ``on-failure:N``."""
    name, colon, count = text.partition(":")
    if name not in {"no", "always", "unless-stopped", "on-failure"}:
        raise click.BadParameter(f"'{text}' is none of no, always, unless-stopped, on-failure[:TIMES].")
    if not colon:
        return {"Name": name}
    if name != "on-failure" or not count.isdigit():
        raise click.BadParameter(f"'{text}': only on-failure takes a number of times, as in on-failure:3.")
    return {"Name": name, "MaximumRetryCount": count}


def pairs(words: Iterable[str], what: str) -> dict[str, str]:
    """A map from ``KEY=VALUE`` words; a label may stand without a value."""
    found = {}
    for word in words:
        key, _, value = word.partition("=")
        if not key:
            raise click.BadParameter(f"'{word}' is no {what}; write KEY=VALUE.")
        found[key] = value
    return found


def environment(words: Iterable[str], files: Iterable[str], own: Mapping[str, str]) -> dict[str, str]:
    """The variables of ``--env-file`` and then of ``--env``; a ``KEY`` alone takes its value from ``own``, if it is there."""
    lines = []
    for name in files:
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"The file {name} cannot be read: {_why(error)}.") from error
        lines += [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    found = {}
    for word in [*lines, *words]:
        key, equals, value = word.partition("=")
        if not key or key != key.strip():
            raise click.BadParameter(f"'{key}' is no name of a variable; write KEY=VALUE.")
        if equals:
            found[key] = value
        elif key in own:
            found[key] = own[key]
    return found


def words(text: str) -> list[str]:
    """A command line split as a shell does."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise click.BadParameter(f"'{text}' has a quote that is not closed.") from error


def mount(text: str) -> dict[str, Any]:
    """A mount of the API for ``FILE:/DST``, ``VOLUME:/DST`` and ``size=GIB:/DST``, each with ``:ro`` if wanted.

    A file of this machine is sent with the request and put into the container; ``read_only`` is there only when asked for.
    """
    source, _, rest = text.partition(":")
    destination, _, flags = rest.partition(":")
    if not source or not destination.startswith("/") or flags not in {"", "ro", "rw"}:
        raise click.BadParameter(f"'{text}' is no mount; write FILE:/PATH[:ro], VOLUME:/PATH[:ro] or size=GIB:/PATH.")
    made: dict[str, Any] = {"destination": destination}
    if flags == "ro":
        made["read_only"] = True
    sized = _SIZE.fullmatch(source)
    path = Path(source).expanduser()
    if sized:
        made |= {"type": "volume", "size": sized.group(1)}
    elif "/" in source or source.startswith((".", "~")):
        made |= {"type": "bind", "source": _content(path)}
    else:
        made |= {"type": "volume", "source": source}
    return made


def _content(path: Path) -> str:
    if path.is_dir():
        raise click.BadParameter(
            f"{path} is a directory, and only files can be put in; copy it afterwards with: higgins cp {path} NAME:/PATH"
        )
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise click.BadParameter(f"The file {path} cannot be read: {_why(error)}.") from error


def _why(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)


def network(text: str) -> dict[str, str]:
    """A network of the API for ``NETWORK``, ``NETWORK,ip=ADDRESS`` and ``port=PORT``."""
    first, *more = text.split(",")
    key, equals, value = first.partition("=")
    if equals and (key != "port" or not value):
        raise click.BadParameter(f"'{text}' is no network; write NETWORK, NETWORK,ip=ADDRESS or port=PORT.")
    made = {"port": value} if equals else {"network": first}
    for word in more:
        name, _, address = word.partition("=")
        if name not in {"ip", "ip6"} or not address:
            raise click.BadParameter(f"'{text}': after a network only ip=ADDRESS and ip6=ADDRESS may stand.")
        made["v4-fixed-ip" if name == "ip" and ":" not in address else "v6-fixed-ip"] = address
    return made
