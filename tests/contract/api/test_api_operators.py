"""Versions, images, hosts, services, zones, networks, quotas and registries."""

from __future__ import annotations

import pytest

from higgins.core import errors

HOST_KEYS = {
    "uuid", "hostname", "mem_total", "mem_used", "cpus", "cpu_used", "disk_total", "disk_used", "disk_quota_supported", "total_containers",
    "architecture", "os_type", "os", "kernel_version", "labels", "runtimes", "enable_cpu_pinning",
}  # fmt: skip
SERVICE_KEYS = {
    "id", "host", "binary", "availability_zone", "state", "disabled", "disabled_reason", "forced_down", "last_seen_up", "report_count",
    "created_at", "updated_at",
}  # fmt: skip
REGISTRY_KEYS = {"uuid", "name", "project_id", "user_id", "domain", "username", "password", "created_at", "updated_at"}
H1 = "host=h1&binary=zun-compute"


def admin(world, method, path, body=None, **options):
    return world.call(method, path, body, persona="admin", **options)


def test_the_root_names_the_versions(world):
    found = world.call("GET", "/", headers={"Host": "api:9517"}).json
    version = {
        "id": "v1",
        "links": [{"href": "http://api:9517/v1/", "rel": "self"}],
        "status": "CURRENT",
        "max_version": "1.41",
        "min_version": "1.1",
    }
    assert found["versions"] == [version]
    assert found["default_version"] == version
    assert found["name"]
    assert found["description"]


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_version_one_links_to_everything_zun_has(world, path):
    found = world.call("GET", path, headers={"Host": "api:9517"}).json
    assert found["id"] == "v1"
    assert found["media_types"] == [{"base": "application/json", "type": "application/vnd.openstack.zun.v1+json"}]
    plurals = "services containers images networks hosts availability_zones capsules quotas quota_classes registries"
    for plural in plurals.split():
        assert [link["rel"] for link in found[plural]] == ["self", "bookmark"]
        assert found[plural][0]["href"] == f"http://api:9517/v1/{plural}/"
        assert found[plural][1]["href"] == f"http://api:9517/{plural}/"


def test_health_follows_what_the_service_needs(world):
    from falcon import testing

    from higgins.api.app import make_app
    from higgins.api.identity.noauth import NoAuth

    assert world.call("GET", "/healthcheck", persona="nobody").status == 200

    def sick():
        raise errors.Unavailable("The database does not answer. Try again in a moment.")

    client = testing.TestClient(make_app(world.control, NoAuth(), healthy=sick))
    answer = client.simulate_get("/healthcheck")
    assert (answer.status_code, answer.text) == (503, "The database does not answer. Try again in a moment.\n")


def test_metrics_count_requests_by_their_route(world):
    made = world.create()
    world.call("GET", f"/v1/containers/{made['uuid']}")
    world.call("GET", "/v1/nowhere")
    text = world.call("GET", "/metrics", persona="nobody").text
    assert 'method="GET",route="/v1/containers/{ident}",status="200"' in text
    assert 'route="unrouted",status="404"' in text
    assert made["uuid"] not in text


def test_images_are_pulled_to_a_host_and_taken_off(world):
    made = admin(world, "POST", "/v1/images", {"repo": "nginx", "host": "h1", "tag": "1.27"})
    assert made.status == 202
    assert made.headers["location"].endswith(f"/v1/images/{made.json['uuid']}")
    shown = admin(world, "GET", f"/v1/images/{made.json['uuid']}").json
    assert (shown["repo"], shown["tag"], shown["host"], shown["project_id"]) == ("nginx", "1.27", "h1", "p0")
    assert [link["rel"] for link in shown["links"]] == ["self", "bookmark"]
    listed = admin(world, "GET", "/v1/images", version="1.40").json
    assert set(listed["images"][0]) == {"uuid", "image_id", "repo", "tag", "size", "project_id", "host"}
    gone = admin(world, "DELETE", f"/v1/images/{made.json['uuid']}")
    assert (gone.status, gone.text) == (200, "null")


