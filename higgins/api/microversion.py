"""Which microversion a request speaks, and the headers that say so on every reply under ``/v1``."""

from __future__ import annotations

import re
from typing import Any

import falcon

from higgins.api.schema.table import MAX_VERSION, MIN_VERSION, Version, dotted
from higgins.core import errors

HEADER = "OpenStack-API-Version"
_NUMBER = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


def parse(header: str | None) -> Version:
    """The version asked for; without a header the lowest. ``NotAcceptable`` for any other service, word or number."""
    if header is None:
        return MIN_VERSION
    entries = [entry.split() for entry in header.split(",")]
    words = next((entry for entry in entries if entry and entry[0].lower() == "container"), [])
    if len(words) != 2:
        raise errors.NotAcceptable
    if words[1] == "latest":
        return MAX_VERSION
    match = _NUMBER.fullmatch(words[1])
    if match is None:
        raise errors.NotAcceptable
    version = (int(match[1]), int(match[2]))
    if not MIN_VERSION <= version <= MAX_VERSION:
        raise errors.NotAcceptable(
            f"Version {words[1]} is not spoken here; ask for one from {dotted(MIN_VERSION)} to {dotted(MAX_VERSION)}."
        )
    return version


class Microversion:
    """Middleware: reads the version into ``req.context.version`` and writes the headers."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Refuse a version that is not spoken, before anything is looked at."""
        req.context.version = MIN_VERSION
        if req.path.startswith("/v1"):
            req.context.version = parse(req.get_header(HEADER))

    def process_response(self, req: falcon.Request, resp: falcon.Response, resource: Any, succeeded: bool) -> None:
        """Say which version was spoken and which could be."""
        if req.path.startswith("/v1"):
            version = getattr(req.context, "version", MIN_VERSION)  # not there when the path was refused before it
            resp.set_header(HEADER, f"container {dotted(version)}")
            resp.set_header("OpenStack-API-Minimum-Version", f"container {dotted(MIN_VERSION)}")
            resp.set_header("OpenStack-API-Maximum-Version", f"container {dotted(MAX_VERSION)}")
            resp.append_header("Vary", HEADER)
