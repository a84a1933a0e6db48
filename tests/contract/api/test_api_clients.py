"""What Heat's OS::Zun::Container and Horizon's zun-ui send, in their order, against the app with all loops and an agent over the fake engine.

Each test asserts what that client reads from the answers. Their requests were written down from the clients' sources; the capsules that
gophercloud and virtual-kubelet speak of are not served yet, and the last test holds what they are told instead.
"""

from __future__ import annotations

import hashlib
import pathlib
import shutil

import pytest
from falcon import testing

from higgins.agent.loop import Timings
from higgins.agent.service import Agent
from higgins.api.app import make_app
from higgins.api.identity.noauth import NoAuth
from higgins.cmd.parts import AgentQuestions
from higgins.control import service
from higgins.control.means import Means
from higgins.control.settings import Settings
from higgins.engine.fake.driver import FakeEngine
from higgins.engine.fake.store import MemoryStore
from higgins.policy.enforce import Policy
from higgins.provision.loop import Provisioner
from higgins.provision.volumes import Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store import hosts
from higgins.store.agents.desk import Desk
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import hints
from higgins.wire.client import WireClient
from higgins.wire.server import Server
from tests.contract.store_rows import until

HEAT, HEAT_CHANGES, HORIZON = "1.12", "1.18", "1.40"
WAITED_FOR = ("Creating", "Created")
"""What Heat waits in; any other word but Running and Stopped fails the stack."""


class Whole:
    """All of Higgins in this process, and what one client sends to it."""

    def __init__(self, folder: pathlib.Path):
        self.db, sealer, local = (
            Database(f"sqlite:///{folder}/higgins.db", durable=False),
            Sealer(bytes(32)),
            hints.LocalHints(),
        )
        with self.db.write() as tx:
            own = installation.ensure(tx, sealer)
            hosts.enroll(tx, "host-1", hashlib.sha256(b"token").hexdigest())
        engine = FakeEngine(MemoryStore(), {})
        means = Means(
            db=self.db, sealer=sealer, policy=Policy(), hint=hints.after_wish(local), installation=own, settings=Settings()
        )  # fmt: skip
        self.client = testing.TestClient(make_app(service.build(means, AgentQuestions()), NoAuth()))
        self.parts = [
            Scheduler(self.db, local),
            Provisioner(self.db, local, [Volumes(self.db)], sealer),
            Server(Desk(self.db, sealer), local, f"unix:{folder}/w"),
            Agent(
                engine, WireClient(f"unix:{folder}/w", "token"), hostname="host-1", state_dir=folder / "agent",
                live_address=f"unix:{folder}/l", live_token="live", timings=Timings(tick_s=0.02),
            ),
        ]  # fmt: skip
        for part in self.parts:
            part.start()

    def close(self):
        for part in reversed(self.parts):
            part.stop()
        self.db.close()

    def send(self, version, method, path, body=None, *, roles="member,reader"):
        headers = {"X-User-Id": "u", "X-Project-Id": "p", "X-Roles": roles}
        headers |= {"OpenStack-API-Version": f"container {version}", "Accept": "application/json"}
        path, _, query = path.partition("?")
        return self.client.simulate_request(method, f"/v1/{path}", query_string=query, headers=headers, json=body)

    def seen_on_the_way(self, version, uuid, wanted):
        """Every status shown until the wanted one, and the container then."""
        seen = []

        def look():
            shown = self.send(version, "GET", f"containers/{uuid}").json
            seen.append(shown["status"])
            return shown if shown["status"] == wanted else None

        return until(look, f"the container is {wanted}"), set(seen) - {wanted}

    def gone(self, version, uuid):
        until(lambda: self.send(version, "GET", f"containers/{uuid}").status_code == 404, "the container is gone")


@pytest.fixture(scope="module")
def whole(migrated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("w")
    shutil.copyfile(migrated, folder / "higgins.db")
    found = Whole(folder)
    yield found
    found.close()


def heats(**changed):
    """The body that Heat makes of a template with every ordinary property."""
    return {
        "name": "stack-web-abc", "image": "busybox", "command": "sleep 3600", "cpu": 0.1, "memory": "64",
        "environment": {"A": "1"}, "workdir": "/tmp", "labels": {"k": "v"}, "interactive": False, "image_driver": "docker",
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "2"}, "hostname": "web", "security_groups": [],
    } | changed  # fmt: skip


