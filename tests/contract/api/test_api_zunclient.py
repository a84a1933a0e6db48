"""The real python-zunclient against the app, served over loopback, with HTTP Basic."""

from __future__ import annotations

import socketserver
import threading
import wsgiref.simple_server

import pytest
from keystoneauth1 import http_basic, noauth, session
from zunclient import api_versions, exceptions
from zunclient.v1 import client as zun

from higgins.api.app import make_app
from higgins.api.identity import users
from higgins.api.identity.basic import Basic
from higgins.api.identity.noauth import NoAuth
from higgins.core.phase import Phase

VERSIONS = ["1.1", "1.12", "1.20", "1.36", "1.40"]


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_args):
        pass


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Clients:
    """Makes clients of one server for its users."""

    def __init__(self, world, tmp_path):
        path = tmp_path / "users.json"
        self.world = world
        self.passwords = users.create_first(path, cost=2)
        self.demo_project = users.load(path)["demo"].project_id
        self.server = wsgiref.simple_server.make_server(
            "127.0.0.1", 0, make_app(world.control, Basic(path)), server_class=Server, handler_class=Quiet
        )
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def of(self, user, version):
        auth = http_basic.HTTPBasicAuth(
            endpoint=self.endpoint, username=user, password=self.passwords.get(user, "wrong")
        )
        return zun.Client(session=session.Session(auth=auth), api_version=api_versions.APIVersion(version))


@pytest.fixture
def clients(world, tmp_path):
    found = Clients(world, tmp_path)
    yield found
    found.close()


