"""The wire over TLS on loopback: the agent's client checks the controller's certificate; kept connections that end are opened anew."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import pathlib
import socket
import ssl
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from higgins.agent.live.server import LiveServer, TlsFiles
from higgins.core import errors
from higgins.store.agents.desk import Desk
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import contract, hints
from higgins.wire.client import LiveClient, WireClient
from higgins.wire.server import Server
from tests.contract.store_rows import Rows
from tests.machine import free_port


def certificate(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "controller")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = (folder / "cert.pem", folder / "key.pem")
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture
def wire(db: Database, sealer: Sealer, rows: Rows, tmp_path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """The address of a controller that knows ``host1``, and the file of its certificate."""
    rows.host()
    cert, key = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    address = f"https://127.0.0.1:{free_port()}"
    server = Server(Desk(db, sealer), hints.LocalHints(), address, tls=tls)
    server.start()
    yield address, str(cert)
    server.stop()


def test_an_agent_reaches_the_controller_it_trusts_alone(wire: tuple[str, str]) -> None:
    address, cert = wire
    assert WireClient(address, "token of host1", ca_file=cert).assignments(0, 0).full
    with pytest.raises(errors.Unauthorized):
        WireClient(address, "wrong", ca_file=cert).assignments(0, 0)
    with pytest.raises(errors.Unavailable):
        WireClient(address, "token of host1").assignments(0, 0)


def test_a_kept_connection_that_the_other_side_closed_meanwhile_is_opened_anew(tmp_path: pathlib.Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate(tmp_path))
    closed: list[threading.Event] = [threading.Event(), threading.Event()]

    def answer_each_connection_once(listener: socket.socket) -> None:
        for event in closed:
            with tls.wrap_socket(listener.accept()[0], server_side=True) as connection:
                while not connection.recv(65536).endswith(b"{}"):
                    continue
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            event.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer_each_connection_once, args=(listener,), daemon=True)
        server.start()
        client = LiveClient(
            f"https://127.0.0.1:{listener.getsockname()[1]}", "token", ca_file=str(tmp_path / "cert.pem")
        )
        for event in closed:
            client.ask("pod", "container", "signal", contract.Nothing(), contract.Nothing)
            assert event.wait(60)
        server.join(60)


class Audited:
    """Answers nothing but the audit."""

    def audit(self) -> contract.AuditAnswer:
        return contract.AuditAnswer(containers=(), volumes=("v",))


def test_a_silent_caller_keeps_nobody_from_asking_a_host(tmp_path: pathlib.Path) -> None:
    cert, key = certificate(tmp_path)
    address = f"https://127.0.0.1:{free_port()}"
    server = LiveServer(Audited(), address, "token", TlsFiles(certificate=str(cert), key=str(key)))  # type: ignore[arg-type]
    server.start()
    client = LiveClient(address, "token", ca_file=str(cert), timeout_s=30)
    try:
        with contextlib.ExitStack() as silent:
            for _ in range(4):
                silent.enter_context(socket.create_connection(("127.0.0.1", urlsplit(address).port), timeout=30))
            assert client.audit().volumes == ("v",)
        assert client.audit().volumes == ("v",), "the connection is kept"
    finally:
        client.close()
        server.stop()


@pytest.mark.parametrize(
    "address",
    [
        "unix:/run/docker.sock",
        "http://127.0.0.1:80",
        "https://127.0.0.1",
        "https://me@host:1",
        "https://h:1/path",
        "https://h:x",
    ],
)
def test_a_host_does_not_choose_what_else_the_api_dials(wire: tuple[str, str], rows: Rows, address: str) -> None:
    with contextlib.closing(WireClient(wire[0], "token of host1", ca_file=wire[1])) as client:
        with pytest.raises(errors.Invalid, match="live_listen"):
            client.hello(contract.Hello(facts=rows.facts(), live_address=address, live_token="t"))
        good = contract.Hello(facts=rows.facts(), live_address="https://[::1]:9518", live_token="t")
        assert client.hello(good).host_uuid
