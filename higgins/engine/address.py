"""Reads the address of an engine: ``unix:///PATH?installation=ID``. Knows no engine."""

from __future__ import annotations

import urllib.parse

from higgins.core import errors


def split(address: str) -> tuple[str, str]:
    """Socket path and installation id (empty when not given); ``Invalid`` for anything but a unix socket."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "unix" or not parts.path.startswith("/"):
        raise errors.Invalid(
            f"'{address}' is not the address of an engine. Write it as unix:///run/podman/podman.sock."
        )
    return parts.path, dict(urllib.parse.parse_qsl(parts.query)).get("installation", "")
