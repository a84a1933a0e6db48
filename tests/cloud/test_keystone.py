"""Who may do what with real tokens of a real Keystone, and what becomes of tokens and of requests when Keystone says no or nothing."""

from __future__ import annotations

import datetime
import pathlib
import uuid
from typing import Any

import pytest
import requests

from tests.cloud.cloud_world import HIGGINS, KEYSTONE, PASSWORD, Api, Cloud, People, until

pytestmark = pytest.mark.usefixtures("nothing_left")

BELIEVED_S = 10
"""How long a token that was confirmed may be believed without asking again; this cloud's higgins.conf says so."""


@pytest.fixture(scope="module")
def container(people: People) -> Any:
    with people.api("member").container(name="seen") as made:
        yield made


@pytest.mark.parametrize(
    ("persona", "status"), [("reader", 200), ("member", 200), ("manager", 200), ("admin", 200), ("stranger", 404)]
)
def test_who_sees_a_container(people: People, container: dict[str, Any], persona: str, status: int) -> None:
    assert people.api(persona)("GET", f"/containers/{container['uuid']}").status == status


@pytest.mark.parametrize(
    ("persona", "status"), [("reader", 403), ("member", 202), ("manager", 202), ("admin", 202), ("stranger", 404)]
)
def test_who_stops_a_container(people: People, container: dict[str, Any], persona: str, status: int) -> None:
    member = people.api("member")
    if container_status(member, container) == "Stopped":
        assert member("POST", f"/containers/{container['uuid']}/start").status == 202
    member.wait(container["uuid"], "Running")
    assert people.api(persona)("POST", f"/containers/{container['uuid']}/stop", timeout=0).status == status
    member.wait(container["uuid"], "Stopped" if status == 202 else "Running")


def container_status(api: Api, container: dict[str, Any]) -> str:
    """Its status once nothing is under way."""
    return str(until("a settled container", lambda: _settled(api, container["uuid"])))


def _settled(api: Api, ident: str) -> str | None:
    body = api("GET", f"/containers/{ident}").body
    return str(body["status"]) if body["task_state"] is None else None


@pytest.mark.parametrize(("persona", "status"), [("reader", 403), ("member", 403), ("admin", 200)])
def test_who_sees_hosts(people: People, persona: str, status: int) -> None:
    assert people.api(persona)("GET", "/hosts").status == status


def test_a_list_holds_the_projects_own(people: People, container: dict[str, Any]) -> None:
    assert container["uuid"] in [one["uuid"] for one in people.api("reader")("GET", "/containers").body["containers"]]
    assert people.api("stranger")("GET", "/containers").body["containers"] == []


def test_a_container_belongs_to_whom_keystone_says(people: People, container: dict[str, Any]) -> None:
    member = people.connection("member")
    assert (container["project_id"], container["user_id"]) == (member.current_project_id, member.current_user_id)


@pytest.mark.parametrize("token", [None, "", "gAAAAAB-no-such-token"])
def test_without_a_good_token_keystone_is_named(cloud: Cloud, token: str | None) -> None:
    answer = Api(token)("GET", "/containers")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{KEYSTONE}"'


@pytest.mark.parametrize("path", ["/", "/v1", "/healthcheck"])
def test_public_paths_need_no_token(cloud: Cloud, path: str) -> None:
    assert requests.get(f"{HIGGINS}{path}", timeout=30).status_code in (200, 300)


def test_claimed_headers_are_not_believed(people: People) -> None:
    api = people.api("reader")
    claimed = {"X-Auth-Token": str(api.token), "X-Roles": "admin", "X-Identity-Status": "Confirmed"}
    version = {"OpenStack-API-Version": "container 1.40"}
    assert requests.get(f"{HIGGINS}/v1/hosts", headers=claimed | version, timeout=30).status_code == 403


