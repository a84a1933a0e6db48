"""HTTP as the command line needs it: one server, small JSON bodies, no library to load. It must not know clouds or the API.

Foreign errors (sockets, TLS, broken answers) become ``Unreachable`` in ``_unreachable`` alone.
"""

from __future__ import annotations

import dataclasses
import http.client
import socket
import ssl
import sys
import time
from urllib.parse import urlsplit

from higgins.cli.errors import CliError, Unreachable


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How a TLS server is checked, and the client certificate shown to it (paths of PEM files)."""

    verify: bool = True
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext:
        """The TLS context; raises ``CliError`` when a file cannot be read."""
        try:
            context = ssl.create_default_context(cafile=self.cacert)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            named = self.cert if self.cert else self.cacert
            raise CliError(f"The certificates of this cloud cannot be read ({named}): {error}") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Server:
    """One HTTP server; its connection is kept for reading, and made anew for each request that changes something.

    So a request that must not happen twice is never sent on a connection that the server may have closed already.
    """

    def __init__(self, url: str, trust: Trust, *, debug: bool = False) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CliError(f"{url} is no address of a service.", "An endpoint looks like http://HOST:9517/v1")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._host, self._tls = parts.hostname, parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._trust, self._debug = trust, debug
        self._kept: http.client.HTTPConnection | None = None

    def request(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None = None, timeout_s: float = 60
    ) -> Answer:
        """Send one request and read the whole answer; raises ``Unreachable``. A GET is sent again when a kept connection broke."""
        began = time.monotonic()
        kept = self._kept if method == "GET" else None
        try:
            answer = self._send(kept, method, target, headers, body, timeout_s)
        except (http.client.HTTPException, OSError) as error:
            if kept is None:
                raise self._unreachable(error) from error
            try:
                answer = self._send(None, method, target, headers, body, timeout_s)
            except (http.client.HTTPException, OSError) as again:
                raise self._unreachable(again) from again
        if self._debug:
            took_ms = (time.monotonic() - began) * 1000
            sys.stderr.write(f"{method} {self.url}{target} -> {answer.status} in {took_ms:.0f} ms\n")
        return answer

    def _send(
        self,
        kept: http.client.HTTPConnection | None,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> Answer:
        connection = kept or self._connect(timeout_s)
        self._kept = None
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        try:
            connection.request(method, target, body=body, headers=headers)
            reply = connection.getresponse()
            answer = Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        except BaseException:
            connection.close()
            raise
        self._kept = connection
        return answer

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._trust.context())
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)

    def _unreachable(self, error: Exception) -> CliError:
        if isinstance(error, ConnectionRefusedError):
            return Unreachable(
                f"Higgins does not answer at {self.url}.",
                "Start it with script/up, or name another cloud with --os-cloud.",
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unreachable(
                f"The certificate of {self.url} is not trusted: {error.verify_message}.",
                "Name the authority's file with 'cacert' in clouds.yaml.",
            )
        if isinstance(error, ssl.SSLError):
            return Unreachable(f"{self.url} does not speak TLS as expected: {error.reason}.", "Is it http, not https?")
        if isinstance(error, socket.gaierror):
            return Unreachable(f"The host name {self._host} is not known.", "Check the endpoint in clouds.yaml.")
        if isinstance(error, TimeoutError):
            return Unreachable(f"{self.url} did not answer in time.", "Try again in a moment.")
        if isinstance(error, http.client.HTTPException | ConnectionError):
            return Unreachable(f"{self.url} broke off the answer.", "Try again in a moment.")
        return Unreachable(f"{self.url} cannot be reached: {error}.", "Check the endpoint in clouds.yaml.")
