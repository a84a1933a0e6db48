"""What a container is made from and how it reads."""

from __future__ import annotations

import base64
import datetime
import re

import pytest

from higgins.core.caller import Scope
from higgins.core.phase import Health, Phase
from higgins.store import pods

KEYS = {
    "uuid", "name", "project_id", "user_id", "image", "image_driver", "command", "entrypoint", "status", "status_reason", "status_detail",
    "task_state", "cpu", "cpu_policy", "memory", "disk", "environment", "workdir", "ports", "hostname", "labels", "addresses",
    "restart_policy", "interactive", "tty", "security_groups", "auto_remove", "auto_heal", "healthcheck", "registry_id", "created_at",
    "updated_at",
}  # fmt: skip
GATED = {"host", "image_pull_policy", "privileged", "runtime"}
OWN = {"exit_code", "health", "image_digest", "cpu_shares", "pids_limit", "started_at", "finished_at"}
PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?")


@pytest.mark.parametrize("version", ["1.1", "1.12", "1.20", "1.40"])
def test_a_container_has_the_same_keys_in_every_version(world, version):
    made = world.create()
    shown = world.call("GET", f"/v1/containers/{made['uuid']}", version=version).json
    listed = world.call("GET", "/v1/containers", version=version).json["containers"][0]
    assert set(shown) == KEYS | {"links"}
    assert set(listed) == KEYS


def test_our_own_fields_come_with_our_own_version(world):
    made = world.create(version="1.41", cpu_shares=512, pids_limit=77, phase=None)
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    found = {"exit_code": 3, "started_at": at, "finished_at": at, "health": Health.HEALTHY, "image_digest": "sha256:ab"}
    world.report(made["uuid"], Phase.STOPPED, **found)
    shown = world.call("GET", f"/v1/containers/{made['uuid']}", version="1.41").json
    assert set(shown) == KEYS | OWN | {"links"}
    assert {name: shown[name] for name in OWN} == {
        "exit_code": 3,
        "health": "healthy",
        "image_digest": "sha256:ab",
        "cpu_shares": 512,
        "pids_limit": 77,
        "started_at": "2026-01-01 00:00:00",
        "finished_at": "2026-01-01 00:00:00",
    }


def test_gated_fields_are_absent_for_a_tenant_and_there_for_an_admin(world):
    uuid = world.create()["uuid"]
    shown = world.call("GET", f"/v1/containers/{uuid}", persona="admin").json
    assert set(shown) >= GATED
    assert shown["host"] == "h1"
    assert not set(world.call("GET", f"/v1/containers/{uuid}").json) & GATED


def test_a_create_answers_with_the_container_its_links_and_its_location(world):
    made = world.call(
        "POST", "/v1/containers?run=true", {"image": "nginx", "name": "web"}, headers={"Host": "api:9517"}
    )
    body = made.json
    assert made.status == 202
    assert made.headers["location"] == f"http://api:9517/v1/containers/{body['uuid']}"
    assert [link["href"] for link in body["links"]] == [
        f"http://api:9517/v1/containers/{body['uuid']}",
        f"http://api:9517/containers/{body['uuid']}",
    ]
    assert body["status"] == "Creating"
    assert (body["memory"], body["cpu"], body["disk"], body["cpu_policy"]) == ("512", 1.0, 0, "shared")
    assert PLAIN_TIME.fullmatch(body["created_at"])
    assert body["updated_at"] is None


def test_an_unnamed_container_gets_a_greek_name(world):
    assert re.fullmatch(r"[a-z]+-\d+-container", world.create()["name"])


def test_unset_maps_and_lists_read_empty(world):
    shown = world.call("GET", f"/v1/containers/{world.create(phase=None)['uuid']}").json
    for name in ("environment", "labels", "addresses", "healthcheck", "restart_policy"):
        assert shown[name] == {}, name
    for name in ("ports", "security_groups", "entrypoint", "command"):
        assert shown[name] == [], name


def test_addresses_have_what_clients_read(world):
    shown = world.call("GET", f"/v1/containers/{world.create()['uuid']}").json
    expected = {"addr": "10.0.0.5", "version": 4, "port": "port-1", "subnet_id": "sub-1", "preserve_on_delete": False}
    assert shown["addresses"] == {"net-1": [expected]}


