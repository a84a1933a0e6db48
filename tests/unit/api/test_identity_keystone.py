"""What the API makes of auth_token's answers, and what it keeps of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from higgins.api.identity.keystone import Keystone
from higgins.core import errors

TOKEN = "gAAAA-a-token"


class AuthToken:
    """Stands for keystonemiddleware: lets the tokens it was told of through, as WSGI middleware does."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.away = False
        self.asked = 0

    def __call__(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def middleware(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            self.asked += 1
            if self.away:
                start_response("503 Service Unavailable", [])
                return [b"away"]
            about = self.tokens.get(environ["HTTP_X_AUTH_TOKEN"])
            if about is None:
                start_response("401 Unauthorized", [])
                return [b"no"]
            environ.update(
                HTTP_X_IDENTITY_STATUS="Confirmed", **{"keystone.token_info": {"token": about.get("info", {})}}
            )
            environ.update(about["headers"])
            return app(environ, start_response)

        return middleware


HEADERS = {
    "HTTP_X_USER_ID": "u1", "HTTP_X_USER_NAME": "ann", "HTTP_X_PROJECT_ID": "p1", "HTTP_X_PROJECT_NAME": "blue",
    "HTTP_X_ROLES": "Member,reader",
}  # fmt: skip


class Clock:
    now_s = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def auth_token() -> AuthToken:
    double = AuthToken()
    double.tokens[TOKEN] = {"headers": HEADERS}
    return double


@pytest.fixture
def identity(auth_token: AuthToken, clock: Clock) -> Keystone:
    return Keystone(auth_token, www_authenticate_uri="http://keystone:5000/v3", keep_s=60, clock=clock)


def asked(token: str | None, **more: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/v1/containers",
        **({} if token is None else {"HTTP_X_AUTH_TOKEN": token}),
        **more,
    }


def test_the_caller_is_whom_the_token_names(identity: Keystone) -> None:
    caller = identity.identify(asked(TOKEN), "req-1")
    assert (caller.user_id, caller.user_name, caller.project_id, caller.project_name) == ("u1", "ann", "p1", "blue")
    assert caller.roles == {"member", "reader"}
    assert caller.request_id == "req-1"
    assert caller.token == TOKEN
    assert TOKEN not in repr(caller)
    assert identity.challenge == 'Keystone uri="http://keystone:5000/v3"'


def test_a_confirmed_token_is_believed_for_its_time_and_no_longer(
    identity: Keystone, auth_token: AuthToken, clock: Clock
) -> None:
    identity.identify(asked(TOKEN), "req-1")
    del auth_token.tokens[TOKEN]
    clock.now_s += 59
    again = identity.identify(asked(TOKEN), "req-2")
    assert (again.request_id, again.token) == ("req-2", TOKEN)
    assert auth_token.asked == 1
    clock.now_s += 1
    with pytest.raises(errors.Unauthorized):
        identity.identify(asked(TOKEN), "req-3")


def test_it_is_not_believed_past_its_own_end(identity: Keystone, auth_token: AuthToken, clock: Clock) -> None:
    auth_token.tokens[TOKEN]["info"] = {
        "expires_at": "2001-09-09T01:46:50.000000Z"
    }  # ten seconds after the clock's now
    identity.identify(asked(TOKEN), "req-1")
    clock.now_s += 10
    identity.identify(asked(TOKEN), "req-2")
    assert auth_token.asked == 2


def test_nothing_that_is_kept_holds_the_token(identity: Keystone) -> None:
    identity.identify(asked(TOKEN), "req-1")
    kept = [(mark, caller.token) for mark, (caller, _) in identity._known.items()]
    assert len(kept) == 1
    assert kept[0][1] is None
    assert TOKEN.encode() not in kept[0][0]


@pytest.mark.parametrize("reason", ["access rules", "service token"])
def test_what_does_not_follow_from_the_token_alone_is_asked_each_time(
    identity: Keystone, auth_token: AuthToken, reason: str
) -> None:
    more = {"HTTP_X_SERVICE_TOKEN": "other"} if reason == "service token" else {}
    if reason == "access rules":
        rules = [{"service": "container", "method": "GET", "path": "/v1/containers"}]
        auth_token.tokens[TOKEN]["info"] = {"application_credential": {"access_rules": rules}}
    identity.identify(asked(TOKEN, **more), "req-1")
    identity.identify(asked(TOKEN, **more), "req-2")
    assert auth_token.asked == 2


def test_a_keystone_that_is_away_is_no_refusal(identity: Keystone, auth_token: AuthToken) -> None:
    auth_token.away = True
    with pytest.raises(errors.Unavailable, match="Keystone cannot be asked"):
        identity.identify(asked(TOKEN), "req-1")


def test_who_is_known_stays_known_while_keystone_is_away(identity: Keystone, auth_token: AuthToken) -> None:
    identity.identify(asked(TOKEN), "req-1")
    auth_token.away = True
    assert identity.identify(asked(TOKEN), "req-2").user_id == "u1"


@pytest.mark.parametrize("token", [None, "", " "])
def test_without_a_token_nobody_is_asked(identity: Keystone, auth_token: AuthToken, token: str | None) -> None:
    with pytest.raises(errors.Unauthorized, match="X-Auth-Token"):
        identity.identify(asked(token), "req-1")
    assert auth_token.asked == 0


def test_a_token_for_no_project_is_refused_with_what_to_do(identity: Keystone, auth_token: AuthToken) -> None:
    auth_token.tokens[TOKEN]["headers"] = {**HEADERS, "HTTP_X_PROJECT_ID": None}
    with pytest.raises(errors.Forbidden, match="scoped to a project"):
        identity.identify(asked(TOKEN), "req-1")


def test_headers_that_only_claim_to_be_confirmed_change_nothing(identity: Keystone, auth_token: AuthToken) -> None:
    claimed = {**HEADERS, "HTTP_X_IDENTITY_STATUS": "Confirmed", "HTTP_X_ROLES": "admin"}
    with pytest.raises(errors.Unauthorized):
        identity.identify(asked("unknown", **claimed), "req-1")
