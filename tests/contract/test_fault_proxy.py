"""The proxy that makes the cloud's services go wrong for tests does what it says: else the table of faults would show nothing."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import threading
import uuid

import pytest

from tests.cloud.faults.board import Board, Call, Fault
from tests.cloud.faults.proxy import Pipe, Proxy
from tests.whole import until

PORTS = "test: network POST /v2.0/ports"


class Service(http.server.ThreadingHTTPServer):
    """Makes a port of each POST, and tells what it was asked."""

    daemon_threads = True

    def __init__(self):
        self.asked = []
        super().__init__(("127.0.0.1", 0), Answering)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_port}"


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.asked.append((self.command, self.path, body))
        said = (
            {"port": {"id": str(uuid.uuid4()), "at": self.server.address}} if self.command == "POST" else {"ports": []}
        )
        content = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *words):
        pass


@pytest.fixture
def service():
    server = Service()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def proxy(service, board):
    proxy = Proxy("network", service.address, board)
    yield proxy
    proxy.stop()


def ask(proxy, method, path, body=None, *, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=240)
    try:
        connection.request(method, path, body, {"User-Agent": "test.py keystoneauth1/5"} | (headers or {}))
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def test_it_forwards_and_knows_the_call_sites(proxy, service, board):
    ident = uuid.uuid4()
    assert ask(proxy, "POST", "/v2.0/ports", "x" * 70_000)[0] == 200
    assert ask(proxy, "DELETE", f"/v2.0/ports/{ident}")[0] == 200
    assert ask(proxy, "GET", f"/v2.0/ports?name=a&device_id={ident}&name=b")[2] == '{"ports": []}'
    assert [asked[:2] for asked in service.asked[:2]] == [("POST", "/v2.0/ports"), ("DELETE", f"/v2.0/ports/{ident}")]
    assert len(service.asked[0][2]) == 70_000
    by_id, by_name = "test: network DELETE /v2.0/ports/{id}", "test: network GET /v2.0/ports?device_id,name"
    assert board.seen == {PORTS: 1, by_id: 1, by_name: 1}


@pytest.mark.parametrize("status", [500, 503, 409, 429, 404, 401])
def test_a_refusal_comes_once_and_does_not_reach_the_service(proxy, service, board, status):
    with board.armed(Fault(site=PORTS, answer=str(status), nth=2)) as fault:
        answers = [ask(proxy, "POST", "/v2.0/ports", "{}") for _ in range(3)]
    assert [answer[0] for answer in answers] == [200, status, 200]
    assert "fault proxy" in answers[1][2]
    assert ("Retry-After" in answers[1][1]) == (status == 429)
    assert (fault.hits, len(service.asked)) == (1, 2)


def test_a_cut_comes_after_the_service_has_done_it(proxy, service, board):
    with board.armed(Fault(site=PORTS, answer="cut")), pytest.raises((OSError, http.client.HTTPException)):
        ask(proxy, "POST", "/v2.0/ports", "{}")
    assert len(service.asked) == 1
    assert ask(proxy, "POST", "/v2.0/ports", "{}")[0] == 200


def test_what_hangs_is_let_go_without_an_answer_when_the_fault_is_lifted(proxy, service, board):
    ended = []

    def hanging():
        try:
            ask(proxy, "POST", "/v2.0/ports", "{}")
        except (OSError, http.client.HTTPException) as error:
            ended.append(error)

    asking = threading.Thread(target=hanging)
    with board.armed(Fault(site=PORTS, answer="hang")) as fault:
        asking.start()
        until(lambda: fault.hits, "the request hangs")
        assert not ended
    asking.join(60)
    assert (len(ended), service.asked) == (1, [])


def test_a_slow_answer_is_the_right_one(proxy, service, board):
    with board.armed(Fault(site=PORTS, answer="slow", slow_s=0.1)) as fault:
        assert ask(proxy, "POST", "/v2.0/ports", "{}")[0] == 200
    assert (fault.hits, len(service.asked)) == (1, 1)


def test_a_fault_that_lasts_strikes_until_it_is_over(board):
    call = Call("network", "test", "POST", "/v2.0/ports")
    with board.armed(Fault(site=PORTS, answer="503", lasts_s=3600)) as fault:
        assert all(board.struck(call) is fault for _ in range(3))
        fault.until = 0.0
        assert board.struck(call) is None


def test_only_requests_that_mention_what_is_meant_are_met_and_new_ids_are_learnt(proxy, board):
    mine, others = str(uuid.uuid4()), str(uuid.uuid4())
    with board.armed(Fault(site="test: network DELETE /v2.0/ports/{id}", answer="500", words={mine})):
        made = [
            json.loads(ask(proxy, "POST", "/v2.0/ports", json.dumps({"device_id": one}))[2]) for one in (mine, others)
        ]
        statuses = [ask(proxy, "DELETE", f"/v2.0/ports/{one['port']['id']}")[0] for one in made[::-1]]
    assert statuses == [200, 500]


def test_tokens_tell_whose_request_it_is(proxy, board):
    with board.armed(Fault(site=PORTS, answer="500", words={"one's token"})):
        statuses = [
            ask(proxy, "POST", "/v2.0/ports", "{}", headers={"X-Auth-Token": token})[0]
            for token in ("other", "one's token")
        ]
    assert statuses == [200, 500]


def test_requests_wait_while_it_is_not_known_whom_the_fault_is_about(proxy, board):
    answered = []
    asking = threading.Thread(target=lambda: answered.append(ask(proxy, "POST", "/v2.0/ports", '{"name": "mine"}')[0]))
    with board.armed(Fault(site=PORTS, answer="500", words=set(), pending=True)) as fault:
        asking.start()
        board.about(fault, "mine")
        asking.join(60)
    assert answered == [500]


def test_keystones_catalogue_names_the_proxies(service, board):
    keystone = Proxy("identity", service.address, board, {service.address: "127.0.0.1:1"})
    try:
        assert json.loads(ask(keystone, "POST", "/v3/auth/tokens", "{}")[2])["port"]["at"] == "127.0.0.1:1"
    finally:
        keystone.stop()


def test_a_service_that_is_away_takes_no_connection_and_ends_those_that_were_open(proxy):
    kept = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=240)
    kept.request("GET", "/v2.0/ports")
    kept.getresponse().read()
    with proxy.away():
        with pytest.raises(ConnectionRefusedError):
            ask(proxy, "GET", "/v2.0/ports")
        kept.sock.settimeout(60)
        assert kept.sock.recv(1) == b""
    kept.close()
    assert ask(proxy, "GET", "/v2.0/ports")[0] == 200


def test_a_pipe_carries_both_ways_and_can_be_cut(service):
    pipe = Pipe(service.server_port)
    assert ask(pipe, "GET", "/v2.0/ports")[0] == 200
    with pipe.away(), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", pipe.port))
    assert ask(pipe, "GET", "/v2.0/ports")[0] == 200
    pipe.stop()
