"""A network driver for dockerd, inside the agent: dockerd asks it for the links of ports. It knows no other call of Docker's.

dockerd finds it by the name of its socket in a folder that is the same for every dockerd of the machine, and asks in the
protocol of Docker's remote network drivers. It keeps nothing but which endpoint is which port, and that only from the making of
an endpoint until dockerd takes it down: whoever starts a container makes its endpoints anew.
"""

from __future__ import annotations

import contextlib
import errno
import http.server
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from higgins.core import errors
from higgins.engine.ports import Link
from higgins.threads import private_sockets, typed_json

LOG = logging.getLogger(__name__)
FOLDER = Path("/run/docker/plugins")
PREFIX = "higgins"
PORT = "higgins.port"
CONTENT_TYPE = "application/vnd.docker.plugins.v1.1+json"
NEXT_HOP, ON_LINK = 0, 1
SILENCE_S = 300.0
YOUNG_S = 10.0
"""A socket that was made so lately may be another agent's that does not listen yet."""


def bury_the_dead() -> None:
    """Take away the sockets of agents that ended without a farewell: while one is there, every dockerd of the machine asks it in vain,
    for half a minute each time that it is asked for its volumes.
    """
    for path in FOLDER.glob(f"{PREFIX}*.sock"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as caller:
            if time.time() - path.stat().st_mtime < YOUNG_S:
                continue
            caller.settimeout(1.0)
            if caller.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink()


class Plugin:
    """Answers dockerd at ``FOLDER/NAME.sock`` from ``start`` to ``stop``; asks ``lend`` for each port's link."""

    def __init__(self, name: str, lend: Callable[[str], Link]) -> None:
        self._path, self._lend = FOLDER / f"{name}.sock", lend
        self._lock = threading.Lock()
        self._links: dict[str, Link] = {}
        self._server: _Server | None = None
        self._answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/Plugin.Activate": lambda asked: {"Implements": ["NetworkDriver"]},
            "/NetworkDriver.GetCapabilities": lambda asked: {"Scope": "local", "ConnectivityScope": "local"},
            "/NetworkDriver.CreateEndpoint": self._create,
            "/NetworkDriver.Join": self._join,
            "/NetworkDriver.EndpointOperInfo": lambda asked: {"Value": {}},
            "/NetworkDriver.DeleteEndpoint": self._delete,
        }

    def start(self) -> None:
        """Listen; ``Unsupported`` where the agent may not."""
        try:
            FOLDER.mkdir(parents=True, exist_ok=True)
            self._server = _Server(str(self._path), self.answer)
        except OSError as refused:
            raise errors.Unsupported(
                f"Docker on this host cannot use ports of Neutron: the agent cannot listen at {self._path} ({refused})."
            ) from refused
        threading.Thread(target=self._server.serve_forever, name="docker networks", daemon=True).start()

    def stop(self) -> None:
        """Answer no more; containers go on, and none starts until somebody answers again."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._path.unlink(missing_ok=True)
            self._server = None

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and answer to one question of dockerd; the rest of its questions need no more than a yes."""
        try:
            asked = typed_json.decode(body or b"{}", dict[str, Any])
            answer = self._answers.get(path)
            return 200, answer(asked) if answer else {}
        except errors.HigginsError as error:
            LOG.warning("dockerd asked %s: %s", path, error.message)
            return 500, {"Err": error.message}
        except Exception as error:
            LOG.exception("Answering %s to dockerd broke", path)
            return 500, {"Err": f"The agent failed ({type(error).__name__}); its log says where."}

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        port = (asked.get("Options") or {}).get(PORT)
        if not port:
            raise errors.Invalid("This network is for containers of Higgins only; use another one.")
        link = self._lend(port)
        with self._lock:
            self._links[asked["EndpointID"]] = link
        words = {"MacAddress": link.mac}
        for version, word in ((4, "Address"), (6, "AddressIPv6")):
            addresses = [f"{ip.addr}/{ip.prefix_length}" for ip in link.fixed_ips if ip.version == version]
            words |= {word: addresses[0]} if addresses else {}
        return {"Interface": words}

    def _join(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            link = self._links.get(asked["EndpointID"])
        if link is None:
            raise errors.NotReady("The agent was started anew in the middle of it; start the container once more.")
        # No gateway is named, for Docker gives the default routes of both families to one link; and takes them as any other route.
        return {
            "InterfaceName": {"SrcName": link.name, "DstPrefix": "eth"},
            "StaticRoutes": [_route(*route) for route in link.routes],
            "DisableGatewayService": True,
        }

    def _delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._links.pop(asked["EndpointID"], None)
        return {}


def _route(destination: str, hop: str | None) -> dict[str, Any]:
    if hop is None:
        return {"Destination": destination, "RouteType": ON_LINK}
    return {"Destination": destination, "RouteType": NEXT_HOP, "NextHop": hop}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, answer: Callable[[str, bytes], tuple[int, dict[str, Any]]]) -> None:
        self.answer = answer
        self._open: set[socket.socket] = set()
        super().__init__(path, _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = private_sockets.bound(path, socket.SOCK_STREAM)
        self.server_activate()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Keep the connection in mind: dockerd holds on to it, and so would whoever answers there."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection."""
        for request in tuple(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_S
    server: _Server

    def do_POST(self) -> None:
        """Answer one question."""
        status, answer = self.server.answer(self.path, self._body())
        content = msgspec.json.encode(answer)
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def address_string(self) -> str:
        """A unix socket's other side has no address."""
        return "dockerd"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's own word
        """What went well is not logged."""