def test_an_image_says_how_far_its_host_is_with_it(world):
    made = admin(world, "POST", "/v1/images", {"repo": "nginx", "host": "h1"}, version="1.41").json
    assert (made["status"], made["status_reason"]) == ("pulling", None)
    at = f"/v1/images/{made['uuid']}"
    told = [("pulling", "1 of 3 layers", None), ("failed", "No such image.", None), ("ready", "", "sha256:1")]
    for phase, reason, image_id in told:
        world.report_image(made["uuid"], phase=phase, reason=reason, image_id=image_id)
        for shown in (admin(world, "GET", at, version="1.41"), admin(world, "GET", "/v1/images", version="1.41")):
            row = shown.json["images"][0] if "images" in shown.json else shown.json
            assert (row["status"], row["status_reason"], row["image_id"]) == (phase, reason or None, image_id)
    assert "status" not in admin(world, "GET", at, version="1.40").json


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"repo": "nginx", "host": "h9"}, 400),
        ({"repo": "nginx"}, 400),
        ({"host": "h1"}, 400),
        ({"repo": "NGINX", "host": "h1"}, 400),
        ({"repo": "n", "host": "h1"}, 400),
    ],
)
def test_images_that_cannot_be_pulled(world, body, status):
    assert admin(world, "POST", "/v1/images", body).status == status


def test_an_unknown_image_is_not_found(world):
    missing = admin(world, "GET", "/v1/images/6f9e0c5e-0000-4000-8000-000000000000")
    assert missing.status in (400, 404)
    assert missing.error["code"] == "container.image-not-found"


@pytest.mark.parametrize("name", ["nginx", "library/nginx", "registry.example:5000/team/nginx"])
def test_a_search_takes_names_with_slashes_and_answers_a_bare_list(world, name):
    answer = world.call("GET", f"/v1/images/{name}/search?image_driver=docker&exact_match=true")
    assert (answer.status, answer.json) == (200, [])


def test_a_search_finds_what_hosts_have(world):
    admin(world, "POST", "/v1/images", {"repo": "library/nginx", "host": "h1"})
    found = world.call("GET", "/v1/images/nginx/search").json
    expected = {"name", "description", "metadata"}
    assert all(set(item) == expected and set(item["metadata"]) == {"is_official", "star_count"} for item in found)


def test_hosts_show_what_they_have_and_what_is_claimed(world):
    (listed,) = admin(world, "GET", "/v1/hosts").json["hosts"]
    assert set(listed) == HOST_KEYS
    assert (listed["hostname"], listed["cpus"], listed["mem_total"], listed["disk_total"]) == ("h1", 64, 2**20, 1000)
    for ident in ("h1", listed["uuid"]):
        shown = admin(world, "GET", f"/v1/hosts/{ident}").json
        assert set(shown) == HOST_KEYS | {"links"}
    assert admin(world, "GET", "/v1/hosts/h9").status == 404


def test_services_are_listed_without_next_and_switched(world):
    found = admin(world, "GET", "/v1/services").json
    assert set(found) == {"services"}
    (service,) = found["services"]
    assert set(service) == SERVICE_KEYS
    assert (service["host"], service["binary"], service["state"]) == ("h1", "zun-compute", "up")
    assert "T" in service["last_seen_up"]
    disabled = admin(world, "PUT", f"/v1/services/disable?{H1}&disabled_reason=repair").json
    assert disabled == {
        "service": {"host": "h1", "binary": "zun-compute", "disabled": True, "disabled_reason": "repair"}
    }
    enabled = admin(world, "PUT", "/v1/services/enable", {"host": "h1", "binary": "zun-compute"}).json
    assert enabled["service"]["disabled"] is False
    down = admin(world, "PUT", f"/v1/services/force_down?{H1}&forced_down=True").json
    assert down == {"service": {"host": "h1", "binary": "zun-compute", "forced_down": True}}
    assert admin(world, "GET", "/v1/services").json["services"][0]["state"] == "down"


@pytest.mark.parametrize("query", ["host=h9&binary=zun-compute", "host=h1&binary=zun-api"])
def test_an_unknown_service_is_not_found(world, query):
    for method, path in [("PUT", "enable"), ("PUT", "disable"), ("PUT", "force_down"), ("DELETE", "")]:
        refused = admin(world, method, f"/v1/services/{path}?{query}")
        assert (refused.status, refused.error["code"]) == (404, "container.zun-service-not-found")


def test_a_service_with_containers_is_not_forgotten(world):
    world.create()
    assert admin(world, "DELETE", f"/v1/services?{H1}").status == 409
    world._add_host("spare")
    gone = admin(world, "DELETE", "/v1/services?host=spare&binary=zun-compute")
    assert (gone.status, gone.text) == (200, "null")


def test_zones(world):
    assert world.call("GET", "/v1/availability_zones").json == {
        "availability_zones": [{"availability_zone": "nova"}],
        "next": None,
    }


