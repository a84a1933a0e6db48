"""Who calls: the users file, HTTP Basic and its memory, noauth."""

from __future__ import annotations

import base64
import contextlib
import os
import stat
import threading

import pytest

from higgins.api.identity import users
from higgins.api.identity.basic import Basic
from higgins.api.identity.noauth import NoAuth
from higgins.core import errors

CHEAP = 2
"""A cost of hashing that takes no time."""


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "users.json"


@pytest.fixture
def passwords(path):
    return users.create_first(path, cost=CHEAP)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def checks(monkeypatch):
    """Counts the slow checks of passwords."""
    found = []
    real = users.check_password

    def counting(password, password_hash):
        found.append(password_hash)
        return real(password, password_hash)

    monkeypatch.setattr(users, "check_password", counting)
    return found


def header(name, password):
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_the_first_start_makes_an_administrator_and_an_ordinary_user(path, passwords):
    assert set(passwords) == {"admin", "demo"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = users.load(path)
    assert "admin" in found["admin"].roles
    assert found["demo"].roles == ("member", "reader")
    assert found["admin"].project_id != found["demo"].project_id
    text = path.read_text()
    assert not any(password in text for password in passwords.values())


def test_a_second_start_changes_nothing(path, passwords):
    before = path.read_bytes()
    assert users.create_first(path) == {}
    assert path.read_bytes() == before


def test_a_user_is_who_the_file_says(path, passwords):
    caller = Basic(path).identify(header("demo", passwords["demo"]), "req-1")
    found = users.load(path)["demo"]
    assert (caller.user_id, caller.project_id, caller.request_id) == (found.user_id, found.project_id, "req-1")
    assert (caller.user_name, caller.project_name) == ("demo", "demo")
    assert caller.roles == {"member", "reader"}


@pytest.mark.parametrize("password", ["", "wrong", "pass:word", "\u00fc"])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(path, passwords, checks, password):
    basic = Basic(path)
    said = []
    for name in ("demo", "nobody"):
        with pytest.raises(errors.Unauthorized) as refused:
            basic.identify(header(name, password), "req-1")
        said.append(refused.value.message)
    assert said[0] == said[1]
    assert len(checks) == 2, "an unknown user must cost as much as a known one"


@pytest.mark.parametrize(
    "value", [None, "", "Basic", "Basic !!!", "Bearer abc", "Basic " + base64.b64encode(b"nocolon").decode()]
)
def test_a_header_that_says_nobody_is_refused_without_a_check(path, passwords, checks, value):
    environ = {} if value is None else {"HTTP_AUTHORIZATION": value}
    with pytest.raises(errors.Unauthorized):
        Basic(path).identify(environ, "req-1")
    assert checks == []


def test_a_password_may_have_colons_and_other_letters(path):
    path.parent.mkdir()
    users.save(path, (users.new_user("eve", "a:b:\u00fc", project_name="p", roles=("member",), cost=CHEAP),))
    assert Basic(path).identify(header("eve", "a:b:\u00fc"), "req-1").user_name == "eve"


def test_a_confirmed_password_is_checked_once_a_minute(path, passwords, checks, clock):
    basic = Basic(path, clock=clock)
    for _ in range(3):
        basic.identify(header("demo", passwords["demo"]), "req-1")
    assert len(checks) == 1
    clock.now_s += 61
    basic.identify(header("demo", passwords["demo"]), "req-1")
    assert len(checks) == 2


def test_what_is_kept_is_not_the_password(path, passwords):
    basic = Basic(path)
    basic.identify(header("demo", passwords["demo"]), "req-1")
    assert passwords["demo"] not in repr(vars(basic))


def test_a_user_taken_out_of_the_file_is_out_within_a_second(path, passwords, clock):
    basic = Basic(path, clock=clock)
    basic.identify(header("demo", passwords["demo"]), "req-1")
    users.save(path, (users.load(path)["admin"],))
    clock.now_s += 1.1
    with pytest.raises(errors.Unauthorized):
        basic.identify(header("demo", passwords["demo"]), "req-1")


def test_a_new_password_counts_at_once_and_the_old_one_no_more(path, passwords, clock):
    basic = Basic(path, clock=clock)
    basic.identify(header("demo", passwords["demo"]), "req-1")
    users.save(path, (users.new_user("demo", "new", project_name="demo", roles=("member",), cost=CHEAP),))
    clock.now_s += 1.1
    assert basic.identify(header("demo", "new"), "req-1").roles == {"member"}
    with pytest.raises(errors.Unauthorized):
        basic.identify(header("demo", passwords["demo"]), "req-1")


@pytest.mark.parametrize("content", [b"", b"{", b'{"users": 1}', b'{"users": [{"name": "x"}]}'])
def test_a_broken_users_file_is_unavailable_and_says_which(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(errors.Unavailable, match=r"users\.json"):
        Basic(path).identify(header("demo", "x"), "req-1")


def test_a_missing_users_file_is_unavailable(path):
    with pytest.raises(errors.Unavailable, match=r"users\.json"):
        Basic(path).identify(header("demo", "x"), "req-1")


def test_a_password_is_costly_to_guess():
    assert users.hash_password("secret").split("$")[:4] == ["scrypt", "16384", "8", "1"]


@pytest.mark.parametrize("stored", ["", "plain", "scrypt$1$2", "md5$16384$8$1$00$00", "scrypt$x$8$1$00$00"])
def test_a_hash_of_another_form_has_no_password(stored):
    assert not users.check_password("", stored)


def test_a_file_that_cannot_be_written_leaves_the_old_one(path, passwords, monkeypatch):
    before = path.read_bytes()

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        users.save(path, ())
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_noauth_believes_the_headers_and_is_an_administrator_without():
    assert NoAuth().identify({}, "req-1").is_admin
    environ = {"HTTP_X_USER_ID": "u", "HTTP_X_PROJECT_ID": "p", "HTTP_X_ROLES": "Member, reader,"}
    caller = NoAuth().identify(environ, "req-1")
    assert (caller.user_id, caller.project_id, caller.roles) == ("u", "p", {"member", "reader"})
    assert NoAuth(roles=("member",)).identify({}, "req-1").roles == {"member"}


def test_a_flood_of_passwords_leaves_threads_to_those_who_are_known(path, passwords, monkeypatch):
    basic = Basic(path, threads=4)
    assert basic.identify(header("demo", passwords["demo"]), "r").user_name == "demo"
    slow, begun = threading.Event(), threading.Semaphore(0)

    def waiting(password, password_hash):
        begun.release()
        assert slow.wait(60)
        return False

    monkeypatch.setattr(users, "check_password", waiting)
    with contextlib.ExitStack() as ended:
        flood = [threading.Thread(target=refused, args=(basic, str(number))) for number in range(2)]
        for thread in flood:
            thread.start()
            ended.callback(thread.join)
        ended.callback(slow.set)
        for _ in flood:
            assert begun.acquire(timeout=240)
        with pytest.raises(errors.Unavailable, match="Try again"):
            basic.identify(header("demo", "one more"), "r")
        assert basic.identify(header("demo", passwords["demo"]), "r").user_name == "demo"


def refused(basic, password):
    with pytest.raises(errors.Unauthorized):
        basic.identify(header("demo", password), "r")


@pytest.mark.parametrize("host", ["localhost:9517", "127.0.0.1:9517", "[::1]:9517", "192.0.2.1"])
def test_without_identity_addresses_and_localhost_are_answered(host):
    noauth = NoAuth(guarded=True, origins=["http://ui.example"])
    for more in ({}, {"HTTP_ORIGIN": f"http://{host}"}, {"HTTP_ORIGIN": "http://ui.example"}):
        assert noauth.identify({"HTTP_HOST": host, **more}, "r").is_admin


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example:9517", None),
        ("localhost.evil.example", None),
        ("", None),
        ("[", None),
        ("localhost:9517", "http://evil.example"),
        ("localhost:9517", "http://localhost:80"),
        ("localhost:9517", "null"),
    ],
)
def test_without_identity_nothing_is_taken_that_a_browser_was_led_to(host, origin):
    environ = {"HTTP_HOST": host} | ({} if origin is None else {"HTTP_ORIGIN": origin})
    with pytest.raises(errors.Forbidden):
        NoAuth(guarded=True, origins=["http://ui.example"]).identify(environ, "r")
