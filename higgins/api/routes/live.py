"""Live questions: logs, exec, top, stats, files, commit. Terminals (attach, interactive exec) are not here yet and say so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from higgins.api.route import Call, Reply, Route
from higgins.api.schema import actions as arguments
from higgins.api.schema import container as schema
from higgins.api.schema import types
from higgins.api.view import live as view
from higgins.core import errors
from higgins.core.units import bytes_to_mib

_BASE64_SINCE = (1, 25)
_TEXT_MOST_BYTES = 16 * 1024 * 1024


def logs(call: Call) -> str:
    """GET .../logs: a JSON string."""
    args = call.args
    return call.control.live.logs(
        call.caller,
        call.ident,
        stdout=args.get("stdout", True),
        stderr=args.get("stderr", True),
        timestamps=args.get("timestamps", False),
        tail=args.get("tail"),
        since=args.get("since"),
    )


def execute(call: Call) -> dict[str, Any]:
    if call.args.get("interactive", False) or not call.args.get("run", True):
        raise errors.Unsupported(
            "Terminals are not here yet: run a command to its end, with run=true and without interactive."
        )
    answer = call.control.live.execute(call.caller, call.ident, call.args["command"])
    return {"output": answer.output, "exit_code": answer.exit_code, "exec_id": None, "proxy_url": None}


def execute_resize(call: Call) -> None:
    """POST .../execute_resize: there is no session to resize as long as there are no terminals."""
    call.control.containers.get(call.caller, call.ident, rule="container:execute_resize")
    raise errors.Invalid(f"There is no exec session {call.args['exec_id']} in this container.")


def attach(call: Call) -> None:
    call.control.containers.get(call.caller, call.ident, rule="container:attach")
    raise errors.Unsupported("Terminals are not here yet: read the logs, or run commands with execute.")


def resize(call: Call) -> None:
    call.control.live.resize_terminal(call.caller, call.ident, height=call.args["h"], width=call.args["w"])


def top(call: Call) -> dict[str, Any]:
    answer = call.control.live.top(call.caller, call.ident, ps_args=call.args.get("ps_args"))
    return {"Titles": answer.titles, "Processes": answer.rows}


def stats(call: Call) -> dict[str, Any]:
    pod = call.control.containers.get(call.caller, call.ident, rule="container:stats")
    return view.stats(pod.name, call.control.live.stats(call.caller, pod.uuid))


def get_archive(call: Call) -> Reply:
    """GET .../get_archive: a tar inside JSON, in base64 from 1.25 (as a stream, so of any size) and as text before."""
    opened = contextlib.ExitStack()
    try:
        stat, chunks = opened.enter_context(call.control.live.get_archive(call.caller, call.ident, call.args["path"]))
        if call.version >= _BASE64_SINCE:
            pieces = view.archive(stat, chunks)
            first = next(pieces)  # what fails at once is still answered as an error
            return Reply(stream=_rest(first, pieces, opened))
        tar = bytearray()
        for chunk in chunks:
            tar += chunk
            if len(tar) > _TEXT_MOST_BYTES:
                raise errors.Invalid(
                    f"What is there is larger than {bytes_to_mib(_TEXT_MOST_BYTES)} MiB. Ask in microversion 1.25 or newer."
                )
    except BaseException:
        opened.close()
        raise
    opened.close()
    return Reply({"data": tar.decode("utf-8", "replace"), "stat": view.path_stat(stat)})


def _rest(first: bytes, pieces: Iterator[bytes], opened: contextlib.ExitStack) -> Iterator[bytes]:
    """All pieces; the host's connection is given back after the last, or when the reader has gone."""
    with opened:
        yield first
        yield from pieces


def put_archive(call: Call) -> None:
    data = call.args["data"]
    tar = types.read_base64(data, "'data'") if call.version >= _BASE64_SINCE else data.encode()
    call.control.live.put_archive(call.caller, call.ident, call.args["path"], (tar,))


def commit(call: Call) -> dict[str, Any]:
    repository, tag = call.args["repository"], call.args.get("tag")
    answer = call.control.live.commit(call.caller, call.ident, repository=repository, tag=tag)
    return {"uuid": answer.image_id}


def _object(**properties: Any) -> Any:
    return lambda version: {"type": "object", "properties": properties, "required": list(properties)}


_TEXT, _MAYBE = types.TEXT_SCHEMA, types.MAYBE_TEXT_SCHEMA
_EXECUTED = _object(output=_TEXT, exit_code=types.INT_SCHEMA, exec_id=_MAYBE, proxy_url=_MAYBE)
_TOP = _object(Titles=types.TEXTS_SCHEMA, Processes={"type": "array", "items": types.TEXTS_SCHEMA})
_STATS = _object(
    **{"CONTAINER": _TEXT, "BLOCK I/O(B)": _TEXT, "NET I/O(B)": _TEXT},
    **dict.fromkeys(("CPU %", "MEM USAGE(MiB)", "MEM LIMIT(MiB)", "MEM %"), types.NUMBER_SCHEMA),
)
_AT = "/v1/containers/{ident}/"

ROUTES = (
    Route("GET", _AT + "logs", logs, "What a container wrote, as a JSON string.", args=arguments.LOGS, reply=lambda version: _TEXT),
    Route("POST", _AT + "execute", execute, "Run a command in a container.", args=arguments.EXECUTE, merged=True, reply=_EXECUTED),
    Route("POST", _AT + "execute_resize", execute_resize, "Resize the terminal of an exec session.",
          args=arguments.EXECUTE_RESIZE, merged=True),
    Route("GET", _AT + "attach", attach, "A websocket to a container's terminal.", args=schema.NOTHING, reply=lambda version: _TEXT),
    Route("POST", _AT + "resize", resize, "Resize a container's terminal.", args=arguments.RESIZE, merged=True),
    Route("GET", _AT + "top", top, "Processes of a container.", args=arguments.TOP, reply=_TOP),
    Route("GET", _AT + "stats", stats, "What a container uses now.", args=schema.NOTHING, reply=_STATS),
    Route("GET", _AT + "get_archive", get_archive, "A tar of a path in a container.", args=arguments.GET_ARCHIVE,
          reply=_object(data=_TEXT, stat=types.MAP_SCHEMA)),
    Route("POST", _AT + "put_archive", put_archive, "Unpack a tar into a directory of a container.", args=arguments.PUT_ARCHIVE, binary="data",
          merged=True),
    Route("POST", _AT + "commit", commit, "Make an image of a container.", status=202, args=arguments.COMMIT, merged=True,
          reply=_object(uuid=_TEXT)),
)  # fmt: skip