def test_networks_are_recorded_and_dropped(world):
    made = admin(world, "POST", "/v1/networks", {"name": "bridge"})
    assert made.status == 200
    assert set(made.json) == {"uuid", "name", "project_id", "user_id", "network_id", "neutron_net_id"}
    path = f"/v1/networks/{made.json['neutron_net_id']}"
    assert admin(world, "DELETE", path, version="1.26").status == 406
    assert admin(world, "DELETE", path).status == 204
    missing = admin(world, "DELETE", path)
    assert (missing.status, missing.error["code"]) == (404, "container.network-not-found")
    assert admin(world, "POST", "/v1/networks", {"name": "bridge", "neutron_net_id": "elsewhere"}).status == 404


def test_quotas_of_a_project(world):
    path = "/v1/quotas/p1"
    defaults = {"containers": 40, "memory": 51200, "cpu": 20, "disk": 100}
    assert world.call("GET", path).json == defaults
    assert world.call("GET", f"{path}/defaults").json == defaults
    assert admin(world, "PUT", path, {"containers": 2, "cpu": "-1"}).json == defaults | {"containers": 2, "cpu": -1}
    world.create(cpu=0.5, memory=256, disk=3)
    assert world.call("GET", f"{path}?usages=True").json == {
        "containers": {"limit": 2, "in_use": 1},
        "memory": {"limit": 51200, "in_use": 256},
        "cpu": {"limit": -1, "in_use": 0.5},
        "disk": {"limit": 100, "in_use": 3},
    }
    assert world.call("GET", "/v1/quotas?usages=True").json == world.call("GET", f"{path}?usages=True").json
    assert world.call("GET", "/v1/quotas", persona="stranger").json == defaults
    assert world.call("GET", "/v1/quotas", version="1.40").status == 406
    gone = admin(world, "DELETE", path)
    assert (gone.status, gone.text) == (200, "null")
    assert world.call("GET", path).json == defaults


@pytest.mark.parametrize("body", [{"cpu": -2}, {"cpu": "many"}, {"cpu": 1.5}, {"gpus": 1}, {"cpu": 10**20}])
def test_quotas_that_are_none(world, body):
    assert admin(world, "PUT", "/v1/quotas/p1", body).status == 400
    assert admin(world, "PUT", "/v1/quota_classes/default", body).status == 400


def test_the_default_class_feeds_every_project(world):
    assert admin(world, "PUT", "/v1/quota_classes/default", {"cpu": 3}).json["cpu"] == 3
    assert admin(world, "GET", "/v1/quota_classes/default").json["cpu"] == 3
    assert world.call("GET", "/v1/quotas/p1").json["cpu"] == 3


def test_registries_never_show_their_passwords(world):
    body = {"registry": {"domain": "r.example:5000", "name": "mine", "username": "me", "password": "canary"}}
    made = world.call("POST", "/v1/registries", body)
    assert made.status == 201
    uuid = made.json["registry"]["uuid"]
    assert made.headers["location"].endswith(f"/v1/registries/{uuid}")
    assert set(made.json["registry"]) == REGISTRY_KEYS | {"links"}
    changed = world.call("PATCH", f"/v1/registries/{uuid}", {"registry": {"name": "ours", "password": "canary-2"}})
    assert (changed.status, changed.json["registry"]["name"]) == (200, "ours")
    shown = world.call("GET", "/v1/registries/ours")
    listed = world.call("GET", "/v1/registries?domain=r.example:5000")
    assert set(listed.json["registries"][0]) == REGISTRY_KEYS
    for answer in (made, changed, shown, listed):
        assert "canary" not in answer.text
    assert shown.json["registry"]["password"] == "***"
    assert world.call("DELETE", f"/v1/registries/{uuid}").status == 204
    missing = world.call("GET", f"/v1/registries/{uuid}")
    assert (missing.status, missing.error["code"]) == (404, "container.registry-not-found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"registry": {}},
        {"registry": {"domain": "http://r.example"}},
        {"registry": {"domain": "r", "port": 1}},
        {"domain": "r"},
    ],
)
def test_registries_that_are_none(world, body):
    assert world.call("POST", "/v1/registries", body).status == 400


def test_a_container_names_its_registry(world):
    made = world.call("POST", "/v1/registries", {"registry": {"domain": "r.example", "name": "mine"}})
    uuid = made.json["registry"]["uuid"]
    assert world.create(registry="mine", image="r.example/nginx", version="1.31")["registry_id"] == uuid
    missing = world.call("POST", "/v1/containers", {"image": "nginx", "registry": "nowhere"})
    assert (missing.status, missing.error["code"]) == (404, "container.registry-not-found")
