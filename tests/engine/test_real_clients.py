"""The clients that people have, against a whole Higgins on real engines: OpenStackClient's commands, and python-zunclient as a library.

OpenStackClient's own ``main`` is called in this process, since each start of its program takes a second; one test runs the program.
``openstack appcontainer top`` of python-zunclient 5.5 fails in every Python 3 (it formats what ``print`` returns), whatever the service
answers, and ``network list`` with today's osc-lib: what the service answers to them is asked of the library.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest
from keystoneauth1 import loading
from openstackclient import shell
from zunclient import api_versions
from zunclient.v1 import client as zun

from higgins.control.network.bridge import bridge_uuid
from tests.engine import running
from tests.machine import free_port
from tests.whole import REPOSITORY, until, whole

pytestmark = [pytest.mark.timeout(400)]

POLITE = ["sh", "-c", "trap 'exit 0' TERM; echo hello; while true; do sleep 0.1; done"]
VERSIONS = ["1.1", "1.12", "1.20", "1.36", "1.40"]
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=150).read().decode())"


@pytest.fixture(scope="module", params=["podman", "docker"])
def private(request):
    return request.getfixturevalue(f"{request.param}_daemon")


@pytest.fixture(scope="module")
def site(private):
    with whole(private.name, f"unix://{private.socket}", {"agent": {"wish_deadline_s": 60}}) as service:
        yield service
        service.nothing_is_left()


def one_command(words, answer):
    """Run the client once in this process and send its exit status and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = shell.main(["appcontainer", *words])
    answer.send((status, out.getvalue(), err.getvalue()))


class OpenStack:
    """``openstack appcontainer``; each call is printed with its output, so that a failure shows all of them."""

    def __init__(self, site, cloud):
        self.site, self.cloud = site, cloud

    def run(self, *words):
        """A command's exit status, and what it wrote to stdout and to stderr."""
        # A fork each: it has imported the client already, and what the client keeps in its classes ends with it.
        forks = multiprocessing.get_context("fork")
        here, there = forks.Pipe(duplex=False)
        child = forks.Process(target=one_command, args=(words, there))
        child.start()
        there.close()
        status, out, err = here.recv()
        child.join()
        print(f"$ openstack appcontainer {' '.join(words)}\n{out}{err}")
        return status, out, err

    def __call__(self, *words):
        """What a command writes that must go well."""
        status, out, err = self.run(*words)
        assert not status, err
        assert " failed: " not in out, out
        return out

    def json(self, *words):
        """What a command shows."""
        return json.loads(self(*words, "-f", "json"))

    def reached(self, name, status):
        """The container once it has that status, as ``show`` has it."""
        shown = self.json("show", name)
        self.site.reached(shown["uuid"], status)
        shown = self.json("show", name)
        assert shown["status"] == status
        return shown


@pytest.fixture
def openstack(site, monkeypatch):
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(site.state / "clouds.yaml"))
    monkeypatch.setenv("OS_CLOUD", "higgins")
    return OpenStack(site, "higgins")


def limits(site, uid):
    """What the engine itself holds a container to."""
    facts = site.on_engine()[uid]
    return facts.cpus, facts.memory_mib


def actions_but_exec(openstack, name):
    """Names of what was asked of a container, the first one first."""
    rows = openstack.json("action", "list", name)
    assert openstack.json("action", "show", name, rows[-1]["request_id"])["action"] == rows[-1]["action"]
    return [row["action"] for row in reversed(rows) if row["action"] != "execute"]


def test_the_life_of_a_container_by_openstackclient(site, openstack, tmp_path):
    openstack("run", "--name", "web", "--cpu", "0.5", "--memory", "64", "--label", "tier=front", "busybox", *POLITE)
    shown = openstack.reached("web", "Running")
    uid = shown["uuid"]
    assert (shown["cpu"], shown["memory"], shown["labels"], shown["command"]) == (0.5, "64", {"tier": "front"}, POLITE)
    assert [(row["name"], row["status"]) for row in openstack.json("list")] == [("web", "Running")]
    until(lambda: openstack("logs", "web").strip() == "hello", "it wrote hello")
    assert openstack("exec", "web", "echo", "from", "inside") == "from inside\n\n"
    assert openstack.run("exec", "web", "false")[0] == 1
    stats = openstack.json("stats", "web")
    assert (stats["CONTAINER"], stats["MEM LIMIT(MiB)"]) == ("web", 64)

    (tmp_path / "note").write_text("carried in")
    openstack("cp", str(tmp_path / "note"), "web:/tmp")
    assert openstack("exec", "web", "cat", "/tmp/note") == "carried in\n"
    openstack("cp", "web:/tmp/note", str(tmp_path / "back"))
    assert (tmp_path / "back" / "note").read_text() == "carried in"

    openstack("pause", "web")
    openstack.reached("web", "Paused")
    openstack("unpause", "web")
    openstack.reached("web", "Running")
    openstack("stop", "web")
    assert openstack.reached("web", "Stopped")["addresses"] == ""
    openstack("start", "web")
    openstack.reached("web", "Running")
    openstack("restart", "web")
    openstack.reached("web", "Running")
    openstack("kill", "web")
    openstack.reached("web", "Stopped")
    openstack("start", "web")
    openstack.reached("web", "Running")

    assert openstack.json("set", "web", "--name", "shop")["name"] == "shop"
    openstack("set", "shop", "--cpu", "0.25", "--memory", "96")
    assert openstack.reached("shop", "Running")["memory"] == "96"
    until(lambda: limits(site, uid) == (0.25, 96), "the engine has the new limits")
    openstack("rebuild", "shop")
    openstack.reached("shop", "Running")
    assert openstack.run("exec", "shop", "test", "-e", "/tmp/note")[0] == 1
    assert limits(site, uid) == (0.25, 96)

    wished = ["create", "pause", "unpause", "stop", "start", "reboot", "kill", "start", "update", "update", "rebuild"]
    assert actions_but_exec(openstack, "shop") == wished
    status, out, _ = openstack.run("delete", "shop")
    assert "in Running state" in out, status
    openstack("delete", "--stop", "--wait", "shop")
    assert openstack.json("list") == []
    assert uid not in site.on_engine()


