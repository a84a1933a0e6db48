"""Clients that begin a request and do not go on: strangers, and members of one project; the others are answered meanwhile."""

from __future__ import annotations

import base64
import contextlib
import socket

import pytest

from tests.whole import until

pytestmark = pytest.mark.timeout(300)

MANY = 40
"""More than the API has threads."""


def begin(site, method, path, **headers):
    """A connection with a request of which one byte of the body has come."""
    opened = socket.create_connection(("127.0.0.1", site.port), timeout=240)
    words = {"Host": "localhost", "Content-Length": "100", "Content-Type": "application/json", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in words.items())]
    opened.sendall("\r\n".join([*lines, "", "{"]).encode())
    return opened


def test_bodies_that_never_come_do_not_stop_the_service(site):
    account = site.account("demo")
    pair = base64.b64encode(f"{account['username']}:{account['password']}".encode()).decode()
    assert site.request("GET", "/v1/containers").status == 200
    with contextlib.ExitStack() as slow:
        for method, path in (("GET", "/"), ("GET", "/v1/containers"), ("POST", "/v1/containers")):
            for _ in range(MANY):
                slow.enter_context(begin(site, method, path))
        assert site.request("GET", "/v1/containers").status == 200
        for _ in range(MANY):
            slow.enter_context(begin(site, "POST", "/v1/containers", Authorization=f"Basic {pair}"))
        assert site.request("GET", "/v1/containers").status == 200
        assert site.request("POST", "/v1/containers", {}).status == 429
        assert site.admin("POST", "/v1/containers", {}).status == 400, "another project's is read"
    until(lambda: site.request("POST", "/v1/containers", {}).status == 400, "the project's own are read again")
