"""Both clients of the wire: the agent's (hello, assignments, report) and the control plane's, which asks an agent live questions.

An address is ``unix:PATH`` or ``https://HOST:PORT``. A thread keeps its connection open between calls; a kept one that the
other side closed meanwhile is opened anew, but what does something each time is sent only once. Every failure of the transport
becomes ``Unavailable`` or ``Timeout``, a ``Fault`` the error it names.
"""

from __future__ import annotations

import http.client
import logging
import select
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from higgins.core import errors
from higgins.threads import typed_json
from higgins.wire import contract

LOG = logging.getLogger(__name__)
CHUNK_BYTES = 65536
CONNECT_S = 10.0
MOST_ANSWER_BYTES = 128 << 20
"""More than any question's answer has: the other side may be a host that somebody has taken over."""

_CLOSED_MEANWHILE = (
    http.client.BadStatusLine,
    http.client.CannotSendRequest,
    ConnectionError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
Answer = TypeVar("Answer")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class _Transport:
    """HTTP over one address with a bearer token, a connection a thread. ``title`` is what messages call the other side."""

    def __init__(self, address: str, token: str, ca_file: str | None, title: str) -> None:
        self.address, self._token, self._title = address, token, title
        self._tls = None if address.startswith("unix:") else ssl.create_default_context(cafile=ca_file)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: set[http.client.HTTPConnection] = set()
        self._closed = False

    def connect(self) -> http.client.HTTPConnection:
        """A new connection, not opened yet."""
        if self._tls is None:
            return _UnixConnection(self.address.removeprefix("unix:"), CONNECT_S)
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme != "https" or not parts.hostname:
            raise errors.Invalid(f"The address {self.address} is neither unix:PATH nor https://HOST:PORT; correct it.")
        return http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=CONNECT_S, context=self._tls)

    def ask(
        self, method: str, path: str, body: bytes | None, answer: type[Answer], *, timeout_s: float, once: bool = False
    ) -> Answer:
        """Send one request and decode its answer; a kept connection that breaks is replaced, and the request sent again unless ``once``."""
        with self.translated():
            response, data = self._send(method, path, body, timeout_s, once=once)
        if response.status >= 300:
            raise self.refusal(response.status, data)
        try:
            return typed_json.decode(data, answer)
        except msgspec.MsgspecError as error:
            raise errors.Unavailable(f"{self.address} answered {path} with what is not understood: {error}") from error

    def _send(
        self, method: str, path: str, body: bytes | None, timeout_s: float, *, once: bool
    ) -> tuple[http.client.HTTPResponse, bytes]:
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None and _is_closed(kept):
            self._drop(kept)
            kept = None
        if kept is not None:
            try:
                return self._exchange(kept, method, path, body, timeout_s)
            except _CLOSED_MEANWHILE:
                if once:
                    raise
        connection = self.connect()
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("closed")
            self._connections.add(connection)
        self._local.connection = connection
        return self._exchange(connection, method, path, body, timeout_s)

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, timeout_s: float
    ) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            if connection.sock is None:
                connection.connect()
                with self._lock:
                    if self._closed:
                        raise ConnectionAbortedError("closed")
            connection.sock.settimeout(timeout_s)
            connection.request(method, path, body=body, headers=self.headers())
            response = connection.getresponse()
            data = response.read(MOST_ANSWER_BYTES + 1)
            if len(data) > MOST_ANSWER_BYTES:
                raise http.client.HTTPException("its answer has no end")
            return response, data
        except BaseException:
            self._drop(connection)
            raise

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        self._local.connection = None
        with self._lock:
            self._connections.discard(connection)

    @contextmanager
    def stream(
        self, method: str, path: str, body: Iterable[bytes] | None, timeout_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer whose body is read as it comes, over a connection of its own."""
        connection = self.connect()
        headers = self.headers() | ({} if body is None else {"Transfer-Encoding": "chunked"})
        try:
            with self.translated():
                connection.connect()
                with self._lock:
                    if self._closed:
                        raise ConnectionAbortedError("closed")
                    self._connections.add(connection)
                connection.sock.settimeout(timeout_s)
                connection.request(method, path, body=body, headers=headers, encode_chunked=body is not None)
                response = connection.getresponse()
                fault = response.read(CHUNK_BYTES) if response.status >= 300 else b""
            if response.status >= 300:
                raise self.refusal(response.status, fault)
            yield response
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def refusal(self, status: int, data: bytes) -> errors.HigginsError:
        """What a refused request raises."""
        return error_of(status, data)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What breaks in here becomes ``Timeout`` or ``Unavailable``; users may read the message, so the address goes to the log."""
        try:
            yield
        except TimeoutError as error:
            LOG.info("%s did not answer in time: %s", self.address, error)
            raise errors.Timeout(f"{self._title} did not answer in time. Try again later.") from error
        except (OSError, http.client.HTTPException) as error:
            LOG.info("%s cannot be reached: %s", self.address, error)
            raise errors.Unavailable(f"{self._title} cannot be reached. Try again later.") from error

    def headers(self) -> dict[str, str]:
        """Who asks, and in what."""
        return {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}

    def close(self) -> None:
        """Break every call that waits."""
        with self._lock:
            self._closed = True
            connections = list(self._connections)
        for connection in connections:
            sock = connection.sock
            if sock is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


class WireClient:
    """The agent's side of the wire."""

    def __init__(self, address: str, token: str, *, ca_file: str | None = None, timeout_s: float = 30.0) -> None:
        self._transport = _Transport(address, token, ca_file, f"The controller at {address}")
        self._timeout_s = timeout_s

    def hello(self, hello: contract.Hello) -> contract.Welcome:
        """Say who we are; the answer says which report was taken last."""
        body = msgspec.json.encode(hello)
        return self._transport.ask("POST", "/wire/v1/hello", body, contract.Welcome, timeout_s=self._timeout_s)

    def assignments(self, since: int, wait_s: float) -> contract.Assignments:
        """Wait for what is newer than a revision; ``Conflict`` when Hello must be said first."""
        path = f"/wire/v1/assignments?since={since}&wait_s={wait_s:g}"
        return self._transport.ask("GET", path, None, contract.Assignments, timeout_s=self._timeout_s + wait_s)

    def report(self, report: contract.Report) -> contract.ReportAnswer:
        """Hand a report in; safe to repeat."""
        body = msgspec.json.encode(report)
        return self._transport.ask("PUT", "/wire/v1/report", body, contract.ReportAnswer, timeout_s=self._timeout_s)

    @contextmanager
    def image(self, uuid: str, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """The data of an image that this host was granted, in chunks; it may end too early without saying so."""
        path = f"/wire/v1/images/{urllib.parse.quote(uuid, safe='')}?offset={offset}"
        with self._transport.stream("GET", path, None, self._timeout_s) as response:
            yield _chunks(response, self._transport)

    def close(self) -> None:
        """Break every call that waits; calls made later are ``Unavailable``."""
        self._transport.close()


class _ToAnAgent(_Transport):
    def refusal(self, status: int, data: bytes) -> errors.HigginsError:
        """An agent that started anew has a new token: a user who read 401 here would believe that his own is meant."""
        if status == 401:
            LOG.info("%s wants another token; its next Hello brings it.", self.address)
            return errors.Unavailable("The host of the container is just starting. Try again in a moment.")
        return super().refusal(status, data)


class LiveClient:
    """The control plane's way to ask one agent."""

    def __init__(self, address: str, token: str, *, ca_file: str | None = None, timeout_s: float = 60.0) -> None:
        self._transport = _ToAnAgent(address, token, ca_file, "The host of the container")
        self._timeout_s = timeout_s

    def ask(
        self,
        pod: str,
        container: str,
        question: str,
        body: object,
        answer: type[Answer],
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        """Ask a question of ``wire.contract`` by its name there, with its body's class and its answer's."""
        return self._transport.ask(
            "POST",
            _path(pod, container, question),
            msgspec.json.encode(body),
            answer,
            timeout_s=timeout_s or self._timeout_s,
            once=question in contract.ASKED_ONCE,
        )

    @contextmanager
    def get_archive(
        self, pod: str, container: str, path: str, *, timeout_s: float | None = None
    ) -> Iterator[tuple[contract.PathStatAnswer, Iterator[bytes]]]:
        """What is at a path of a container, and a tar of it in chunks, read as they are asked for."""
        asked = _path(pod, container, "get_archive", path)
        with self._transport.stream("POST", asked, None, timeout_s or self._timeout_s) as response:
            stat = response.headers.get("X-Higgins-Path-Stat", "")
            yield typed_json.decode(stat, contract.PathStatAnswer), _chunks(response, self._transport)

    def put_archive(
        self, pod: str, container: str, path: str, tar: Iterable[bytes], *, timeout_s: float | None = None
    ) -> None:
        """Unpack a tar, given in chunks, into a directory of a container."""
        asked = _path(pod, container, "put_archive", path)
        with self._transport.stream("POST", asked, tar, timeout_s or self._timeout_s) as response:
            response.read()

    @contextmanager
    def commit_archive(self, pod: str, container: str, *, timeout_s: float | None = None) -> Iterator[Iterator[bytes]]:
        """An archive of an image that is made of a container for this, in chunks, read as they are asked for."""
        asked = _path(pod, container, "commit_archive")
        with self._transport.stream("POST", asked, None, timeout_s or self._timeout_s) as response:
            yield _chunks(response, self._transport)

    def audit(self) -> contract.AuditAnswer:
        """Everything of ours on the host."""
        return self._transport.ask("GET", "/live/v1/audit", None, contract.AuditAnswer, timeout_s=self._timeout_s)

    def repair(self) -> contract.AuditAnswer:
        """Remove what nobody was assigned; answers what was removed."""
        return self._transport.ask(
            "POST", "/live/v1/audit/repair", b"{}", contract.AuditAnswer, timeout_s=self._timeout_s
        )

    def close(self) -> None:
        """Break every call that waits."""
        self._transport.close()


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed this idle connection, so that nothing sent on it would arrive."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _chunks(response: http.client.HTTPResponse, transport: _Transport) -> Iterator[bytes]:
    while True:
        with transport.translated():
            chunk = response.read(CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


def _path(pod: str, container: str, question: str, path: str | None = None) -> str:
    names = "/".join(urllib.parse.quote(name, safe="") for name in (pod, "containers", container, question))
    query = "" if path is None else "?" + urllib.parse.urlencode({"path": path})
    return f"/live/v1/pods/{names}{query}"


def error_of(status: int, data: bytes) -> errors.HigginsError:
    """The error that a ``Fault`` names, or the nearest for a status that came without one."""
    try:
        fault = typed_json.decode(data, contract.Fault)
    except msgspec.MsgspecError:
        fault = contract.Fault(error="", message="")
    known: Any = getattr(errors, fault.error, None)
    if isinstance(known, type) and issubclass(known, errors.HigginsError):
        return known(fault.message)
    by_status: dict[int, type[errors.HigginsError]] = {
        401: errors.Unauthorized,
        403: errors.Forbidden,
        404: errors.NotFound,
        409: errors.Conflict,
    }
    kind = by_status.get(status, errors.Unavailable if status >= 500 else errors.Invalid)
    return kind(fault.message or f"The other side answered {status} without saying why.")


def fault_of(error: errors.HigginsError) -> contract.Fault:
    """An error on its way to the other side."""
    return contract.Fault(error=type(error).__name__, message=error.message)