def test_limits_set_while_it_is_stopped_hold_from_its_start_on(site, openstack):
    openstack("create", "--name", "later", "--cpu", "0.5", "--memory", "64", "busybox", *POLITE)
    uid = openstack.reached("later", "Created")["uuid"]
    for first, memory in (("set", "128"), ("stop", "96")):
        if first == "stop":
            openstack("stop", "later")
            openstack.reached("later", "Stopped")
        openstack("set", "later", "--memory", memory)
        openstack("start", "later")
        openstack.reached("later", "Running")
        assert limits(site, uid) == (0.5, int(memory))
    openstack("restart", "later")
    openstack.reached("later", "Running")
    assert limits(site, uid) == (0.5, 96)
    openstack("delete", "--stop", "--wait", "later")


def test_the_end_of_a_container_that_was_rebuilt_is_seen(site):
    uid = site.create(command=["sleep", "1"])
    for _ in range(2):
        site.reached(uid, "Stopped")
        site.act(uid, "rebuild")
        site.reached(uid, "Created")
        site.act(uid, "start")
    site.reached(uid, "Stopped")
    site.delete(uid)
    site.gone(uid)


def test_what_somebody_commits_is_run_by_its_name_in_his_project_alone(site, openstack):
    openstack("run", "--name", "web", "busybox", "sh", "-c", "echo mine >/says; sleep 1000")
    openstack.reached("web", "Running")
    until(lambda: site.act("web", "execute", command="cat /says", run="true").json["exit_code"] == 0, "it is written")
    for name in ("myimage", "busybox"):
        openstack("commit", "web", name)
        openstack("run", "--name", "again", name, "cat", "/says")
        openstack.reached("again", "Stopped")
        assert "mine" in openstack("logs", "again")
        openstack("delete", "again")
        until(lambda: site.show("again") is None, "it is gone")
    engine = site.engine()
    images = {name for facts in engine.images() for name in facts.names}
    assert "docker.io/library/myimage:latest" not in images
    body = {"command": ["cat", "/says"], "image_pull_policy": "never"}
    failed, other = (
        site.admin("POST", "/v1/containers?run=true", body | {"image": name}).json["uuid"]
        for name in ("myimage", "busybox")
    )
    show = "/v1/containers/{}?all_projects=true"
    until(lambda: site.admin("GET", show.format(failed)).json["status"] == "Error", "nobody else has it")
    ended = until(
        lambda: (shown := site.admin("GET", show.format(other)).json)["status"] == "Stopped" and shown, "it ends"
    )
    assert ended["status_detail"].startswith("Exited(1)"), ended
    for uid in (failed, other):
        site.admin("DELETE", f"/v1/containers/{uid}?force=true&all_projects=true")
    openstack("delete", "--stop", "--wait", "web")
    for name in images:
        if name.startswith("higgins.local/project/"):
            engine.remove_image(name)
    engine.close()


def test_addresses_are_named_by_the_networks_id(site, openstack):
    openstack("run", "--name", "server", "busybox", *POLITE)
    shown = openstack.reached("server", "Running")
    assert shown["networks"] == bridge_uuid(installation(site))
    (listed,) = library(site, "1.40").containers.network_list("server")
    assert (listed.net_id, listed.fixed_ips[0]["ip_address"]) == (shown["networks"], shown["addresses"])
    openstack("delete", "--stop", "--wait", "server")


def installation(site):
    """The installation's uuid, as its engine's address carries it."""
    return site.full_address.rpartition("installation=")[2]


