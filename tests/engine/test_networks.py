"""Containers in networks that were made for them: a namespace by its path, or the links of ports for an engine that makes its own.

Everything is made by hand with plain pairs of links, in the network namespace of the engine itself; nobody needs a switch.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator

import pytest

from higgins.core import errors, model
from higgins.core.phase import EngineState
from higgins.engine import load
from higgins.engine.docker import plugin as plugins
from higgins.engine.ports import Link, TakesPorts
from tests.engine.conftest import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
FIRST, SECOND = "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "22222222-aaaa-4aaa-8aaa-aaaaaaaaaaaa"


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace with a link that has an address, and its path."""
    name = f"hig-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = ["ip", "-n", name]
    subprocess.run([*inside, "link", "add", "eth0", "type", "veth", "peer", "name", "far0"], check=True)
    for words in ("addr add 198.18.3.5/24 dev eth0", "link set eth0 up", "link set far0 up", "link set lo up"):
        subprocess.run([*inside, *words.split()], check=True)
    yield f"/run/netns/{name}"
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.ability("joins a namespace by its path")
def test_a_container_in_a_given_namespace(bench, namespace):
    if bench.name == "docker":
        with pytest.raises(errors.Unsupported):
            bench.made(network=f"ns:{namespace}")
        bench.cannot()
        return
    uid = bench.started(network=f"ns:{namespace}", dns_servers=("192.0.2.53",), dns_search=("cloud.example",))
    if bench.name == "fake":
        assert bench.engine.inspect(uid).state is EngineState.RUNNING
        return
    shown = bench.inside(uid, "sh", "-c", "ip addr; cat /etc/resolv.conf").decode()
    assert "198.18.3.5/24" in shown
    assert "192.0.2.53" in shown
    assert "cloud.example" in shown
    bench.engine.stop(uid, timeout_s=0)
    bench.engine.start(uid)
    assert b"198.18.3.5/24" in bench.inside(uid, "ip", "addr")
    bench.engine.remove(uid)
    assert pathlib.Path(namespace).exists()


class Lender:
    """Lends pairs of links that stand in the engine's network namespace; ``away`` are ports that nobody has."""

    def __init__(self, daemon) -> None:
        self._daemon, self.away = daemon, set()

    def __call__(self, port: str) -> Link:
        if port in self.away:
            raise errors.NotFound(f"Port {port} belongs to no container of this host.")
        name, number = f"in{port[:8]}", int(port[0])
        if name not in self._daemon.inside(["ip", "-o", "link"]):
            self._daemon.inside(["ip", "link", "add", f"out{port[:8]}", "type", "veth", "peer", "name", name])
        ips = (
            model.FixedIp(addr=f"198.18.{number}.5", prefix_length=24),
            model.FixedIp(addr=f"fd00:{number}::5", prefix_length=64, version=6),
        )
        # Docker takes the networks of a container in any order.
        first = (("203.0.113.1/32", None), ("0.0.0.0/0", "203.0.113.1"), ("::/0", "fd00:1::1"))
        routes = first if port == FIRST else ()
        return Link(name=name, mac=f"fa:16:3e:00:00:0{number}", fixed_ips=ips, routes=routes)


