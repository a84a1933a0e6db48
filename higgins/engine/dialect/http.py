"""A thin HTTP client over an engine's unix socket: kept-open connections, streams, the negotiated version. Knows no container.

It raises only ``OSError`` and ``http.client.HTTPException``; what they mean for a caller is said in ``faults``.
"""

from __future__ import annotations

import dataclasses
import http.client
import select
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import msgspec

CONNECT_TIMEOUT_S = 5.0
PING_TIMEOUT_S = 20.0
CALL_TIMEOUT_S = 60.0
IDLE_CONNECTIONS = 16
CHUNK_BYTES = 64 * 1024

Query = Mapping[str, str | int | bool | None]
Body = bytes | IO[bytes] | Iterator[bytes] | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The decoded body; ``None`` when it is empty."""
        return msgspec.json.decode(self.body) if self.body.strip() else None


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(CONNECT_TIMEOUT_S)
        try:
            connected.connect(self._path)
        except OSError:
            connected.close()
            raise
        self.sock = connected

    def has_news(self) -> bool:
        """Whether the engine has said something, or closed it: of an idle connection that is the same."""
        if self.sock is None:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def break_off(self) -> None:
        """End whatever another thread is reading from it."""
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


class Stream:
    """An answer whose body is read as it comes; to be closed by its reader."""

    def __init__(self, client: Client, connection: UnixConnection, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._client, self._connection, self._response = client, connection, response

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, as soon as there are any; empty at the end."""
        return self._response.read1(size)

    def exactly(self, size: int) -> bytes:
        """``size`` bytes; fewer only at the end."""
        parts, missing = [], size
        while missing and (part := self._response.read(missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces."""
        while chunk := self.read(CHUNK_BYTES):
            yield chunk

    def lines(self) -> Iterator[bytes]:
        """The body in lines without their ends."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def whole(self) -> Answer:
        """Everything that is left of the body."""
        return Answer(status=self.status, headers=self.headers, body=self._response.read())

    def break_off(self) -> None:
        """End it from another thread; the reader sees an end or an ``OSError``."""
        self._connection.break_off()

    def close(self) -> None:
        """Give its connection up."""
        self._client.forget(self)
        self._response.close()
        self._connection.close()


class Client:
    """Calls to one engine, from any number of threads. The prefix of the version is negotiated at the first call."""

    def __init__(self, path: str, newest_version: tuple[int, int]) -> None:
        self.path = path
        self._newest = newest_version
        self._lock = threading.Lock()
        self._idle: list[UnixConnection] = []
        self._streams: set[Stream] = set()
        self._versions: tuple[tuple[int, int], str] | None = None

    def version(self) -> tuple[int, int]:
        """The version of the API that is spoken: the engine's, or the newest that is known here."""
        return self._negotiated()[0]

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = CALL_TIMEOUT_S,
    ) -> Answer:
        """One call and its whole answer; a path that starts with ``/libpod`` gets Podman's own version."""
        connection, response = self._send(method, self._target(path, query), body, headers or {}, timeout_s)
        try:
            answer = Answer(status=response.status, headers=response.headers, body=response.read())
        except BaseException:
            connection.close()
            raise
        self._keep(connection, response)
        return answer

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        opened: Callable[[Callable[[], None]], None] | None = None,
    ) -> Stream:
        """A call whose body is read as it comes; ``opened`` is told how to break it off before there is an answer."""
        connection, response = self._send(method, self._target(path, query), body, headers or {}, None, opened)
        stream = Stream(self, connection, response)
        with self._lock:
            self._streams.add(stream)
        return stream

    def forget(self, stream: Stream) -> None:
        """A stream was closed."""
        with self._lock:
            self._streams.discard(stream)

    def close(self) -> None:
        """Break open streams and close idle connections; calls may follow."""
        with self._lock:
            idle, self._idle = self._idle, []
            streams = list(self._streams)
        for connection in idle:
            connection.close()
        for stream in streams:
            stream.break_off()

    def _target(self, path: str, query: Query | None) -> str:
        version, libpod = self._negotiated()
        prefix = f"/v{libpod}" if path.startswith("/libpod/") else f"/v{version[0]}.{version[1]}"
        words = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        return prefix + path + ("?" + urllib.parse.urlencode(words) if words else "")

    def _negotiated(self) -> tuple[tuple[int, int], str]:
        known = self._versions
        if known is None:
            connection, response = self._send("GET", "/_ping", None, {}, PING_TIMEOUT_S)
            response.read()
            self._keep(connection, response)
            major, _, minor = (response.headers.get("Api-Version") or "1.41").partition(".")
            version = min(self._newest, (int(major), int(minor or 0)))
            known = self._versions = (version, response.headers.get("Libpod-Api-Version") or "")
        return known

    def _send(
        self,
        method: str,
        target: str,
        body: Body,
        headers: Mapping[str, str],
        timeout_s: float | None,
        opened: Callable[[Callable[[], None]], None] | None = None,
    ) -> tuple[UnixConnection, http.client.HTTPResponse]:
        connection, kept = self._connection()
        try:
            if connection.sock is not None:
                connection.sock.settimeout(timeout_s)
            if opened is not None:
                opened(connection.break_off)
            return connection, _ask(connection, method, target, body, headers)
        except ConnectionError:
            connection.close()
            # The engine may close a kept connection at the very moment of its next use: what only asks is asked again.
            if not kept or method not in ("GET", "HEAD"):
                raise
            return self._send(method, target, body, headers, timeout_s, opened)
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> tuple[UnixConnection, bool]:
        """A connection, and whether it was kept from an earlier call."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = UnixConnection(self.path)
                try:
                    connection.connect()
                except OSError:
                    # Whatever answers here next may be another version.
                    self._versions = None
                    raise
                return connection, False
            if not connection.has_news():
                return connection, True
            connection.close()

    def _keep(self, connection: UnixConnection, response: http.client.HTTPResponse) -> None:
        with self._lock:
            if not response.will_close and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()


def _ask(
    connection: UnixConnection, method: str, target: str, body: Body, headers: Mapping[str, str]
) -> http.client.HTTPResponse:
    try:
        connection.request(method, target, body, dict(headers), encode_chunked=_is_endless(body, headers))
    except ConnectionError:
        # An engine that refuses does so without reading a long body to its end: its answer came before it hung up.
        if not connection.has_news():
            raise
        response = connection.getresponse()
        response.will_close = True
        return response
    return connection.getresponse()


def _word(value: str | int | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_endless(body: Body, headers: Mapping[str, str]) -> bool:
    return body is not None and not isinstance(body, bytes) and "Content-Length" not in headers