def test_the_program_itself(site, openstack):
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name("openstack"), "appcontainer", "service", "list", "-f", "json"],
        env=os.environ | {"OS_CLOUD": "higgins-admin"},
        check=True,
        stdout=subprocess.PIPE,
    )
    assert [row["State"] for row in json.loads(done.stdout)] == ["up"]


@pytest.fixture
def nginx(private, tmp_path):
    """The demo image, in a registry beside the engine."""
    address = f"127.0.0.1:{free_port()}"
    words = ["--registry", address, "--state", str(tmp_path)]
    for more in (["--only", "nginx"], ["--stop"]):
        subprocess.run([REPOSITORY / "script/demo-images", *words, *more], check=True, stdout=subprocess.DEVNULL)
    running.shell("start_registry", str(tmp_path), address, "", str(private.pid))
    yield f"{address}/nginx"
    running.shell("stop_engine", str(tmp_path / "registry.pid"))


def fetched(private, url):
    """The page at an address in the engine's network; nothing while nobody listens there yet."""
    try:
        return private.inside([sys.executable, "-c", FETCH, url], stderr=subprocess.PIPE)
    except subprocess.CalledProcessError as refused:
        if not any(word in refused.stderr for word in ("Connection refused", "timed out")):
            raise
        return ""


def test_nginx_answers_at_the_address_shown(openstack, private, nginx):
    openstack("run", "--name", "nginx", nginx)
    shown = openstack.reached("nginx", "Running")
    assert shown["ports"] == [80]
    page = until(lambda: fetched(private, f"http://{shown['addresses']}/"), "nginx listens")
    assert "Welcome to nginx" in page
    until(lambda: "GET / HTTP" in openstack("logs", "nginx"), "nginx logs the request")
    openstack("delete", "--stop", "--wait", "nginx")


def library(site, version):
    """python-zunclient for demo at a microversion."""
    auth = loading.get_plugin_loader("http_basic").load_from_options(**site.account("demo"))
    session = loading.session.Session().load_from_options(auth=auth)
    return zun.Client(session=session, api_version=api_versions.APIVersion(version))


def packed(name, content):
    """A tar of one file."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return found.getvalue()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_life_of_a_container_by_the_library(site, version):
    client, number = library(site, version), int(version.partition(".")[2])
    wanted = {"name": "lib", "image": "busybox", "cpu": 0.5, "memory": "64", "environment": {"A": "b"}}
    wanted["command"] = POLITE  # the library joins it to one string before 1.20
    if number >= 36:
        wanted["tty"] = False
        wanted["healthcheck"] = {"cmd": "true", "interval": 5, "retries": 2, "timeout": 1}
    if number >= 40:
        wanted["entrypoint"] = ["/usr/bin/env", "B=c"]
    containers, uid = client.containers, client.containers.run(**wanted).uuid
    site.reached(uid, "Running")
    assert containers.get("lib").environment == {"A": "b"}
    until(lambda: "hello" in logs(client, uid), "it wrote hello")
    assert containers.execute(uid, command="sh -c 'echo $A'")["output"] == "b\n"
    top = containers.top(uid)
    assert any("sh" in word for row in top["Processes"] for word in row)
    assert all(len(row) == len(top["Titles"]) for row in top["Processes"])
    assert containers.stats(uid)["MEM LIMIT(MiB)"] == 64
    tar = packed("note", b"carried in")
    containers.put_archive(uid, "/tmp", tar if number >= 25 else tar.decode())
    found = containers.get_archive(uid, "/tmp/note")
    with tarfile.open(fileobj=io.BytesIO(found["data"])) as unpacked:
        assert unpacked.extractfile("note").read() == b"carried in"
    assert found["stat"]["name"] == "note"
    for act, status in (
        (containers.pause, "Paused"),
        (containers.unpause, "Running"),
        (lambda ident: containers.stop(ident, 10), "Stopped"),
        (containers.start, "Running"),
        (lambda ident: containers.restart(ident, 10), "Running"),
        (containers.kill, "Stopped"),
        (containers.rebuild, "Created"),
        (containers.start, "Running"),
    ):
        act(uid)
        site.reached(uid, status)
    assert containers.update(uid, memory="96").memory == "96"
    until(lambda: limits(site, uid) == (0.5, 96), "the engine has the new limit")
    site.reached(uid, "Running")
    if number >= 13:
        assert [one.net_id for one in containers.network_list(uid)] == [*containers.get(uid).addresses]
    assert {"create", "kill", "rebuild", "update"} <= {one.action for one in client.actions.list(uid)}
    if number >= 12:
        containers.delete(uid, stop=True)
    else:
        containers.stop(uid, 10)
        site.reached(uid, "Stopped")
        containers.delete(uid)
    site.gone(uid)


def logs(client, uid):
    return client.containers.logs(uid, stdout=True, stderr=True, timestamps=False, tail="all", since=None)