@pytest.fixture
def lender(bench, tmp_path) -> Lender:
    if not isinstance(bench.engine, TakesPorts):
        pytest.skip("it joins namespaces")
    made = Lender(bench.daemon)
    bench.engine.take_ports(made)
    yield made
    for facts in bench.engine.list():
        bench.engine.remove(facts.uuid)
    for number in (0, 1):
        with_network = bench.engine.networks.name(number)
        try:
            bench.engine.call("DELETE", f"/networks/{with_network}", "remove a network")
        except errors.NotFound:
            continue
    for port in (FIRST, SECOND):
        subprocess.run(
            ["nsenter", f"--net=/proc/{bench.daemon.pid}/ns/net", "ip", "link", "del", f"out{port[:8]}"],
            check=False, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def links(bench, uid: str) -> str:
    return bench.inside(uid, "sh", "-c", "ip addr; ip route; ip -6 route").decode()


def logged(bench, uid: str, word: str) -> str:
    """What it wrote, once that word of it has come to the engine's log."""

    def wrote() -> str:
        said = b"".join(bench.engine.logs(uid)).decode()
        return said if word in said else ""

    return wait_until(wrote, "its output")


@pytest.mark.ability("takes ports before the start")
def test_links_of_ports_are_in_a_container_when_it_starts(bench, lender):
    uid = bench.started(("sh", "-c", "ip addr; sleep 1000"), network="ports", ports=(FIRST, SECOND))
    assert bench.engine.inspect(uid).ports == (FIRST, SECOND)
    first = logged(bench, uid, "fd00:2::5/64")
    assert "198.18.1.5/24" in first.split("eth0")[1].split("eth1")[0]
    assert "198.18.2.5/24" in first
    assert "fd00:1::5/64" in first
    assert all(f"default via {hop} dev eth0" in links(bench, uid) for hop in ("203.0.113.1", "fd00:1::1"))
    assert os.path.exists(bench.engine.namespace(uid))
    bench.engine.stop(uid, timeout_s=0)
    assert bench.engine.namespace(uid) is None
    bench.engine.start(uid)
    assert "198.18.1.5/24" in links(bench, uid)


@pytest.mark.ability("attaches and detaches ports of a running container")
def test_ports_come_and_go(bench, lender):
    uid = bench.started(network="ports")
    assert bench.engine.inspect(uid).ports == ()
    for _ in range(2):
        bench.engine.connect(uid, FIRST)
    bench.engine.connect(uid, SECOND)
    assert bench.engine.inspect(uid).ports == (FIRST, SECOND)
    assert "198.18.2.5/24" in links(bench, uid)
    for _ in range(2):
        bench.engine.disconnect(uid, FIRST)
    assert bench.engine.inspect(uid).ports == (SECOND,)
    shown = links(bench, uid)
    assert "198.18.1.5" not in shown
    assert "default" not in shown


def test_a_port_that_nobody_has_does_not_start(bench, lender):
    uid = bench.made(network="ports", ports=(FIRST,))
    lender.away.add(FIRST)
    with pytest.raises(errors.HigginsError, match="belongs to no container"):
        bench.engine.start(uid)
    lender.away.clear()
    bench.engine.start(uid)
    assert "198.18.1.5/24" in links(bench, uid)


@pytest.mark.timeout(400)
def test_a_container_that_ended_while_nobody_answered_starts_again(bench, lender):
    uid = bench.started(network="ports", ports=(FIRST,))
    bench.engine.close()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # dockerd asks its driver for a while, and gives up
        pool.submit(bench.engine.stop, uid, timeout_s=0).result(220)
    assert bench.engine.inspect(uid).state is EngineState.STOPPED
    bench.engine.take_ports(lender)
    bench.engine.start(uid)
    assert "198.18.1.5/24" in links(bench, uid)


def test_sockets_of_dead_agents_go_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "FOLDER", tmp_path / "plugins")
    alive = plugins.Plugin("higgins-alive", lambda port: Link(name="x", mac="fa:16:3e:00:00:01"))
    alive.start()
    try:
        for name in ("higgins-dead.sock", "higgins-young.sock", "other.sock"):
            with socket.socket(socket.AF_UNIX) as gone:
                gone.bind(str(tmp_path / "plugins" / name))
        for name in ("higgins-alive.sock", "higgins-dead.sock", "other.sock"):
            os.utime(tmp_path / "plugins" / name, (1e9, 1e9))
        os.utime(tmp_path / "plugins" / "higgins-young.sock", (time.time() + 3600,) * 2)
        load.open_engine("docker", "unix:///nowhere/e.sock").close()
        left = {path.name for path in (tmp_path / "plugins").iterdir()}
        assert left == {"higgins-alive.sock", "higgins-young.sock", "other.sock"}
    finally:
        alive.stop()
    assert not (tmp_path / "plugins" / "higgins-alive.sock").exists()


def test_a_stranger_gets_nothing_from_the_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "FOLDER", tmp_path)
    driver = plugins.Plugin("higgins-test", lambda port: Link(name="x", mac="fa:16:3e:00:00:01"))
    driver.start()
    try:
        assert driver.answer("/NetworkDriver.CreateEndpoint", b'{"EndpointID": "e"}')[0] == 500
        assert driver.answer("/NetworkDriver.Join", b'{"EndpointID": "e"}')[0] == 500
        assert driver.answer("/NetworkDriver.Leave", b'{"EndpointID": "e"}') == (200, {})
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "higgins-test.sock"))
            client.sendall(
                b"POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            )
            answer = client.makefile("rb")
            heads = dict(
                line.decode().strip().split(": ", 1) for line in iter(answer.readline, b"\r\n") if b": " in line
            )
            assert b"NetworkDriver" in answer.read(int(heads["Content-Length"]))
            driver.stop()
            assert answer.read() == b""  # whoever held on to a connection is told
    finally:
        driver.stop()
    assert not list(tmp_path.iterdir())
