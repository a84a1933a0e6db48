"""Arguments of a container's actions, and the fields of what they answer. They come in the query or in the body."""

from __future__ import annotations

import datetime
import math
from typing import Any

from higgins.api.schema import types
from higgins.api.schema.table import OWN, Field, Table, Type, Version, invalid

_SINCE_FORMATS = (
    "%Y-%m-%d %H:%M:%S,%f",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S",
)


def _read_since(value: str | float) -> datetime.datetime | None:
    """A time in UTC, from seconds since the epoch or as Zun's clients write it."""
    if value in ("None", ""):
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if math.isfinite(seconds) and 0 <= seconds < 2**36:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    for pattern in _SINCE_FORMATS:
        try:
            return datetime.datetime.strptime(str(value), pattern).replace(tzinfo=datetime.UTC)
        except ValueError:
            continue
    raise invalid(
        f"'since' must be seconds since 1970 or a time such as 2026-01-31 12:00:00,000; {value!r} is neither."
    )


def _read_tail(value: str | int) -> int | None:
    if value in ("all", "None", ""):
        return None
    return int(value)


_SIZE = types.whole(1, 65535, "a whole number from 1 to 65535")
_TAIL = Type(
    schema={
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 2**31},
            {"type": "string", "pattern": "^([0-9]{1,9}|all|None|)$"},
        ]
    },
    says="a number of lines, or all",
    read=_read_tail,
)
_SINCE = Type(
    schema={"type": ["string", "number"], "maxLength": 64},
    says="seconds since 1970, or a time such as 2026-01-31 12:00:00,000",
    read=_read_since,
)
_SIGNAL_TYPE = Type(schema={"type": ["string", "integer"], "maxLength": 20}, says="a signal's name or number", read=str)
_EXEC_ID = types.text(64, 64, pattern="^[0-9a-f]{64}$", says="64 hexadecimal digits")
_PATH = types.text(1, 4096, says="a path in the container")

TIMEOUT = Table("this action", (Field("timeout", types.TIMEOUT),))
KILL = Table("a kill", (Field("signal", _SIGNAL_TYPE),))
RENAME = Table("a rename", (Field("name", types.NAME, required=True),))
EXECUTE = Table(
    "an execute",
    (
        Field("command", types.COMMAND, required=True),
        Field("run", types.BOOL),
        Field("interactive", types.BOOL),
    ),
)
EXECUTE_RESIZE = Table(
    "an execute_resize",
    (Field("exec_id", _EXEC_ID, required=True), Field("h", _SIZE, required=True), Field("w", _SIZE, required=True)),
)
RESIZE = Table("a resize", (Field("h", _SIZE, required=True), Field("w", _SIZE, required=True)))
TOP = Table("a top", (Field("ps_args", types.MAYBE_WORD),))
LOGS = Table(
    "a request for logs",
    (
        Field("stdout", types.BOOL),
        Field("stderr", types.BOOL),
        Field("timestamps", types.BOOL),
        Field("tail", _TAIL),
        Field("since", _SINCE),
    ),
)
GET_ARCHIVE = Table("a get_archive", (Field("path", _PATH, required=True),))
PUT_ARCHIVE = Table(
    "a put_archive",
    (
        Field("path", _PATH, required=True),
        Field("data", Type(schema={"type": "string"}, says="a tar archive, in base64 from 1.25"), required=True),
    ),
)
COMMIT = Table("a commit", (Field("repository", types.text(2, 255), required=True), Field("tag", types.text(1, 128))))
NETWORK_ATTACH = Table(
    "a network_attach",
    (Field("network", types.text()), Field("port", types.text()), Field("fixed_ip", types.text())),
    any_of=("network", "port"),
)
NETWORK_DETACH = Table(
    "a network_detach",
    (Field("network", types.text()), Field("port", types.text(), since=(1, 17))),
    any_of=("network", "port"),
)
SECURITY_GROUP = Table("this action", (Field("name", types.text(), required=True),))

_TIME = types.MAYBE_TEXT_SCHEMA
ACTION = Table(
    "an action",
    (
        Field("action", shows=types.TEXT_SCHEMA),
        Field("container_uuid", shows=types.TEXT_SCHEMA),
        Field("request_id", shows=types.TEXT_SCHEMA),
        Field("user_id", shows=types.MAYBE_TEXT_SCHEMA),
        Field("project_id", shows=types.MAYBE_TEXT_SCHEMA),
        Field("start_time", shows=_TIME),
        Field("finish_time", shows=_TIME),
        Field("message", shows=types.MAYBE_TEXT_SCHEMA),
        Field("reason", shows=types.MAYBE_TEXT_SCHEMA, shown_since=OWN),
    ),
)
ACTION_EVENT = Table(
    "an event of an action",
    (
        Field("event", shows=types.TEXT_SCHEMA),
        Field("start_time", shows=_TIME),
        Field("finish_time", shows=_TIME),
        Field("result", shows=types.MAYBE_TEXT_SCHEMA),
        Field("traceback", shows=types.MAYBE_TEXT_SCHEMA),
    ),
)
EVENT = Table(
    "an event",
    (
        *(
            Field(name, shows=types.TEXT_SCHEMA, shown_since=OWN)
            for name in ("key", "verb", "target", "why", "started_at", "result", "detail")
        ),
        Field("request_id", shows=types.MAYBE_TEXT_SCHEMA, shown_since=OWN),
        Field("finished_at", shows=types.MAYBE_TEXT_SCHEMA, shown_since=OWN),
    ),
)


def action_reply(version: Version, *, with_events: bool) -> dict[str, Any]:
    """JSON Schema of one action, with its events when shown alone."""
    schema = ACTION.reply_schema(version)
    if with_events:
        events = {"type": "array", "items": ACTION_EVENT.reply_schema(version)}
        schema = {**schema, "properties": {**schema["properties"], "events": events}}
    return schema
