"""The thin client against a server of a few lines: kept connections, stale ones, silence, and an end in the middle."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import pathlib
import signal
import socketserver
import subprocess
import tempfile
import threading

import pytest

from higgins.core import errors, model
from higgins.engine import api, load
from higgins.engine.dialect.http import Client
from tests.host.controller_double import until


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append((self.path, self.connection.fileno()))
        answer = self.server.answers.get(self.path.partition("?")[0], b"{}")
        if answer is None:
            self.server.released.wait(20)
            self.close_connection = True
            return
        too_late = self.server.too_late.get(self.path, 0)
        if too_late:
            self.server.too_late[self.path] = too_late - 1
            answer = b'{"message":"open /proc/8613/cgroup: no such process","response":500}'
        self.send_response(500 if too_late else 200)
        self.send_header("Api-Version", self.server.version)
        self.send_header("Content-Length", str(len(answer) + self.server.missing_bytes.get(self.path, 0)))
        self.end_headers()
        self.wfile.write(answer)
        if self.path in self.server.missing_bytes or self.server.hang_up:
            self.close_connection = True

    def do_PUT(self):
        """Refuses without reading what is sent, with a status of 0 without a word; waits for the end of anything else."""
        self.close_connection = True
        status, answer = self.server.refusals.get(self.path.partition("?")[0]) or (None, b"")
        if status is None:
            self.rfile.read()
        elif status:
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def do_POST(self):
        if self.path in self.server.refusals:
            self.do_PUT()
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

    def log_message(self, *words):
        return

    def address_string(self):
        return "unix"


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(path, Handler)
        self.seen, self.answers, self.missing_bytes, self.too_late = [], {}, {}, {}
        self.refusals = {}
        self.version, self.hang_up, self.released = "1.44", False, threading.Event()


@pytest.fixture
def server():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, contextlib.ExitStack() as stack:
        found = stack.enter_context(Server(str(pathlib.Path(folder, "e.sock"))))
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        stack.callback(found.shutdown)
        stack.callback(found.released.set)
        yield found


def client(server, newest=(1, 47)) -> Client:
    return Client(server.server_address, newest)


def test_the_version_is_negotiated_once_and_the_connection_kept(server):
    ours = client(server)
    for _ in range(3):
        ours.call("GET", "/info")
    assert [path for path, _ in server.seen] == ["/_ping", *["/v1.44/info"] * 3]
    assert len({connection for _, connection in server.seen}) == 1
    ours.close()


def test_an_engine_newer_than_we_know_is_spoken_to_as_we_know(server):
    server.version = "2.10"
    ours = client(server)
    ours.call("GET", "/info")
    assert server.seen[-1][0] == "/v1.47/info"
    ours.close()


def test_a_connection_that_the_engine_closed_is_not_used_again(server):
    ours = client(server)
    server.hang_up = True
    for _ in range(3):
        assert ours.call("GET", "/info").status == 200
    ours.close()


def test_a_silent_engine_is_a_timeout(server):
    engine = load.open_engine("docker", f"unix://{server.server_address}")
    server.answers["/v1.44/info"] = None
    with pytest.raises(errors.Timeout):
        engine.call("GET", "/info", "tell about itself", timeout_s=0.1)
    engine.close()


def test_an_answer_that_ends_in_the_middle_is_unavailable(server):
    engine = load.open_engine("docker", f"unix://{server.server_address}")
    server.answers["/v1.44/info"] = b'{"a":'
    server.missing_bytes["/v1.44/info"] = 10
    with pytest.raises(errors.Unavailable):
        engine.info()
    engine.close()


LONG = 8 << 20


def test_a_refusal_is_heard_though_the_body_was_not_read_to_its_end(server):
    engine = load.open_engine("docker", f"unix://{server.server_address}")
    server.refusals["/v1.44/containers/higgins-u/archive"] = (404, b'{"message":"Could not find the file /none"}')
    server.refusals["/v1.44/images/load"] = (500, b'{"message":"invalid tar header"}')
    for _ in range(2):
        with pytest.raises(errors.NotFound, match="Could not find the file /none"):
            engine.put_archive("u", "/none", io.BytesIO(bytes(LONG)))
        with pytest.raises(errors.Invalid, match="invalid tar header"):
            engine.load_image("one:1", iter([bytes(LONG)]))
        assert engine.call("GET", "/info", "tell about itself").status == 200
    engine.close()


def test_an_engine_that_hangs_up_on_a_body_without_a_word_is_unavailable(server):
    engine = load.open_engine("docker", f"unix://{server.server_address}")
    server.refusals["/v1.44/images/load"] = (0, b"")
    with pytest.raises(errors.Unavailable):
        engine.load_image("one:1", iter([bytes(LONG)]))
    engine.close()


def test_a_body_that_breaks_off_is_not_waited_for(server):
    engine = load.open_engine("docker", f"unix://{server.server_address}")

    class Broken(io.RawIOBase):
        def read(self, size):
            raise ConnectionResetError("Whoever sent it went away.")

    with pytest.raises(errors.Unavailable, match="went away"):
        engine.put_archive("u", "/tmp", Broken())
    engine.close()


class Noting(Client):
    """Keeps how long each call may take."""

    def __init__(self, path):
        super().__init__(path, (1, 47))
        self.waits = {}

    def call(self, method, path, **words):
        self.waits[path] = words.get("timeout_s")
        return super().call(method, path, **words)


def test_a_creation_may_take_as_long_as_a_start(server):
    engine = load.open_engine("docker", f"unix://{server.server_address}")
    engine.http = Noting(server.server_address)
    spec = model.ContainerSpec(uuid="u", name="one", image="busybox")
    engine.create(api.Creation(pod="u", build=1, spec=spec, image="busybox", network="none"))
    engine.start("u")
    assert engine.http.waits["/containers/create"] == engine.http.waits["/containers/higgins-u/start"] > 60
    engine.close()


@pytest.mark.parametrize(("times", "seen"), [(1, 2), (3, 4), (9, 4)])
def test_a_look_that_came_too_late_is_taken_again(server, times, seen):
    engine = load.open_engine("podman", f"unix://{server.server_address}")
    server.too_late["/v1.44/info"] = times
    with pytest.raises(errors.NotReady) if times == 9 else contextlib.nullcontext():
        engine.call("GET", "/info", "tell about itself")
    assert [path for path, _ in server.seen].count("/v1.44/info") == seen
    engine.close()


def test_the_last_lines_of_a_log_that_never_rests_are_counted_here(server):
    engine = load.open_engine("podman", f"unix://{server.server_address}")
    server.answers["/v/libpod/containers/higgins-u/json"] = b'{"Config":{"Tty":true}}'
    server.answers["/v1.44/containers/higgins-u/logs"] = b"one\ntwo\nthree\n"
    asked = "/v1.44/containers/higgins-u/logs?stdout=true&stderr=true&timestamps=false&tail={}&follow=false"
    server.too_late[asked.format(2)] = 99
    assert b"".join(engine.logs("u", tail=2)) == b"two\nthree\n"
    assert [path for path, _ in server.seen if "tail=" in path] == [*[asked.format(2)] * 4, asked.format("all")]
    engine.close()


def test_closing_breaks_an_open_stream(server):
    engine = load.open_engine("docker", f"unix://{server.server_address}")
    labels = b'{"higgins.uuid":"u","higgins.pod":"p","higgins.installation":""}'
    server.answers["/v1.44/events"] = b'{"Type":"container","Action":"die","Actor":{"Attributes":%s}}\n' % labels
    connected = threading.Event()
    seen = []
    with pytest.raises(errors.Unavailable):
        seen.extend(collect(engine.events(connected.set), seen))
    assert connected.is_set()
    assert [(event.container, event.pod, event.what) for event in seen] == [("u", "p", "die")]
    engine.close()


def collect(events, seen):
    for event in events:
        seen.append(event)
    return ()


def test_a_command_that_is_late_is_killed_once_it_has_a_process(server):
    """Docker accepts a command before it has a process; one look alone would let it run for ever."""
    look, late, over = "/v1.44/exec/x/json", threading.Event(), threading.Event()
    server.answers[look], server.too_late[look] = b'{"Running": true, "Pid": 0}', 1
    engine = load.open_engine("docker", f"unix://{server.server_address}?installation=test")
    with subprocess.Popen(["sleep", "600"]) as process:
        ending = threading.Thread(target=engine._end_exec, args=("x", late, over))
        ending.start()
        until(lambda: [path for path, _ in server.seen].count(look) > 3, "it is looked at again")
        assert not late.is_set()
        server.answers[look] = json.dumps({"Running": True, "Pid": process.pid}).encode()
        assert process.wait(60) == -signal.SIGKILL
        ending.join(60)
    assert late.is_set()
    engine.close()


def test_a_command_that_ended_by_itself_is_looked_at_no_more(server):
    server.answers["/v1.44/exec/x/json"] = b'{"Running": false, "Pid": 0}'
    engine, over = load.open_engine("docker", f"unix://{server.server_address}?installation=test"), threading.Event()
    ending = threading.Thread(target=engine._end_exec, args=("x", threading.Event(), over))
    ending.start()
    over.set()
    ending.join(60)
    assert not ending.is_alive()
    engine.close()


@pytest.mark.parametrize("word", ['"Running": false, "ExitCode": null', '"Running": true, "ExitCode": 0'])
def test_a_command_whose_end_is_not_told_has_no_exit_code(server, word):
    server.answers["/v1.44/exec/x/json"] = f'{{"Pid": 0, {word}}}'.encode()
    engine = load.open_engine("docker", f"unix://{server.server_address}?installation=test")
    server.answers["/v1.44/containers/higgins-u/exec"] = b'{"Id": "x"}'
    server.answers["/v1.44/exec/x/start"] = b""
    engine.exec_end_s = 0.2
    with pytest.raises(errors.Unavailable, match="did not say how the command ended"):
        engine.exec("u", ("true",), timeout_s=60)
    engine.close()


def test_a_command_may_be_told_to_have_ended_after_its_output(server):
    look = "/v1.44/exec/x/json"
    server.answers[look] = b'{"Pid": 7, "Running": true, "ExitCode": null}'
    engine = load.open_engine("docker", f"unix://{server.server_address}?installation=test")
    codes = []
    asking = threading.Thread(target=lambda: codes.append(engine._exit_code("x")))
    asking.start()
    until(lambda: [path for path, _ in server.seen].count(look) > 1, "it is looked at again")
    server.answers[look] = b'{"Pid": 0, "Running": false, "ExitCode": 7}'
    asking.join(60)
    assert codes == [7]
    engine.close()