def options(version):
    """What a client may set at a version."""
    found = {
        "name": "web",
        "image": "nginx",
        "cpu": 0.5,
        "memory": "256",
        "environment": {"A": "b"},
        "interactive": True,
    }
    found["command"] = ["sleep", "10"] if version >= "1.20" else "sleep 10"
    found["restart_policy"] = {"Name": "on-failure", "MaximumRetryCount": "2"}
    if version >= "1.12":
        found["nets"] = [{"network": "bridge"}]
        found["mounts"] = [{"size": "1", "destination": "/data"}]
    if version >= "1.36":
        found["mounts"].append({"type": "bind", "source": b"content", "destination": "/etc/motd"})
        found["healthcheck"] = {"cmd": "true", "interval": 5, "retries": 2, "timeout": 1}
    if version >= "1.40":
        found["entrypoint"] = ["/bin/sh"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_life_of_a_container(clients, version):
    world, client = clients.world, clients.of("demo", version)
    made = client.containers.run(**options(version))
    assert made.status == "Creating"
    assert client.containers.get("web").environment == {"A": "b"}
    world.report(made.uuid, Phase.RUNNING)
    assert [item.name for item in client.containers.list()] == ["web"]
    assert client.containers.list(limit=1)[0].uuid == made.uuid
    uuid = made.uuid
    assert (
        client.containers.logs(uuid, stdout=True, stderr=True, timestamps=False, tail="all", since=None)
        == "hello\nworld\n"
    )
    assert client.containers.execute(uuid, command="ls -l")["exit_code"] == 3
    assert client.containers.top(uuid)["Titles"] == ["PID", "CMD"]
    assert client.containers.stats(uuid)["CONTAINER"] == "web"
    client.containers.kill(uuid, "SIGHUP")
    for action, after in [
        (client.containers.pause, Phase.PAUSED),
        (client.containers.unpause, Phase.RUNNING),
        (lambda ident: client.containers.stop(ident, 10), Phase.STOPPED),
        (client.containers.start, Phase.RUNNING),
        (lambda ident: client.containers.restart(ident, 10), Phase.RUNNING),
        (client.containers.rebuild, Phase.RUNNING),
        (client.containers.kill, Phase.STOPPED),
    ]:
        action(uuid)
        world.report(uuid, after)
    client.containers.put_archive(uuid, "/srv", "text" if version < "1.25" else b"\x00tar")
    assert client.containers.get_archive(uuid, "/etc")["stat"]["name"] == "etc"
    assert client.containers.update(uuid, name="other", cpu=1).name == "other"
    actions = [item.action for item in client.actions.list(uuid)]
    assert {"create", "kill", "pause", "unpause", "stop", "start", "reboot", "rebuild"} <= set(actions)
    first = client.actions.list(uuid)[-1]
    assert client.actions.get(uuid, first.request_id).action == "create"
    client.containers.delete(uuid, **({"stop": False, "force": False} if version < "1.12" else {"stop": True}))
    assert client.containers.get(uuid).status == "Deleting"


def test_versions_of_shapes(clients):
    made = clients.of("demo", "1.40").containers.run(image="nginx")
    clients.world.report(made.uuid, Phase.RUNNING)
    assert clients.of("demo", "1.12").containers.get(made.uuid).uuid == made.uuid
    assert clients.of("demo", "1.13").containers.network_list(made.uuid)[0].ip_address == "10.0.0.5"
    assert clients.of("demo", "1.18").containers.network_list(made.uuid)[0].fixed_ips[0]["ip_address"] == "10.0.0.5"
    assert clients.of("demo", "1.12").containers.rename(made.uuid, "renamed")[0].status_code == 200
    assert clients.of("demo", "1.40").containers.commit(made.uuid, "mine", "v1")["uuid"] == "sha256:ab"


def test_the_newest_version_both_speak_is_found_at_the_root(clients):
    client = clients.of("demo", "1.1")
    found = api_versions.discover_version(client, api_versions.APIVersion("1.latest"))
    assert found.get_string() == "1.40"


def test_operators_see_and_switch(clients):
    admin, demo = clients.of("admin", "1.40"), clients.of("demo", "1.40")
    assert [host.hostname for host in admin.hosts.list()] == ["h1"]
    assert admin.hosts.get("h1").cpus == 64
    assert [item.state for item in admin.services.list()] == ["up"]
    admin.services.disable("h1", "zun-compute", "repair")
    assert admin.services.list()[0].disabled_reason == "repair"
    admin.services.force_down("h1", "zun-compute", True)
    assert admin.services.list()[0].state == "down"
    admin.services.force_down("h1", "zun-compute", False)
    admin.services.enable("h1", "zun-compute")
    image = admin.images.create(repo="nginx", host="h1")
    assert [item.uuid for item in admin.images.list()] == [image.uuid]
    assert admin.images.get(image.uuid).repo == "nginx"
    admin.images.delete(image.uuid)
    assert demo.images.search_image("library/nginx", exact_match=True) == []
    assert [zone.availability_zone for zone in demo.availability_zones.list()] == ["nova"]
    with pytest.raises(exceptions.Forbidden, match="Policy doesn't allow host:get_all to be performed"):
        demo.hosts.list()


def test_quotas_and_registries(clients):
    admin, demo = clients.of("admin", "1.40"), clients.of("demo", "1.40")
    project = clients.demo_project
    assert admin.quotas.update(project, containers=1).containers == 1
    demo.containers.create(image="nginx")
    assert demo.quotas.get(project, usages=True).containers == {"limit": 1, "in_use": 1}
    with pytest.raises(exceptions.Forbidden) as over:
        demo.containers.create(image="nginx")
    assert "container" in str(over.value)
    admin.quotas.delete(project)
    assert demo.quotas.defaults(project).cpu == 20
    assert admin.quota_classes.update("default", cpu=10).cpu == 10
    assert admin.quota_classes.get("default").cpu == 10
    made = demo.registries.create(domain="r.example", name="mine", username="me", password="canary")
    assert made.registry["password"] == "***"
    assert demo.registries.update("mine", domain="r2.example").registry["domain"] == "r2.example"
    assert [item.name for item in demo.registries.list()] == ["mine"]
    demo.registries.delete("mine")
    assert demo.registries.list() == []


def test_errors_reach_the_person(clients):
    demo = clients.of("demo", "1.40")
    with pytest.raises(exceptions.NotFound, match="Container nowhere could not be found"):
        demo.containers.get("nowhere")
    with pytest.raises(exceptions.BadRequest, match="'cpu' must be a number"):
        demo.containers.create(image="nginx", cpu="many")
    with pytest.raises(exceptions.Unauthorized):
        clients.of("eve", "1.40").containers.list()


def test_noauth_with_its_dummy_token(world):
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, make_app(world.control, NoAuth()), handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        auth = noauth.NoAuth(endpoint=f"http://127.0.0.1:{server.server_port}/v1")
        client = zun.Client(session=session.Session(auth=auth), api_version=api_versions.APIVersion("1.40"))
        assert client.containers.run(image="nginx").project_id == "noauth"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
