"""Lists: pages that lead on with their filters, and what may be asked of them."""

from __future__ import annotations

import urllib.parse

import pytest

from higgins.core.phase import Phase


def names(answer):
    return [item["name"] for item in answer.json["containers"]]


def follow(world, path, **options):
    """The names on each page, following ``next`` to the end."""
    pages = []
    while path:
        answer = world.call("GET", path, **options)
        pages.append(names(answer))
        found = answer.json["next"]
        path = found and found.removeprefix("http://falconframework.org")
    return pages


def test_pages_follow_each_other_and_keep_filters_and_order(world):
    for number in range(5):
        world.create(name=f"web-{number}", image="nginx")
        world.create(name=f"db-{number}", image="redis")
    pages = follow(world, "/v1/containers?image=nginx&limit=2&sort_key=name&sort_dir=desc")
    assert pages == [["web-4", "web-3"], ["web-2", "web-1"], ["web-0"]]


def test_next_is_absolute_and_there_only_when_the_page_is_full(world):
    first, second = (world.create(name=name) for name in ("one", "two"))
    found = world.call("GET", "/v1/containers?limit=2&status=Running&auto_remove=False", headers={"Host": "api:9517"})
    url = urllib.parse.urlsplit(found.json["next"])
    assert (url.scheme, url.netloc, url.path) == ("http", "api:9517", "/v1/containers")
    assert dict(urllib.parse.parse_qsl(url.query)) == {
        "status": "Running",
        "auto_remove": "False",
        "sort_key": "id",
        "sort_dir": "asc",
        "limit": "2",
        "marker": second["uuid"],
    }
    assert world.call("GET", "/v1/containers?limit=3").json["next"] is None
    assert names(world.call("GET", f"/v1/containers?marker={first['uuid']}")) == ["two"]


def test_all_projects_stays_in_next(world):
    world.create(name="ours")
    world.create(name="theirs", persona="stranger")
    pages = follow(world, "/v1/containers?all_projects=True&limit=1", persona="admin")
    assert pages == [["ours"], ["theirs"], []]


def test_a_project_sees_its_own(world):
    world.create(name="ours")
    world.create(name="theirs", persona="stranger")
    assert names(world.call("GET", "/v1/containers")) == ["ours"]
    assert names(world.call("GET", "/v1/containers?project_id=p2")) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=web", ["web"]),
        ("image=redis", ["db"]),
        ("memory=256", ["db"]),
        ("status=Stopped", ["db"]),
        ("status=Running", ["web"]),
        ("status=Nonsense", []),
        ("task_state=container_starting", []),
        ("auto_remove=true", ["web"]),
        ("user_id=u-member", ["web", "db"]),
        ("name=web&image=redis", []),
        ("sort_key=memory", ["db", "web"]),
        ("sort_key=created_at&sort_dir=desc", ["db", "web"]),
        ("sort_key=status&sort_dir=asc", ["web", "db"]),
    ],
)
def test_filters_match_exactly_and_sort_keys_are_the_fields(world, query, expected):
    world.create(name="web", auto_remove=True)
    world.create(name="db", image="redis", memory=256, phase=Phase.STOPPED)
    assert names(world.call("GET", f"/v1/containers?{query}")) == expected


def test_only_those_who_see_hosts_filter_by_them(world):
    world.create(name="web")
    assert world.call("GET", "/v1/containers?host=h1").status == 403
    assert names(world.call("GET", "/v1/containers?host=h1&all_projects=1", persona="admin")) == ["web"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=0", 400, "container.schema-validation-error"),
        ("limit=-1", 400, "container.schema-validation-error"),
        ("limit=abc", 400, "container.schema-validation-error"),
        ("sort_dir=up", 400, "container.schema-validation-error"),
        ("sort_key=spec", 400, "container.invalid-parameter-value"),
        ("marker=nowhere", 404, "container.not-found"),
        ("all_projects=perhaps", 400, "container.schema-validation-error"),
        ("colour=red", 400, "container.schema-validation-error"),
        ("name=a&name=b", 400, "container.invalid-value"),
        ("name=%00", 400, "container.invalid-value"),
        ("all_projects=true", 403, "container.policy-not-authorized"),
    ],
)
def test_what_a_list_refuses(world, query, status, code):
    refused = world.call("GET", f"/v1/containers?{query}")
    assert (refused.status, refused.error["code"]) == (status, code)


def test_the_page_is_never_longer_than_the_service_allows(world):
    from falcon import testing

    from higgins.api.app import make_app
    from higgins.api.identity.noauth import NoAuth

    for name in ("one", "two", "three"):
        world.create(name=name)
    world.client = testing.TestClient(make_app(world.control, NoAuth(), max_limit=2))
    assert names(world.call("GET", "/v1/containers")) == ["one", "two"]
    assert follow(world, "/v1/containers?limit=1000") == [["one", "two"], ["three"]]


@pytest.mark.parametrize("path", ["/v1/hosts", "/v1/images", "/v1/services", "/v1/availability_zones"])
def test_other_lists_let_unknown_parameters_pass(world, path):
    assert world.call("GET", f"{path}?colour=red", persona="admin").status == 200


def test_registries_refuse_unknown_parameters(world):
    assert world.call("GET", "/v1/registries?colour=red").status == 400


def test_lists_of_operators_have_pages_too(world):
    for number in range(3):
        world.call("POST", "/v1/images", {"repo": f"image-{number}", "host": "h1"}, persona="admin")
        world.call("POST", "/v1/registries", {"registry": {"domain": f"r{number}.example", "name": "same"}})
    images = world.call("GET", "/v1/images?limit=2", persona="admin").json
    assert [image["repo"] for image in images["images"]] == ["image-0", "image-1"]
    assert f"marker={images['images'][1]['uuid']}" in images["next"]
    found = world.call("GET", "/v1/registries?limit=2&name=same").json
    assert "name=same" in found["next"]
    rest = world.call("GET", found["next"].removeprefix("http://falconframework.org")).json
    assert [item["domain"] for item in rest["registries"]] == ["r2.example"]
    hosts = world.call("GET", "/v1/hosts?limit=1", persona="admin").json
    assert "sort_key=hostname" in hosts["next"]
