"""Every microversion: the headers, what is refused, and the routes and fields that come and go."""

from __future__ import annotations

import pytest

from higgins.api.routes import ROUTES
from higgins.api.schema.container import CONTAINER

ALL = [f"1.{minor}" for minor in range(1, 42)]
FIELDS = {
    "nets": ([], 2), "auto_remove": (True, 3), "runtime": ("runc", 5), "hostname": ("a", 9), "mounts": ([], 11), "privileged": (False, 21),
    "healthcheck": ({"cmd": "true"}, 22), "exposed_ports": ({}, 24), "cpu_policy": ("shared", 28), "registry": ("aa", 31), "tty": (True, 36),
    "host": ("h1", 39), "entrypoint": (["a"], 40), "cpu_shares": (2, 41), "pids_limit": (9, 41),
}  # fmt: skip


@pytest.mark.parametrize("version", ALL)
def test_every_version_answers_in_its_own_name(world, version):
    for path in ("/v1", "/v1/containers", "/v1/containers/nowhere"):
        answer = world.call("GET", path, version=version)
        assert answer.headers["openstack-api-version"] == f"container {version}"
        assert answer.headers["openstack-api-minimum-version"] == "container 1.1"
        assert answer.headers["openstack-api-maximum-version"] == "container 1.41"
        assert answer.headers["vary"] == "OpenStack-API-Version"


@pytest.mark.parametrize("version", ALL)
def test_every_version_creates_shows_and_deletes(world, version):
    made = world.create(version=version)
    assert world.call("GET", f"/v1/containers/{made['uuid']}", version=version).json["status"] == "Running"
    assert world.call("POST", f"/v1/containers/{made['uuid']}/stop?timeout=1", version=version).status == 202
    assert world.call("GET", "/v1/containers", version=version).json["containers"][0]["uuid"] == made["uuid"]


def test_without_a_header_it_is_the_first_version_and_latest_is_the_last(world):
    plain = world.client.simulate_get("/v1")
    assert plain.headers["openstack-api-version"] == "container 1.1"
    assert world.call("GET", "/v1", version="latest").headers["openstack-api-version"] == "container 1.41"


def test_the_root_has_no_version_headers(world):
    assert "openstack-api-version" not in world.call("GET", "/").headers


@pytest.mark.parametrize(
    "header",
    ["compute 1.2", "1.2", "container", "container x.y", "container 1", "container 1.2.3", "container 1.2 x", ""],
)
def test_a_header_that_says_no_version_is_a_406_without_words(world, header):
    refused = world.call("GET", "/v1/containers", headers={"OpenStack-API-Version": header})
    assert refused.status == 406
    assert refused.json["errors"] == [
        {"request_id": "", "code": "container.", "status": 406, "title": "", "detail": "", "links": []}
    ]


@pytest.mark.parametrize("version", ["1.0", "1.42", "2.0", "0.9", "1.999"])
def test_a_version_out_of_range_is_a_406_that_tells_the_range(world, version):
    refused = world.call("GET", "/v1/containers", version=version)
    assert refused.status == 406
    assert (refused.error["min_version"], refused.error["max_version"]) == ("1.1", "1.41")
    assert refused.headers["openstack-api-maximum-version"] == "container 1.41"


def test_other_services_may_stand_in_the_header_too(world):
    answer = world.call("GET", "/v1/containers", headers={"OpenStack-API-Version": "compute 2.90, container 1.12"})
    assert answer.headers["openstack-api-version"] == "container 1.12"


ROUTES_WITH_VERSIONS = [route for route in ROUTES if route.since > (1, 1) or route.until < (1, 41)]


def test_the_versions_of_routes_are_zuns():
    found = {
        (route.method, route.path.rpartition("{ident}/")[2] or route.path): (route.since[1], route.until[1])
        for route in ROUTES_WITH_VERSIONS
    }
    assert found == {
        ("GET", "/v1/hosts"): (4, 41),
        ("GET", "/v1/hosts/{ident}"): (4, 41),
        ("POST", "network_detach"): (6, 41),
        ("POST", "network_attach"): (8, 41),
        ("GET", "network_list"): (13, 41),
        ("POST", "rename"): (1, 13),
        ("POST", "add_security_group"): (1, 14),
        ("POST", "remove_security_group"): (1, 14),
        ("POST", "resize_container"): (19, 41),
        ("GET", "/v1/quotas"): (41, 41),
        ("GET", "/v1/quotas/{ident}"): (26, 41),
        ("PUT", "/v1/quotas/{ident}"): (26, 41),
        ("DELETE", "/v1/quotas/{ident}"): (26, 41),
        ("GET", "defaults"): (26, 41),
        ("GET", "/v1/quota_classes/{ident}"): (26, 41),
        ("PUT", "/v1/quota_classes/{ident}"): (26, 41),
        ("DELETE", "/v1/networks/{ident}"): (27, 41),
        ("GET", "events"): (41, 41),
    }


@pytest.mark.parametrize("route", ROUTES_WITH_VERSIONS, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_is_not_acceptable_outside_its_versions(world, route):
    path = route.path.replace("{ident}", world.create()["uuid"])
    outside = [(1, route.since[1] - 1)] if route.since > (1, 1) else []
    outside += [(1, route.until[1] + 1)] if route.until < (1, 41) else []
    for major, minor in outside:
        refused = world.call(route.method, path, {}, version=f"{major}.{minor}", persona="admin")
        assert (refused.status, refused.error["title"]) == (406, "")
    inside = world.call(route.method, path, {}, version=f"1.{route.since[1]}", persona="admin")
    assert inside.status != 406


def test_the_versions_of_fields_are_zuns():
    found = {
        field.name: field.since[1] for field in CONTAINER.fields if field.takes is not None and field.since > (1, 1)
    }
    assert found == {name: since for name, (_, since) in FIELDS.items()} | {"command": 20}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_below_its_version_is_refused_and_says_which_it_needs(world, field):
    value, since = FIELDS[field]
    below = world.call("POST", "/v1/containers", {"image": "nginx", field: value}, version=f"1.{since - 1}")
    assert (below.status, below.error["code"]) == (400, "container.invalid-param-in-version")
    assert field in below.error["title"]
    assert f"1.{since}" in below.error["title"]
    at = world.call("POST", "/v1/containers", {"image": "nginx", field: value}, version=f"1.{since}")
    assert at.status in (202, 403, 404)


@pytest.mark.parametrize(
    ("mount", "since"), [({"type": "bind", "source": "AAAA"}, 23), ({"size": 1, "read_only": True}, 41)]
)
def test_fields_of_mounts_have_versions_too(world, mount, since):
    body = {"image": "nginx", "mounts": [{"destination": "/x", **mount}]}
    below = world.call("POST", "/v1/containers", body, version=f"1.{since - 1}")
    assert below.error["code"] == "container.invalid-param-in-version"
    assert world.call("POST", "/v1/containers", body, version=f"1.{since}").status == 202


def test_a_network_is_detached_by_port_from_1_17(world):
    path = f"/v1/containers/{world.create()['uuid']}/network_detach?port=port-9"
    assert world.call("POST", path, version="1.16").error["code"] == "container.invalid-param-in-version"
    assert world.call("POST", path, version="1.17").error["code"] != "container.invalid-param-in-version"
