"""Requests as they come over the wire: paths, bodies, ids, and every kind of refusal."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import threading

import pytest
from falcon import testing

from higgins.api import route as routes
from higgins.api.app import make_app
from higgins.api.identity.noauth import NoAuth
from higgins.core import errors

ERROR_KEYS = {"request_id", "code", "status", "title", "detail", "links"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/containers/{}",
        "/v1/containers/{}/",
        "/v1/containers//{}",
        "//v1//containers//{}//",
        "/containers/{}",
        "/containers//{}",
    ],
)
def test_paths_as_clients_build_them(world, path):
    made = world.create()
    assert world.call("GET", path.format(made["uuid"])).json["uuid"] == made["uuid"]


def test_a_doubled_slash_before_an_action(world):
    assert world.call("POST", f"/v1/containers//{world.create()['uuid']}/stop").status == 202


def test_a_container_is_found_by_name(world):
    made = world.create(name="web")
    assert world.call("GET", "/v1/containers/web").json["uuid"] == made["uuid"]


def test_the_prefix_of_the_service_is_in_its_links(world):
    answer = world.client.simulate_post(
        "/v1/containers",
        root_path="/container",
        headers={"Content-Type": "application/json"},
        body=b'{"image": "nginx"}',
    )
    assert "/container/v1/containers/" in answer.headers["location"]
    assert answer.json["links"][0]["href"] == answer.headers["location"]


def test_headers_of_a_proxy_count_only_when_they_are_believed(world):
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example", "X-Forwarded-Prefix": "/container"}
    plain = world.client.simulate_get("/", headers=headers).json
    assert "cloud.example" not in plain["versions"][0]["links"][0]["href"]
    believing = testing.TestClient(make_app(world.control, NoAuth(), proxy_headers=True))
    found = believing.simulate_get("/", headers=headers).json
    assert found["versions"][0]["links"][0]["href"] == "https://cloud.example/container/v1/"


def test_browsers_may_call_from_the_origins_allowed(world):
    client = testing.TestClient(make_app(world.control, NoAuth(), cors_origins=("https://ui.example",)))
    headers = {"Origin": "https://ui.example", "Access-Control-Request-Method": "GET"}
    allowed = client.simulate_options("/v1/containers", headers=headers)
    assert allowed.headers["access-control-allow-origin"] == "https://ui.example"
    other = client.simulate_options("/v1/containers", headers={**headers, "Origin": "https://bad.example"})
    assert "access-control-allow-origin" not in other.headers


def test_every_reply_has_an_id_of_its_own(world):
    ids = {
        world.call(method, path).headers["x-openstack-request-id"]
        for method, path in [
            ("GET", "/"),
            ("GET", "/v1/nothing"),
            ("GET", "/v1/containers"),
            ("POST", "/v1/containers"),
        ]
    }
    assert len(ids) == 4
    assert all(re.fullmatch(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found) for found in ids)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{", "not valid JSON"),
        (b'{"image": NaN}', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'"image"', "object"),
        (b"[]", "object"),
        (b'{"image": "nginx", "name": "a\\u0000b"}', "NUL"),
    ],
)
def test_a_broken_body_is_a_400(world, raw, words):
    refused = world.call("POST", "/v1/containers", raw=raw, headers={"Content-Type": "application/json"})
    assert refused.status == 400
    assert words in refused.error["title"]


@pytest.mark.parametrize("path", ["/v1/containers", "/v1/images", "/v1/networks", "/v1/registries"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_creates_insist_on_json(world, path, kind):
    refused = world.call("POST", path, raw=b"{}", headers={"Content-Type": kind} if kind else {}, persona="admin")
    assert refused.status == 415
    assert "application/json" in refused.error["title"]


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", None])
def test_nothing_else_looks_at_the_type(world, kind):
    path = f"/v1/containers/{world.create()['uuid']}"
    headers = {"Content-Type": kind} if kind else {}
    assert world.call("PATCH", path, raw=b'{"name": "other"}', headers=headers).json["name"] == "other"
    assert world.call("PATCH", f"{path}?name=third", headers=headers).json["name"] == "third"
    assert world.call("POST", f"{path}/execute", raw=b'{"command": "ls"}', headers=headers).status == 200


def test_json_with_a_charset_is_json(world):
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    assert world.call("POST", "/v1/containers", {"image": "nginx"}, headers=headers).status == 202


def test_a_body_too_large_is_not_read(world):
    class Endless:
        def read(self, size=-1):
            raise AssertionError("it was read")

    environ = testing.create_environ(
        "/v1/containers", method="POST", headers={"Content-Type": "application/json", "Content-Length": str(10**12)}
    )
    environ["wsgi.input"] = Endless()
    statuses = []
    body = b"".join(world.app(environ, lambda status, headers, exc=None: statuses.append(status)))
    assert statuses[0].startswith("413")
    assert "MiB" in json.loads(body)["errors"][0]["title"]


@pytest.mark.parametrize(("size", "status"), [(10, 202), (routes.ORDINARY_BODY_BYTES + 1, 413)])
def test_a_body_in_chunks_is_read_up_to_the_limit(world, size, status):
    body = json.dumps({"image": "nginx", "labels": {"pad": "x" * size}}).encode()
    environ = testing.create_environ(
        "/v1/containers", method="POST", body=body, headers={"Content-Type": "application/json"}
    )
    del environ["CONTENT_LENGTH"]
    environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    statuses = []
    b"".join(world.app(environ, lambda found, headers, exc=None: statuses.append(found)))
    assert statuses[0].startswith(str(status))


def test_the_largest_body_is_the_operators_choice(world):
    made = world.create()["uuid"]
    large = base64.b64encode(b"x" * 2**20).decode()
    for most_mib, status in ((1, 413), (2, 200)):
        world.client = testing.TestClient(make_app(world.control, NoAuth(), max_body_bytes=most_mib * 2**20))
        assert world.call("POST", f"/v1/containers/{made}/put_archive?path=/", {"data": large}).status == status
    world.client = testing.TestClient(make_app(world.control, NoAuth(), max_body_bytes=2**20))
    pad = {"image": "nginx", "labels": {"pad": "x" * 2**20}}
    assert world.call("POST", "/v1/containers", pad).status == 413


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "container."),
        ("GET", "/v2/containers", 404, "container."),
        ("GET", "/v1/containers/a/b/c", 404, "container."),
        ("GET", "/v1/containers/a\0b", 404, "container."),
        ("GET", "/v1/capsules", 404, "container."),
        ("PUT", "/v1/containers", 405, "container."),
        ("GET", "/v1/networks", 405, "container."),
        ("GET", "/v1/containers/nowhere", 404, "container.container-not-found"),
        ("GET", "/v1/registries/nowhere", 404, "container.registry-not-found"),
        ("DELETE", "/v1/networks/nowhere", 403, "container.policy-not-authorized"),
        ("GET", "/v1/hosts", 403, "container.policy-not-authorized"),
        ("GET", "/v1/containers?limit=0", 400, "container.schema-validation-error"),
    ],
)
def test_every_error_has_the_one_body(world, method, path, status, code):
    refused = world.call(method, path)
    assert refused.status == status
    assert refused.headers["content-type"] == "application/json"
    assert set(refused.json) == {"errors"}
    (found,) = refused.json["errors"]
    assert set(found) == ERROR_KEYS
    assert (found["request_id"], found["code"], found["status"], found["links"]) == ("", code, status, [])
    assert found["title"] == found["detail"]
    assert bool(found["title"]) == (code != "container.")


def test_a_405_says_what_is_allowed(world):
    assert "POST" in world.call("PUT", "/v1/containers").headers["allow"]


def break_with(world, monkeypatch, error):
    def broken(*_args, **_options):
        raise error

    monkeypatch.setattr(type(world.control.containers), "get", broken)


def test_an_unexpected_error_hides_its_words_but_gives_its_id(world, monkeypatch, caplog):
    break_with(world, monkeypatch, RuntimeError("the secret reason"))
    failed = world.call("GET", "/v1/containers/web")
    assert (failed.status, failed.error["code"], failed.error["title"]) == (500, "container.", "Internal Server Error")
    assert failed.headers["x-openstack-request-id"] in failed.error["detail"]
    assert failed.headers["openstack-api-version"] == "container 1.41"
    assert "secret" not in failed.text
    assert "the secret reason" in caplog.text


def test_a_host_that_does_not_answer_is_a_503_that_says_so(world, monkeypatch):
    break_with(world, monkeypatch, errors.Unavailable("The host h1 is down. Try again later."))
    failed = world.call("GET", "/v1/containers/web")
    assert (failed.status, failed.error["title"]) == (503, "The host h1 is down. Try again later.")


def test_an_idempotency_key_makes_one_container_of_two_requests(world):
    key = {"Idempotency-Key": "k1"}
    first = world.call("POST", "/v1/containers", {"image": "nginx", "name": "web"}, headers=key, version="1.1")
    again = world.call("POST", "/v1/containers", {"image": "nginx", "name": "web"}, headers=key, version="1.1")
    assert (first.status, again.status) == (202, 202)
    assert first.json["uuid"] == again.json["uuid"]
    other = world.call("POST", "/v1/containers", {"image": "redis"}, headers=key, version="1.1")
    assert other.status == 409
    theirs = world.call("POST", "/v1/containers", {"image": "redis"}, headers=key, persona="stranger")
    assert theirs.json["uuid"] != first.json["uuid"]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_a_length(world, key):
    refused = world.call("POST", "/v1/containers", {"image": "nginx"}, headers={"Idempotency-Key": key})
    assert refused.status == 400


def test_the_access_log_has_no_query(world, caplog):
    caplog.set_level(logging.INFO, logger="higgins.access")
    made = world.create()
    answer = world.call("POST", f"/v1/containers/{made['uuid']}/execute?command=echo%20canary")
    line = next(text for text in caplog.messages if "execute" in text)
    assert answer.headers["x-openstack-request-id"] in line
    assert "canary" not in caplog.text
    assert "u-member p1 POST" in line


class Trickle:
    """A body that has begun and goes on only when it is let."""

    def __init__(self):
        self.begun, self.goes_on = threading.Event(), threading.Event()

    def read(self, size=-1):
        self.begun.set()
        assert self.goes_on.wait(60)
        return b""


def raw_call(app, method, path, stream, headers=None):
    """The status of a request whose body is this stream, said to be of ten bytes."""
    environ = testing.create_environ(path=path, method=method, headers={"Content-Length": "10", **(headers or {})})
    environ["wsgi.input"] = stream
    statuses = []
    app(environ, lambda status, headers, exc_info=None: statuses.append(int(status[:3])))
    return statuses[0]


class Untouchable:
    """A body that nobody may wait for."""

    def read(self, size=-1):
        raise AssertionError("the body was read")


class Strict:
    """An identity that knows nobody."""

    challenge = None

    def identify(self, environ, request_id):
        raise errors.Unauthorized("Say who you are.")


@pytest.mark.parametrize("path", sorted(routes.PUBLIC_PATHS))
def test_a_body_is_not_waited_for_where_none_is_read(world, path):
    assert raw_call(world.app, "GET", path, Untouchable()) == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/containers"), ("GET", "/v1/containers"), ("PATCH", "/v1/containers/x")]
)
def test_a_body_of_somebody_unknown_is_not_waited_for(world, method, path):
    assert raw_call(make_app(world.control, Strict()), method, path, Untouchable()) == 401


def test_slow_bodies_of_one_project_leave_threads_to_others(world):
    app = make_app(world.control, NoAuth(), threads=2)
    slow = Trickle()
    one, other = ({"X-Project-Id": name, "Content-Type": "application/json"} for name in ("p1", "p2"))
    waits = threading.Thread(target=raw_call, args=(app, "POST", "/v1/containers", slow, one))
    waits.start()
    try:
        assert slow.begun.wait(60)
        assert raw_call(app, "POST", "/v1/containers", Untouchable(), one) == 429
        short = io.BytesIO(b"0123456789")
        assert raw_call(app, "POST", "/v1/containers", short, other) == 400, "it was read, and is no JSON object"
        assert raw_call(app, "GET", "/v1/containers", Untouchable(), one) == 200
    finally:
        slow.goes_on.set()
        waits.join()
    assert raw_call(app, "POST", "/v1/containers", io.BytesIO(b"0123456789"), one) == 400
