"""Lets callers in to the live server. Whoever has not shown a token yet costs it one thread for a few seconds at most, and never the door.

Knows HTTP and TLS; knows no question.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from cheroot import wsgi
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter

from higgins.threads import private_sockets

GREETING_S = 5.0
"""How long a caller may be silent until his request has been read: he has all of it at hand."""

PAUSE_S = 60.0
"""How long he may be silent in the middle of a body, or between two requests, and how long an answer may wait for its reader."""

MOST_HEADER_BYTES = 16 * 1024


class _Tls(BuiltinSSLAdapter):
    """Leaves the handshake to the thread that will read the request: the one that lets callers in must not wait for any of them."""

    def wrap(self, sock: Any) -> tuple[ssl.SSLSocket, dict[str, Any]]:
        wrapped = self.context.wrap_socket(sock, do_handshake_on_connect=False, server_side=True)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class _Request(HTTPRequest):
    def respond(self) -> None:
        """Answer it: its caller may take his time from here on."""
        self.conn.socket.settimeout(PAUSE_S)
        super().respond()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request
    _greeted = False

    def communicate(self) -> bool:
        """Take one request and answer it; whether another may come."""
        self.socket.settimeout(GREETING_S)
        if not self._greeted and isinstance(self.socket, ssl.SSLSocket):
            try:
                self.socket.do_handshake()
            except OSError:
                return False
        self._greeted = True
        return bool(super().communicate())  # type: ignore[no-untyped-call]


class _Server(wsgi.Server):
    ConnectionClass = _Connection

    def bind_unix_socket(self, bind_addr: str) -> socket.socket:
        """Only our own user may ask: cheroot itself would let everybody in."""
        listening = private_sockets.bound(bind_addr, socket.SOCK_STREAM)
        self.socket = listening
        return listening


def make_server(bind: object, application: Any, threads: int, tls: tuple[str, str] | None) -> wsgi.Server:
    """A server of such connections, not listening yet; ``tls`` are the paths of a certificate and its key."""
    server = _Server(bind, application, numthreads=threads, max=threads * 4, server_name="higgins")
    server.max_request_header_size = MOST_HEADER_BYTES
    server.max_request_body_size = 0
    server.timeout = PAUSE_S
    server.shutdown_timeout = 1
    if tls is not None:
        server.ssl_adapter = _Tls(*tls)
    return server