def test_every_field_of_create_comes_back(world):
    fields = {
        "name": "web",
        "command": ["sleep", "10"],
        "entrypoint": ["/bin/sh", "-c"],
        "cpu": "0.5",
        "memory": "256",
        "disk": "7",
        "workdir": "/srv",
        "environment": {"KEY": "a secret"},
        "labels": {"tier": "front"},
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "2"},
        "interactive": "True",
        "tty": True,
        "auto_remove": "off",
        "auto_heal": "yes",
        "hostname": "front-1",
        "exposed_ports": {"80/tcp": {}, "53/udp": {}},
        "healthcheck": {"cmd": "true", "interval": "5", "retries": 2, "timeout": 1},
        "image_driver": "docker",
        "nets": [],
        "mounts": [{"destination": "/data", "source": "vol1"}, {"destination": "/new", "size": "1"}],
        "hints": {"a": "b"},
    }
    made = world.create(version="1.40", **fields)
    shown = world.call("GET", f"/v1/containers/{made['uuid']}", version="1.40").json
    expected = {
        "cpu": 0.5,
        "memory": "256",
        "disk": 7,
        "interactive": True,
        "auto_remove": False,
        "auto_heal": True,
        "healthcheck": {"test": "true", "interval": 5, "retries": 2, "timeout": 1},
    }
    unseen = {"exposed_ports", "nets", "mounts", "hints"}
    for name in fields.keys() - unseen:
        assert shown[name] == expected.get(name, fields[name]), name
    assert sorted(shown["ports"]) == [53, 80]


def test_an_injected_file_and_the_environment_reach_the_spec_but_no_plain_column(world):
    content = base64.encodebytes(b"the content").decode()
    mounts = [{"type": "bind", "source": content, "destination": "/etc/motd", "read_only": True}]
    uuid = world.create(mounts=mounts, environment={"KEY": "canary"})["uuid"]
    with world.db.read() as tx:
        pod = pods.get(tx, uuid, Scope(None))
    assert "canary" not in repr(pod)
    spec = pods.open_spec(pod, world.sealer).containers[0]
    assert spec.mounts[0].content == b"the content"
    assert spec.mounts[0].read_only
    assert spec.environment == {"KEY": "canary"}


def test_commands_are_split_into_words_before_1_20_and_lists_after(world):
    old = world.create(version="1.12", command="sh -c 'echo a b'")
    new = world.create(version="1.20", command=["sh", "-c", "echo a b"])
    assert old["command"] == new["command"] == ["sh", "-c", "echo a b"]
    assert world.call("POST", "/v1/containers", {"image": "nginx", "command": "a 'b"}, version="1.12").status == 400
    assert world.call("POST", "/v1/containers", {"image": "nginx", "command": "a b"}, version="1.20").status == 400
    assert world.call("POST", "/v1/containers", {"image": "nginx", "command": ["a"]}, version="1.19").status == 400


@pytest.mark.parametrize(("version", "tty"), [("1.12", False), ("1.20", True), ("1.35", True), ("1.36", False)])
def test_interactive_means_a_terminal_from_1_20_until_tty_is_a_field(world, version, tty):
    made = world.create(version=version, interactive=True)
    assert (made["interactive"], made["tty"]) == (True, tty)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "'image'"),
        ({"image": "n"}, "'image'"),
        ({"image": 5}, "'image'"),
        ({"image": "nginx", "nmae": "x"}, "'nmae'"),
        ({"image": "nginx", "name": "-x"}, "'name'"),
        ({"image": "nginx", "name": "a b"}, "'name'"),
        ({"image": "nginx", "cpu": "many"}, "'cpu'"),
        ({"image": "nginx", "cpu": True}, "'cpu'"),
        ({"image": "nginx", "cpu": 1000}, "cpu"),
        ({"image": "nginx", "memory": "512m"}, "'memory'"),
        ({"image": "nginx", "memory": 1}, "memory"),
        ({"image": "nginx", "memory": 9999999}, "from 4 to 8192 MiB, but 9999999 was"),
        ({"image": "nginx", "memory": 1.5}, "'memory'"),
        ({"image": "nginx", "disk": 100000}, "disk"),
        ({"image": "nginx", "environment": {"A": 1}}, "'environment'"),
        ({"image": "nginx", "environment": ["A=1"]}, "'environment'"),
        ({"image": "nginx", "interactive": "perhaps"}, "'interactive'"),
        ({"image": "nginx", "hostname": None}, "'hostname'"),
        ({"image": "nginx", "hostname": "a b"}, "'hostname'"),
        ({"image": "nginx", "restart_policy": {"MaximumRetryCount": 1}}, "'Name'"),
        ({"image": "nginx", "restart_policy": {"Name": "sometimes"}}, "'Name'"),
        ({"image": "nginx", "restart_policy": {"Name": "always", "MaximumRetryCount": 1}}, "MaximumRetryCount"),
        ({"image": "nginx", "exposed_ports": {"http": {}}}, "'exposed_ports'"),
        ({"image": "nginx", "exposed_ports": {"70000": {}}}, "70000"),
        ({"image": "nginx", "exposed_ports": {"80": {}}, "security_groups": ["a"]}, "'security_groups'"),
        ({"image": "nginx", "mounts": [{"source": "x"}]}, "'destination'"),
        ({"image": "nginx", "mounts": [{"destination": "/x"}]}, "'source'"),
        ({"image": "nginx", "mounts": [{"destination": "x", "size": 1}]}, "'destination'"),
        ({"image": "nginx", "mounts": [{"destination": "/x", "type": "bind", "source": "###"}]}, "base64"),
        ({"image": "nginx", "nets": [{}]}, "network, port"),
        ({"image": "nginx", "nets": [{"network": "bridge", "v4-fixed-ip": "10.0.0.999"}]}, "10.0.0.999"),
        ({"image": "nginx", "image_pull_policy": "daily"}, "'image_pull_policy'"),
        ({"image": "UPPER case"}, "UPPER case"),
        ({"image": "nginx", "healthcheck": {"interval": 1}}, "'cmd'"),
    ],
)
def test_a_mistake_is_a_400_that_names_the_field(world, fields, words):
    refused = world.call("POST", "/v1/containers", fields)
    assert refused.status == 400, refused.text
    assert words in refused.error["title"]
    assert refused.error["title"].endswith(".")


