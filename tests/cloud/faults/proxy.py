"""Stands between Higgins and one service, forwards what is asked, and answers wrongly where the board says so.

Keystone's answers are rewritten, so that its catalogue names the proxies instead of the services: Higgins is configured as ever.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import socket
import threading
from collections.abc import Iterator, Mapping

from tests import machine
from tests.cloud.faults.board import Board, Call, Fault

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}
ANSWERS = ("500", "503", "409", "429", "404", "401", "hang", "cut", "slow")
"""401 is a token that ended before its time; ``hang`` never answers, ``cut`` breaks off after the service did it, ``slow`` takes a while."""


class Proxy:
    """One service's place. ``rewritten`` maps addresses in its answers to others."""

    def __init__(self, name: str, target: str, board: Board, rewritten: Mapping[str, str] | None = None) -> None:
        self.name, self.target, self.board = name, target, board
        self.rewritten = rewritten if rewritten is not None else {}
        self.port = machine.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._server: _Server | None = None
        self.start()

    def start(self) -> None:
        """Answer from now on."""
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Nobody listens there any more, and connections that were open end."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.end_connections()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The service is not there for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", proxy.port), _Handler)

    def process_request(self, request, client_address):
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def end_connections(self):
        with self._lock:
            left = list(self._connections)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """A client that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        proxy: Proxy = self.server.proxy
        body = self._body()
        call = Call(proxy.name, _asker(self.headers), self.command, self.path, self._text(body))
        fault = proxy.board.struck(call)
        if fault is None:
            self._forward(call, body)
        else:
            self._go_wrong(fault, call, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, *words):
        """Tests tell what matters."""

    def _go_wrong(self, fault: Fault, call: Call, body: bytes) -> None:
        if fault.answer == "hang":
            fault.lifted.wait(60)
            self.close_connection = True
        elif fault.answer == "cut":
            self._ask(call, body)
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        elif fault.answer == "slow":
            fault.lifted.wait(fault.slow_s)
            self._forward(call, body)
        else:
            self._refuse(int(fault.answer))

    def _refuse(self, status: int) -> None:
        """As the service would say it."""
        said = json.dumps({"error": {"code": status, "message": f"The fault proxy answers {status}."}}).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said if self.command != "HEAD" else b"")

    def _forward(self, call: Call, body: bytes) -> None:
        answer, content = self._ask(call, body)
        for real, ours in self.server.proxy.rewritten.items():
            content = content.replace(real.encode(), ours.encode())
        self.send_response(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"server", "date"}:
                self.send_header(name, value)
        if answer.status != 204:
            # Of a HEAD the length is that of what a GET would give.
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _ask(self, call: Call, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        host, _, port = self.server.proxy.target.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=90)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            headers |= {"Accept-Encoding": "identity"}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.server.proxy.board.learn(call, content)
        return answer, content

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _text(self, body: bytes) -> str:
        """What may tell whose request it is."""
        tokens = " ".join(self.headers.get(name, "") for name in ("X-Auth-Token", "X-Subject-Token"))
        return f"{self.path} {tokens} {body[:65536].decode('latin-1')}"


def _asker(headers: Mapping[str, str]) -> str:
    """Which process of Higgins asks: keystoneauth begins with the program's name."""
    agent = headers.get("User-Agent") or "?"
    return (
        "api"
        if "keystonemiddleware" in agent or "keystoneclient" in agent
        else agent.split(" ")[0].split("/")[0].removesuffix(".py")
    )


class Pipe:
    """A plain TCP connection's way to a server that speaks no HTTP, such as a database; it can be cut."""

    def __init__(self, port: int) -> None:
        self._target, self._lock = ("127.0.0.1", port), threading.Lock()
        self.port = machine.free_port()
        self._open: set[socket.socket] = set()
        self.start()

    def start(self) -> None:
        """Take connections from now on."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._take, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens there any more, and connections that were open end."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for each in left:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The server is not there for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _take(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                self._join(near)

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        with self._lock:
            self._open |= {near, far}
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
