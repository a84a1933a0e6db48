"""One route as data: where it is, what it takes and gives, since when. From these follow dispatch, OpenAPI and the tests' matrix.

Knows no HTTP library and no use case.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from higgins.api.schema.table import MAX_VERSION, MIN_VERSION, Table, Version
from higgins.control.service import Control
from higgins.core.caller import Caller

ORDINARY_BODY_BYTES = 16 * 1024 * 1024
"""What a body may have where no archive comes in it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What a handler gives back when the body alone does not say it.

    ``raw`` is sent as it is, with its ``content_type``; ``stream`` is JSON in pieces, which the server closes when it is done with them.
    """

    body: object = None
    location: str | None = None
    status: int | None = None
    raw: bytes | None = None
    content_type: str | None = None
    stream: Iterator[bytes] | None = None


@dataclasses.dataclass(slots=True, kw_only=True)
class Call:
    """One request as handlers see it.

    ``args`` and ``body`` are typed by the route's tables and hold no nulls; ``path`` has the fields of the route's path. ``base_url`` is
    where this service is for the caller, without ``/v1``. ``request_hash`` tells apart two requests of one Idempotency-Key.
    """

    control: Control
    caller: Caller
    version: Version
    path: Mapping[str, str]
    args: dict[str, Any]
    body: dict[str, Any]
    base_url: str
    max_limit: int
    idempotency_key: str | None = None
    request_hash: str | None = None

    @property
    def ident(self) -> str:
        """The uuid or name in the path."""
        return self.path["ident"]


Schema = Callable[[Version], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """``args`` come in the query and, when ``merged``, in the body too (the query wins); ``body`` is JSON of its own.

    ``located`` routes make a thing and say where it is; they insist on ``application/json``, as Zun's do and all others do not.

    ``binary`` names the argument that carries an archive: any character may be in it (archives came as plain text before 1.25), and
    its body may be as large as the installation takes.

    ``reply`` gives the JSON Schema of the body for a version; without it the body is the JSON literal null.
    """

    method: str
    path: str
    handle: Callable[[Call], object]
    summary: str
    _: dataclasses.KW_ONLY
    status: int = 200
    args: Table | None = None
    merged: bool = False
    body: Table | None = None
    since: Version = MIN_VERSION
    until: Version = MAX_VERSION
    reply: Schema | None = None
    located: bool = False
    binary: str | None = None

    @property
    def reads_body(self) -> bool:
        """Whether there is anything to read in a request's body; otherwise it is left where it is."""
        return self.merged or self.body is not None

    def speaks(self, version: Version) -> bool:
        """Whether the route is there in that version."""
        return self.since <= version <= self.until


PUBLIC_PATHS = frozenset({"/", "/v1", "/healthcheck", "/metrics", "/v1/openapi.json"})
"""What is answered without asking who it is."""