def test_heat_creates_updates_and_deletes_a_container(whole):
    made = whole.send(HEAT, "POST", "containers?run=true", heats())
    assert made.status_code == 202, made.text
    uuid = made.json["uuid"]
    shown, waited_in = whole.seen_on_the_way(HEAT, uuid, "Running")
    assert waited_in <= set(WAITED_FOR)
    assert shown["name"] == "stack-web-abc"
    assert shown["command"] == ["sleep", "3600"]
    assert shown["restart_policy"] == {"Name": "on-failure", "MaximumRetryCount": "2"}
    for found in shown["addresses"].values():
        assert {"addr", "port", "version", "subnet_id", "preserve_on_delete"} <= set(found[0])
    changed = whole.send(
        HEAT_CHANGES, "PATCH", f"containers/{uuid}", {"name": "stack-web-new", "cpu": 0.2, "memory": "96"}
    )
    assert (changed.status_code, changed.json["name"], changed.json["cpu"]) == (200, "stack-web-new", 0.2)
    networks = whole.send(HEAT_CHANGES, "GET", f"containers/{uuid}/network_list")
    assert networks.status_code == 200
    for network in networks.json["networks"]:
        assert {"net_id", "port_id", "fixed_ips"} <= set(network)
    assert whole.send(HEAT, "DELETE", f"containers/{uuid}?stop=True").status_code == 204
    whole.gone(HEAT, uuid)
    assert whole.send(HEAT, "DELETE", f"containers/{uuid}?stop=True").status_code == 404


def test_heat_is_told_of_a_container_that_ends_and_of_one_that_cannot_start(whole):
    ended = whole.send(
        HEAT, "POST", "containers?run=true", heats(name="job", command="true", restart_policy=None)
    ).json["uuid"]
    assert whole.seen_on_the_way(HEAT, ended, "Stopped")[1] <= {*WAITED_FOR, "Running"}
    failed = whole.send(HEAT, "POST", "containers?run=true", heats(name="bad", image="missing/image")).json["uuid"]
    shown, waited_in = whole.seen_on_the_way(HEAT, failed, "Error")
    assert waited_in <= set(WAITED_FOR)
    assert "missing/image" in shown["status_reason"]
    for uuid in (ended, failed):
        assert whole.send(HEAT, "DELETE", f"containers/{uuid}?stop=True").status_code == 204
        whole.gone(HEAT, uuid)


def test_heat_asks_for_a_terminal_and_for_a_volume_by_its_size(whole):
    body = heats(name="term", interactive=True, tty=True, command="sh", mounts=[{"size": 1, "destination": "/data"}])
    made = whole.send("1.36", "POST", "containers?run=true", body | {"command": ["sleep", "60"]})
    assert made.status_code == 202, made.text
    shown, _ = whole.seen_on_the_way("1.36", made.json["uuid"], "Running")
    assert (shown["tty"], shown["interactive"], shown["command"]) == (True, True, ["sleep", "60"])
    whole.send(HEAT, "DELETE", f"containers/{shown['uuid']}?stop=True")
    whole.gone(HEAT, shown["uuid"])


def test_heat_is_refused_with_the_codes_that_it_knows(whole):
    assert whole.send(HEAT, "GET", "containers/00000000-0000-4000-8000-000000000000").status_code == 404
    both = [{"network": "bridge", "port": "00000000-0000-4000-8000-000000000001"}]
    refused = whole.send(HEAT, "POST", "containers?run=true", heats(nets=both))
    assert refused.json["errors"][0]["detail"]
    assert refused.status_code in (400, 404), refused.text
    assert "oneOf" not in refused.text