def test_a_token_for_no_project_is_told_so(cloud: Cloud, people: People) -> None:
    unscoped = {"identity": {"methods": ["password"], "password": {"user": {
        "name": f"{people.name}-member", "domain": {"id": "default"}, "password": PASSWORD}}}, "scope": "unscoped"}  # fmt: skip
    issued = requests.post(f"{KEYSTONE}/auth/tokens", json={"auth": {**unscoped}}, timeout=30)
    answer = Api(issued.headers["X-Subject-Token"])("GET", "/containers")
    assert (answer.status, "scoped to a project" in str(answer.body)) == (403, True)


def test_a_revoked_token_is_refused_at_once_when_it_is_new_and_soon_when_it_is_known(
    cloud: Cloud, people: People
) -> None:
    known, new = (cloud.user(f"{people.name}-reader", PASSWORD, people.name).auth_token for _ in range(2))
    assert Api(known)("GET", "/containers").status == 200
    for token in (known, new):
        revoked = requests.delete(
            f"{KEYSTONE}/auth/tokens",
            timeout=30,
            headers={"X-Auth-Token": cloud.admin.auth_token, "X-Subject-Token": token},
        )
        assert revoked.status_code == 204
    assert Api(new)("GET", "/containers").status == 401
    until("the revoked token to be refused", lambda: Api(known)("GET", "/containers").status == 401, BELIEVED_S + 10)


def test_an_expired_token_is_refused(cloud: Cloud, people: People) -> None:
    """An application credential that ends soon makes tokens that end with it."""
    member = people.connection("member")
    for lasts_s in (20, 90, 300):  # the last ones only on a machine that needs so long to use it
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=lasts_s)
        credential = member.identity.create_application_credential(
            member.current_user_id,
            f"soon-{uuid.uuid4().hex[:6]}",
            roles=[{"name": "member"}],
            expires_at=soon.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        )
        token = _token_of(credential)
        status = Api(token)("GET", "/containers").status
        assert status in (200, 401)
        if status == 200:
            break
    else:
        pytest.fail("a credential that ends in five minutes is of no use")
    until("the token to have ended", lambda: datetime.datetime.now(datetime.UTC) > soon, lasts_s + 60)
    assert Api(token)("GET", "/containers").status == 401


def test_access_rules_of_an_application_credential_hold_for_each_request(people: People) -> None:
    member = people.connection("member")
    rule = {"service": "container", "method": "GET", "path": "/v1/containers"}
    credential = member.identity.create_application_credential(
        member.current_user_id, f"rules-{uuid.uuid4().hex[:6]}", access_rules=[rule], roles=[{"name": "member"}]
    )
    api = Api(_token_of(credential))
    assert [api("GET", "/containers").status for _ in range(2)] == [200, 200]
    assert api("GET", "/images").status == 401
    assert api("POST", "/containers", {"image": "busybox"}).status == 401


def _token_of(credential: Any) -> str | None:
    """A token of a credential; ``None`` when it has ended."""
    auth = {"identity": {"methods": ["application_credential"], "application_credential": {
        "id": credential.id, "secret": credential.secret}}}  # fmt: skip
    issued = requests.post(f"{KEYSTONE}/auth/tokens", json={"auth": auth}, timeout=30)
    assert issued.status_code in (201, 401), issued.text
    return issued.headers.get("X-Subject-Token")


def test_no_token_is_in_a_log(cloud: Cloud, people: People) -> None:
    token, wrong = str(people.connection("member").auth_token), f"gAAAA{uuid.uuid4().hex}"
    assert Api(token)("GET", "/containers").status == 200
    assert Api(wrong)("GET", "/containers").status == 401
    logs = [path.read_text(errors="replace") for path in pathlib.Path(cloud.place / "log").glob("higgins-*.log")]
    assert logs
    assert not [text for text in logs if token in text or wrong in text]


@pytest.mark.usefixtures("alone")
def test_a_keystone_that_is_away_is_no_refusal(cloud: Cloud, people: People) -> None:
    """Who is not known is told to come again, not to log in anew; and then all is as before."""
    unknown = Api(cloud.user(f"{people.name}-reader", PASSWORD, people.name).auth_token)
    with cloud.without("keystone"):
        answer = unknown("GET", "/containers")
        assert (answer.status, "Keystone" in str(answer.body)) == (503, True)
    assert unknown("GET", "/containers").status == 200
