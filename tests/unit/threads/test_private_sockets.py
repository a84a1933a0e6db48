"""Private sockets: whose they are whatever the process' umask, and that nobody else's files change by them."""

import os
import socket
import stat
import subprocess
import sys
import threading

import pytest

from higgins.threads import private_sockets


@pytest.fixture
def umask():
    """The process lets everybody do everything."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_is_its_owners_alone(tmp_path, umask, kind):
    path = tmp_path / "s.sock"
    with private_sockets.bound(path, kind):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_that_a_dead_process_left_is_replaced(tmp_path):
    path = tmp_path / "s.sock"
    private_sockets.bound(path, socket.SOCK_STREAM).close()
    with private_sockets.bound(path, socket.SOCK_STREAM) as listening, socket.socket(socket.AF_UNIX) as caller:
        listening.listen()
        caller.connect(str(path))


HOLD = """
import subprocess, sys
from higgins.threads import private_sockets
with private_sockets.owned(sys.argv[1]) as is_ours:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
    print(is_ours, flush=True)
    child.wait()
"""
"""Its child outlives it, until the test is over."""


def test_a_socket_is_owned_by_one_process_until_it_is_killed_whatever_its_children_do(tmp_path):
    path = tmp_path / "s.sock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "True\n"
        with private_sockets.owned(path) as is_ours:
            assert not is_ours
        other.kill()
        other.wait()
        with private_sockets.owned(path) as is_ours:
            assert is_ours
    with private_sockets.owned(path) as is_ours:
        assert is_ours


def test_what_other_threads_make_meanwhile_keeps_its_rights(tmp_path):
    ended = threading.Event()

    def bind():
        number = 0
        while not ended.is_set():
            private_sockets.bound(tmp_path / f"{threading.get_ident()}.{number}", socket.SOCK_STREAM).close()
            number += 1

    threads = [threading.Thread(target=bind) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(500):
            (tmp_path / f"d{number}").mkdir(mode=0o700)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert {stat.S_IMODE(path.stat().st_mode) & 0o777 for path in tmp_path.glob("d*")} == {0o700}