def test_horizon_lists_creates_acts_and_deletes(whole):
    body = {"name": "ui", "image": "busybox", "command": ["sleep", "3600"], "cpu": 0.1, "memory": "64", "environment": {"A": "1"},
            "labels": {"cloud-shell": "cloud-shell-u-p-d-r"}, "interactive": True, "tty": True, "image_driver": "docker",
            "image_pull_policy": "", "runtime": "", "hostname": "", "security_groups": [], "nets": [], "mounts": [],
            "auto_remove": False, "hints": {}, "restart_policy": {"Name": "no", "MaximumRetryCount": "0"}}  # fmt: skip
    optional = {key: value for key, value in body.items() if value != ""}  # the form leaves out what was not filled in
    made = whole.send(HORIZON, "POST", "containers?run=true", optional)
    assert made.status_code == 202, made.text
    uuid = made.json["uuid"]
    whole.seen_on_the_way(HORIZON, uuid, "Running")
    [listed] = [one for one in whole.send(HORIZON, "GET", "containers").json["containers"] if one["uuid"] == uuid]
    assert {"uuid", "name", "image", "status", "task_state", "addresses", "ports", "labels"} <= set(listed)
    shown = whole.send(HORIZON, "GET", f"containers/{uuid}").json
    assert whole.send(HORIZON, "GET", f"containers/{uuid}", roles="admin,member").json["host"] == "host-1"
    assert shown["memory"].replace("M", "") == "64"
    assert shown["labels"]["cloud-shell"] == "cloud-shell-u-p-d-r"
    assert whole.send(HORIZON, "GET", f"containers/{uuid}/logs?stdout=True&stderr=True").status_code == 200
    ran = whole.send(HORIZON, "POST", f"containers/{uuid}/execute?command=echo+hello&run=True&interactive=False")
    assert (ran.json["output"], ran.json["exit_code"]) == ("hello\n", 0)
    for action, status in (("pause", "Paused"), ("unpause", "Running"), ("reboot?timeout=1", "Running"), ("rebuild", "Running"),
                           ("stop?timeout=1", "Stopped"), ("start", "Running"), ("kill?signal=9", "Stopped")):  # fmt: skip
        acted = whole.send(HORIZON, "POST", f"containers/{uuid}/{action}")
        assert acted.status_code == 202, (action, acted.text)
        until(
            lambda status=status: (
                (one := whole.send(HORIZON, "GET", f"containers/{uuid}").json)["status"] == status
                and one["task_state"] is None
            ),
            f"{action} is done",
        )
    assert whole.send(HORIZON, "DELETE", f"containers/{uuid}?force=True", roles="admin,member").status_code == 204
    whole.gone(HORIZON, uuid)


def test_horizons_other_panels_are_answered(whole):
    admin = "admin,manager,member,reader"
    [zone] = whole.send(HORIZON, "GET", "availability_zones").json["availability_zones"]
    assert zone["availability_zone"] == "nova"
    [host] = whole.send(HORIZON, "GET", "hosts", roles=admin).json["hosts"]
    assert {"uuid", "hostname", "mem_total", "cpus", "disk_total"} <= set(host)
    assert whole.send(HORIZON, "GET", f"hosts/{host['uuid']}", roles=admin).json["hostname"] == "host-1"
    made = whole.send(HORIZON, "POST", "images", {"repo": "busybox:1", "host": host["hostname"]}, roles=admin)
    assert made.status_code == 202, made.text
    [image] = whole.send(HORIZON, "GET", "images", roles=admin).json["images"]
    assert {"uuid", "image_id", "repo", "tag", "size", "host"} <= set(image)
    assert whole.send(HORIZON, "DELETE", f"images/{image['uuid']}", roles=admin).status_code == 200


@pytest.mark.parametrize(
    ("version", "method", "path", "body"),
    [
        ("1.32", "GET", "capsules?all_projects=false", None),
        ("1.32", "POST", "capsules", {"template": "{}"}),
        ("1.32", "GET", "capsules/default-web", None),
        ("1.40", "DELETE", "capsules/default-web", None),
    ],
)
def test_who_asks_for_capsules_learns_that_there_are_none(whole, version, method, path, body):
    answer = whole.send(version, method, path, body)
    assert answer.status_code == 404
    assert answer.json["errors"][0]["status"] == 404