def test_two_containers_may_share_a_name_but_then_it_names_neither(world):
    world.create(name="twin")
    world.create(name="twin")
    assert world.call("GET", "/v1/containers/twin").status == 409


def test_a_fixed_ip_or_port_of_heat_comes_with_its_network(world):
    net = {"network": "bridge", "v4-fixed-ip": ""}
    assert world.call("POST", "/v1/containers", {"image": "nginx", "nets": [net]}).status == 202


def test_null_means_not_given(world):
    nulls = dict.fromkeys(("name", "cpu", "memory", "nets", "labels", "mounts", "restart_policy", "image_driver"))
    assert world.call("POST", "/v1/containers", {"image": "nginx", **nulls}).status == 202


def test_image_driver_none_is_the_default_one(world):
    assert world.create(image_driver="None")["image_driver"] == "docker"
    assert world.call("POST", "/v1/containers", {"image": "nginx", "image_driver": "glance"}).status == 400


@pytest.mark.parametrize(
    ("field", "value"), [("image_pull_policy", "always"), ("runtime", "runc"), ("host", "h1"), ("privileged", True)]
)
def test_fields_for_operators_are_forbidden_to_tenants(world, field, value):
    refused = world.call("POST", "/v1/containers", {"image": "nginx", field: value})
    assert (refused.status, refused.error["code"]) == (403, "container.policy-not-authorized")


def test_an_admin_names_a_host_and_an_unknown_one_is_not_found(world):
    assert world.call("POST", "/v1/containers", {"image": "nginx", "host": "h1"}, persona="admin").status == 202
    missing = world.call("POST", "/v1/containers", {"image": "nginx", "host": "h9"}, persona="admin")
    assert (missing.status, missing.error["code"]) == (404, "container.requested-host-not-found")


def test_over_quota_is_a_403_of_its_own(world):
    world.call("PUT", "/v1/quotas/p1", {"containers": 1}, persona="admin")
    world.create()
    refused = world.call("POST", "/v1/containers", {"image": "nginx"})
    assert (refused.status, refused.error["code"]) == (403, "container.over-quota")


def test_update_changes_name_and_limits_and_nothing_else(world):
    uuid = world.create()["uuid"]
    changed = world.call("PATCH", f"/v1/containers/{uuid}", {"name": "other", "cpu": 0.5, "memory": "128"})
    assert changed.status == 200
    assert (changed.json["name"], changed.json["cpu"], changed.json["memory"]) == ("other", 0.5, "128")
    assert world.call("PATCH", f"/v1/containers/{uuid}", {"image": "redis"}).status == 400


def test_a_running_container_is_deleted_with_stop_or_force_only(world):
    uuid = world.create()["uuid"]
    refused = world.call("DELETE", f"/v1/containers/{uuid}")
    assert (refused.status, refused.error["title"]) == (409, f"Cannot delete container {uuid} in Running state")
    assert world.call("DELETE", f"/v1/containers/{uuid}?force=True").status == 403
    gone = world.call("DELETE", f"/v1/containers/{uuid}?stop=True&force=False")
    assert (gone.status, gone.text) == (204, "")
    assert world.call("GET", f"/v1/containers/{uuid}").json["status"] == "Deleting"


@pytest.mark.parametrize(("version", "query", "status"), [
    ("1.1", "force=False&stop=False", 204),
    ("1.1", "force=True", 400),
    ("1.7", "force=True", 204),
    ("1.11", "stop=True", 400),
    ("1.12", "stop=True", 204),
])  # fmt: skip
def test_force_and_stop_have_versions(world, version, query, status):
    uuid = world.create(phase=Phase.STOPPED)["uuid"]
    assert world.call("DELETE", f"/v1/containers/{uuid}?{query}", version=version, persona="admin").status == status
