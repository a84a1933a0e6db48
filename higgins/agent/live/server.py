"""Answers the control plane's live questions: over a unix socket (mode 0600) or TLS, with the agent's own bearer token.

A small WSGI application on cheroot that hands questions to ``Answers``; it knows no engine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hmac
import io
import logging
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from higgins.agent.live.answers import Answers
from higgins.agent.live.door import make_server
from higgins.core import errors
from higgins.engine import api
from higgins.threads.turns import Turns
from higgins.wire import contract
from higgins.wire.client import fault_of

LOG = logging.getLogger(__name__)
MOST_BODY_BYTES = 1 << 20
THREADS = 16
"""Questions answered at once, half of them about one pod: the others can always be asked about."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Paths of the certificate (with its chain) and key of a live server that listens on ``https``."""

    certificate: str
    key: str


class LiveServer:
    """Listens and hands questions to ``Answers``; threads of its own."""

    def __init__(self, answers: Answers, address: str, token: str, tls: TlsFiles | None) -> None:
        self._answers, self._token = answers, token
        self._path = Path(address.removeprefix("unix:")) if address.startswith("unix:") else None
        bind: Any = str(self._path)
        if self._path is None:
            parts = urllib.parse.urlsplit(address)
            if parts.scheme != "https" or tls is None:
                raise errors.Invalid(
                    f"The live address {address} must be unix:PATH, or https://HOST:PORT with a certificate."
                )
            bind = (parts.hostname or "", parts.port or 443)
        files = None if tls is None or self._path is not None else (tls.certificate, tls.key)
        self._server = make_server(bind, self._application, THREADS, files)
        self._turns = Turns(THREADS, THREADS // 2)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen and serve from a thread; ``Unavailable`` when the address cannot be listened on."""
        try:
            self._server.prepare()
        except OSError as error:
            raise errors.Unavailable(f"The agent cannot listen for live questions: {error}") from error
        self._thread = threading.Thread(target=self._server.serve, name="live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; questions in hand are broken off after a while."""
        if self._thread is not None:
            stopping = threading.Thread(target=self._server.stop, name="live stops", daemon=True)
            stopping.start()
            while stopping.is_alive():
                self._touch()
                stopping.join(0.02)
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _touch(self) -> None:
        # A connection wakes the serving thread, which else sees only after a while that it must stop.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            if self._path is not None:
                sock.connect(str(self._path))

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            given = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise errors.Unauthorized("The token of this question is not this agent's; say Hello again.")
            return self._route(environ, start_response)
        except errors.HigginsError as error:
            return _answer(start_response, error.http_status, msgspec.json.encode(fault_of(error)))
        except Exception:
            LOG.exception("A live question broke")
            fault = contract.Fault(error="HigginsError", message="The agent failed to answer; its log says why.")
            return _answer(start_response, 500, msgspec.json.encode(fault))

    def _route(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, parts = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "").strip("/").split("/")
        query = dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", "")))
        answer: object
        match [method, *parts]:
            case ["GET", "live", "v1", "audit"]:
                answer = self._answers.audit()
            case ["POST", "live", "v1", "audit", "repair"]:
                answer = self._answers.repair()
            case ["POST", "live", "v1", "pods", pod, "containers", container, question]:
                self._answers.check(pod, container)
                message = (
                    "Too much is being asked about this container already. Try again when something of it is answered."
                )
                with contextlib.ExitStack() as held:
                    held.enter_context(self._turns.take(pod, message))
                    return self._about(container, question, query, environ, start_response, held)
            case _:
                raise errors.NotFound("This agent knows no such question.")
        return _answer(start_response, 200, msgspec.json.encode(answer))

    def _about(
        self,
        container: str,
        question: str,
        query: dict[str, str],
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        held: contextlib.ExitStack,
    ) -> Iterable[bytes]:
        """The answer to a question about a container; an archive takes what is held along to its end."""
        answer: object = contract.Nothing()
        if question == "get_archive":
            return _Archive(self._answers.get_archive(container, _path_of(query)), start_response, held)
        if question == "commit_archive":
            return _Archive(self._answers.commit_archive(container), start_response, held)
        if question == "put_archive":
            tar = _Whole(environ["wsgi.input"])
            try:
                self._answers.put_archive(container, _path_of(query), cast("IO[bytes]", tar))
            finally:
                tar.drain()
        elif question in self._answers.questions:
            answer = self._answers.questions[question](container, _body(environ))
        else:
            raise errors.NotFound("This agent knows no such question.")
        return _answer(start_response, 200, msgspec.json.encode(answer))


class _Archive:
    """A tar on its way: what makes it is closed when the server is done with it, or the asker went away."""

    def __init__(
        self,
        archive: AbstractContextManager[tuple[api.PathStat | None, Iterator[bytes]]],
        start_response: Callable[..., Any],
        held: contextlib.ExitStack,
    ) -> None:
        stat, self._chunks = held.enter_context(archive)
        self._held = held.pop_all()
        headers = [("Content-Type", "application/x-tar")]
        if stat is not None:
            told = contract.PathStatAnswer(
                name=stat.name, size=stat.size, mode=stat.mode, mtime=stat.mtime, link_target=stat.link_target
            )
            headers.append(("X-Higgins-Path-Stat", _in_ascii(msgspec.json.encode(told))))
        start_response("200 OK", headers)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Give back what makes the tar."""
        self._held.close()


class _Whole(io.RawIOBase):
    """A request's body that can be read to its end also after its reader lost interest, so that the answer gets through."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._source.read(size) if size >= 0 else self._source.read()

    def drain(self) -> None:
        """Read what is left and throw it away."""
        while self._source.read(1 << 16):
            continue


def _answer(start_response: Callable[..., Any], status: int, body: bytes) -> Iterable[bytes]:
    start_response(f"{status} -", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _body(environ: dict[str, Any]) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > MOST_BODY_BYTES:
        raise errors.Invalid(f"A question has at most {MOST_BODY_BYTES} bytes.")
    body: bytes = environ["wsgi.input"].read(length)
    return body or b"{}"


def _path_of(query: dict[str, str]) -> str:
    if not query.get("path"):
        raise errors.Invalid("Say which path of the container with ?path=.")
    return query["path"]


def _in_ascii(text: bytes) -> str:
    return text.decode().encode("ascii", "backslashreplace").decode("ascii")
