"""Reads what a request carries: the query, and the JSON of its body. Knows no route and no field."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import falcon
import msgspec

from higgins.core import errors


class TooLarge(errors.Invalid):
    """The body is larger than the route reads."""

    http_status = 413
    code = "request-entity-too-large"


def read_query(query_string: str) -> dict[str, str]:
    """The query's arguments; each may be given once."""
    if not query_string:
        return {}
    pairs = parse_qsl(query_string, keep_blank_values=True)
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = sorted({name for name, _ in pairs if [key for key, _ in pairs].count(name) > 1})
        raise errors.Invalid(f"Give each argument once; given more than once: {', '.join(twice)}.")
    _refuse_nul(found)
    return found


def read_raw(request: falcon.Request, limit_bytes: int) -> bytes:
    """The whole body; ``TooLarge`` above the limit, without reading on."""
    length = request.content_length
    if length is None:
        chunked = "chunked" in (request.get_header("Transfer-Encoding") or "").lower()
        if not chunked:
            return b""
        raw = _read_up_to(request.stream, limit_bytes + 1)
    elif length > limit_bytes:
        raise _too_large(limit_bytes)
    else:
        raw = _read_up_to(request.stream, length)
        if len(raw) < length:
            raise errors.Invalid("The body ended before its Content-Length. Send the request again.")
    if len(raw) > limit_bytes:
        raise _too_large(limit_bytes)
    return raw


def read_object(raw: bytes, binary: str | None = None) -> dict[str, Any]:
    """The JSON object in a body; an empty body and ``null`` are an empty object. Only the field ``binary`` may hold the character NUL."""
    if not raw.strip():
        return {}
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise errors.Invalid(f"The body is not valid JSON: {reason}.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.Invalid("The body must be a JSON object, with named fields.", code="schema-validation-error")
    if b"\\u0000" in raw:
        _refuse_nul({name: item for name, item in value.items() if name != binary})
    return value


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body is too large: at most {limit_bytes // 2**20} MiB are read here.")


def _read_up_to(stream: Any, most_bytes: int) -> bytes:
    pieces = []
    left = most_bytes
    while left > 0:
        piece = stream.read(min(left, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _refuse_nul(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise errors.Invalid("The character NUL is not allowed in any value.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key)
            _refuse_nul(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_nul(item)
