"""One path of the API: picks the route by method and version, reads its arguments, calls its handler, writes its reply."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from typing import Any

import falcon
import msgspec

from higgins.api import arguments
from higgins.api.route import ORDINARY_BODY_BYTES, Call, Reply, Route
from higgins.control.service import Control
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.threads.turns import Turns

_encode = msgspec.json.Encoder().encode
_NOBODY = Caller(user_id="", project_id="", roles=frozenset(), request_id="")
_NULL = b"null"
_KEY_MAX = 255


class Endpoint:
    """A Falcon resource made of the routes of one path. Of an archive's body ``max_body_bytes`` are read, of another 16 MiB if these are fewer."""

    def __init__(
        self, routes: Iterable[Route], control: Control, bodies: Turns, *, max_limit: int, max_body_bytes: int
    ) -> None:
        self._control = control
        self._max_limit = max_limit
        self._max_body_bytes = max_body_bytes
        self._bodies = bodies
        for route in routes:
            setattr(self, f"on_{route.method.lower()}", functools.partial(self._answer, route))

    def _answer(self, route: Route, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        version = req.context.version
        if not route.speaks(version):
            raise errors.NotAcceptable
        call = self._call(route, req, path)
        reply = route.handle(call)
        if not isinstance(reply, Reply):
            reply = Reply(body=reply)
        resp.status = reply.status or route.status
        if reply.location is not None:
            resp.set_header("Location", reply.location)
        if reply.stream is not None:
            resp.stream = reply.stream
        elif reply.raw is not None:
            resp.data = reply.raw
            resp.content_type = reply.content_type
        elif resp.status != 204:
            resp.data = _NULL if reply.body is None else _encode(reply.body)

    def _call(self, route: Route, req: falcon.Request, path: dict[str, str]) -> Call:
        version = req.context.version
        given: dict[str, Any] = dict(arguments.read_query(req.query_string))
        caller: Caller = getattr(req.context, "caller", _NOBODY)
        raw = self._raw(route, req, caller) if route.reads_body else b""
        body: dict[str, Any] = {}
        if route.body is not None:
            if route.located:
                _insist_on_json(req)
            body = route.body.read(arguments.read_object(raw), version)
        elif route.merged and raw:
            given = arguments.read_object(raw, route.binary) | given
        key = req.get_header("Idempotency-Key")
        return Call(
            control=self._control,
            caller=caller,
            version=version,
            path=path,
            args=route.args.read(given, version) if route.args is not None else {},
            body=body,
            base_url=req.prefix,
            max_limit=self._max_limit,
            idempotency_key=_checked_key(key),
            request_hash=_hash(req, raw) if key is not None else None,
        )

    def _raw(self, route: Route, req: falcon.Request, caller: Caller) -> bytes:
        """The body. No server that we run under gives a slow one an end, so that one project's slow ones must not take all threads."""
        limit_bytes = self._max_body_bytes if route.binary else min(ORDINARY_BODY_BYTES, self._max_body_bytes)
        with self._bodies.take(caller.project_id, "Your project is sending too much at once. Try again in a moment."):
            return arguments.read_raw(req, limit_bytes)


def _insist_on_json(req: falcon.Request) -> None:
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise errors.UnsupportedMediaType(f"The body must be application/json; this one is {kind or 'of no type'}.")


def _checked_key(key: str | None) -> str | None:
    if key is not None and not (0 < len(key) <= _KEY_MAX and key.isascii() and key.isprintable()):
        raise errors.Invalid(f"An Idempotency-Key has 1 to {_KEY_MAX} printable ASCII characters.")
    return key


def _hash(req: falcon.Request, raw: bytes) -> str:
    head = f"{req.method} {req.path}?{req.query_string} {req.context.version}\n"
    return hashlib.sha256(head.encode() + raw).hexdigest()
