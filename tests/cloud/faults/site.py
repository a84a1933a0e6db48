"""A Higgins of the tests' own inside the test cloud, with a fault proxy before each service: three processes, a project, networks, an image.

It makes and removes them all; what a container is to be like is the tests' business.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import uuid

from tests import machine
from tests.cloud.faults.board import Board
from tests.cloud.faults.proxy import Proxy
from tests.whole import REPOSITORY, Reply, until

SERVICES = {
    "identity": "127.0.0.1:5000",
    "network": "127.0.0.1:9696",
    "block-storage": "127.0.0.1:8776",
    "image": "127.0.0.1:9292",
    "placement": "127.0.0.1:8780",
}
PROCESSES = ("controller", "api", "agent")
PASSWORD = uuid.uuid4().hex
UP_S = 300.0
TIMEOUT_S = 8
"""How long Higgins waits for one answer of a service here: what hangs longer than that has hung for ever."""


class Tenant:
    """A project of the tests' own with a user, networks and an image; asks the services themselves, never through a proxy."""

    def __init__(self, cloud):
        self.cloud, self.name = cloud, f"faults-{uuid.uuid4().hex[:8]}"
        keystone = cloud.admin.identity
        self.project = keystone.create_project(name=self.name, domain_id="default")
        self.user = keystone.create_user(name=self.name, password=PASSWORD, domain_id="default")
        role = next(role for role in keystone.roles() if role.name == "member")
        keystone.assign_project_role_to_user(self.project, self.user, role)
        self.openstack = cloud.user(self.name, PASSWORD, self.name)
        self.allow(network=-1, volume=-1)
        self.image, self.other_image = self.new_image(), self.new_image()
        self.networks = [self.new_network() for _ in range(2)]
        self.group = self.openstack.network.create_security_group(name=f"{self.name}-own").id
        self.given = {self.group}
        """What is the user's own, and outlives every container that it is given to."""

    def allow(self, *, network=None, volume=None):
        """Let the project have so many ports and so many volumes."""
        if network is not None:
            groups = {"security_group": -1, "security_group_rule": -1, "network": -1, "subnet": -1}
            self.cloud.admin.network.update_quota(self.project.id, port=network, **groups)
        if volume is not None:
            storage = self.cloud.admin.block_storage
            said = storage.put(
                f"/os-quota-sets/{self.project.id}", json={"quota_set": {"volumes": volume, "gigabytes": -1}}
            )
            assert said.status_code == 200, said.text

    def new_image(self):
        """An image of Glance, the only one with its content."""
        given = {"container_format": "docker", "disk_format": "raw"}
        name = f"{self.name}-{uuid.uuid4().hex[:8]}"
        return self.openstack.image.create_image(name=name, data=image_archive(name), **given).id

    def new_network(self, cidr="10.77.0.0/16"):
        """A network with one subnet."""
        made = self.openstack.network.create_network(name=f"{self.name}-{uuid.uuid4().hex[:8]}")
        self.openstack.network.create_subnet(network_id=made.id, ip_version=4, cidr=cidr, enable_dhcp=False)
        return made.id

    def token(self):
        """A new token of the user, known to nobody yet."""
        return str(self.cloud.user(self.name, PASSWORD, self.name).auth_token)

    def remove(self):
        """Everything of the project, whoever has left it."""
        admin, project = self.cloud.admin, self.project.id
        for port in admin.network.ports(project_id=project):
            admin.network.delete_port(port, ignore_missing=True)
        for group in admin.network.security_groups(project_id=project):
            with contextlib.suppress(Exception):
                admin.network.delete_security_group(group)
        for network in admin.network.networks(project_id=project):
            admin.network.delete_network(network, ignore_missing=True)
        for volume in admin.block_storage.volumes(all_projects=True, project_id=project):
            if volume.status != "deleting":
                admin.block_storage.delete_volume(volume, force=True)
        for image in admin.image.images(owner=project):
            admin.image.delete_image(image, ignore_missing=True)
        admin.identity.delete_user(self.user)
        admin.identity.delete_project(self.project)


class Site:
    """The service. ``database`` is its SQLAlchemy URL, SQLite in the folder without one; ``options``, by group, stand before ours."""

    def __init__(self, tenant, folder, *, database=None, options=None):
        self.tenant, self.folder, self.options = tenant, pathlib.Path(folder), dict(options or {})
        self.board = Board()
        self.proxies = self._proxies()
        self.hostname = f"{tenant.name}-{uuid.uuid4().hex[:4]}"
        self.port = machine.free_port()
        self.token = tenant.token()
        self._processes = {}
        self.configure(database)
        self._managed("db", "upgrade")
        credential = self.folder / "agent" / "credential"
        credential.parent.mkdir()
        self._managed("host", "enroll", self.hostname, "--credential-file", str(credential))

    def _proxies(self):
        rewritten: dict[str, str] = {}
        proxies = {
            name: Proxy(name, address, self.board, rewritten if name == "identity" else None)
            for name, address in SERVICES.items()
        }
        rewritten |= {proxy.target: proxy.address for proxy in proxies.values()}
        return proxies

    def configure(self, database=None):
        """Write the file that its processes read when they start."""
        keystone = f"http://{self.proxies['identity'].address}/v3"
        password = (self.tenant.cloud.place / "secret" / "higgins").read_text().strip()
        self.account = account = {
            "auth_url": keystone,
            "username": "higgins",
            "password": password,
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "region_name": "RegionOne",
        }
        groups = {
            "DEFAULT": {"state_dir": self.folder, "host": self.hostname},
            "api": {"port": self.port, "threads": 16},
            "wire": {"listen": f"unix:{self.folder}/wire.sock", "hints": f"unix:{self.folder}/hints.sock"},
            "agent": {"network_host": "node1", "wish_deadline_s": 60, "pull_deadline_s": 20},
            "engine": {"name": "fake", "address": f"fake://{self.folder}/engine"},
            "identity": {"backend": "keystone"},
            "keystone_authtoken": account | {"www_authenticate_uri": keystone, "auth_type": "password"},
            "keystone": account | {"timeout_s": TIMEOUT_S, "token_cache_s": 0},
            "cloud": {
                "network_driver": "neutron",
                "volume_drivers": "cinder,local",
                "image_drivers": "glance,docker",
                "claims": "placement",
            },
            "quota": {"containers": -1, "memory": -1, "cpu": -1, "disk": -1},
            "scheduler": {
                "poll_s": 1,
                "host_down_after_s": 300,
                "cpu_allocation_ratio": 100,
                "ram_allocation_ratio": 10,
            },
        } | ({"database": {"connection": database}} if database else {})
        groups |= {name: groups.get(name, {}) | given for name, given in self.options.items()}
        text = "\n".join(
            f"[{name}]\n" + "\n".join(f"{k} = {v}" for k, v in group.items()) for name, group in groups.items()
        )
        (self.folder / "higgins.conf").touch(mode=0o600)
        (self.folder / "higgins.conf").write_text(text + "\n")

    # Its processes

    def _command(self, module, *words):
        return [sys.executable, "-m", module, "--config-file", str(self.folder / "higgins.conf"), *words]

    def manage(self, *words):
        """A run of higgins-manage."""
        command = self._command("higgins.cmd.manage", *words)
        return subprocess.run(command, cwd=REPOSITORY, env=_plain(), capture_output=True, text=True, check=False)

    def _managed(self, *words):
        done = self.manage(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def start(self, *names):
        """Start it, or these of its processes, and wait until it answers and its host is up."""
        for name in names or PROCESSES:
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    self._command(f"higgins.cmd.{name}"), cwd=REPOSITORY, env=_plain(), stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
        try:
            until(self.is_up, "the service answers and its host is up", UP_S)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.logs()}") from late
        return self

    def is_up(self):
        """Whether the API answers and knows the host as up."""
        for name, process in self._processes.items():
            assert process.poll() is None, f"{name} ended:\n{self.log(name)}"
        if self.request("GET", "/v1/containers").status != 200:
            return False
        said = self.request("GET", "/v1/services", token=self.tenant.cloud.admin.auth_token)
        return said.status == 200 and any(row["state"] == "up" for row in said.json["services"])

    def stop(self, *names):
        """End it, or these of its processes."""
        for name in names or tuple(self._processes):
            process = self._processes.pop(name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(UP_S)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _providers(self):
        found = self.tenant.cloud.admin.placement.get("/resource_providers").json()["resource_providers"]
        return [provider["uuid"] for provider in found if self.hostname in provider["name"]]

    def is_known_to_placement(self):
        """Whether Placement has been told all of the host; its traits come last."""
        placement = self.tenant.cloud.admin.placement
        paths = [f"/resource_providers/{one}/traits" for one in self._providers()]
        return any(placement.get(path, microversion="1.6").json()["traits"] for path in paths)

    def forget_host(self):
        """Have Placement know nothing of the host."""
        for provider in self._providers():
            self.tenant.cloud.admin.placement.delete(f"/resource_providers/{provider}")

    def process(self, name):
        """One of its processes; ``None`` while it does not run."""
        return self._processes.get(name)

    def log(self, name, last=4000):
        """The end of one process's log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-last:]

    def logs(self):
        """The ends of all logs."""
        return "\n".join(f"{name}:\n{self.log(name)}" for name in PROCESSES if (self.folder / f"{name}.log").exists())

    def close(self):
        """End everything."""
        self.stop()
        self.forget_host()
        for proxy in self.proxies.values():
            proxy.stop()

    # Its API

    def request(self, method, path, body=None, *, token=None, version="1.40"):
        """One request; ``OSError`` when it breaks."""
        content = None if body is None else json.dumps(body).encode()
        words = {"OpenStack-API-Version": f"container {version}", "X-Auth-Token": token or self.token}
        words |= {"Content-Type": "application/json"} if content else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            connection.request(method, path, content, words)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()


def _plain():
    """An environment without the cloud's own users."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "HIGGINS_", "XDG_"))}


def image_archive(says):
    """An image as ``docker save`` writes it, with one small layer."""
    layer, content = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, "says", says.encode())
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sleep", "1000"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }).encode()  # fmt: skip
    name = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(fileobj=content, mode="w") as tar:
        _add(tar, name, config)
        _add(tar, "layer/layer.tar", layer.getvalue())
        manifest = [{"Config": name, "RepoTags": ["faults:latest"], "Layers": ["layer/layer.tar"]}]
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return content.getvalue()


def _add(tar, name, content):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, io.BytesIO(content))


@contextlib.contextmanager
def site_of(cloud, *, database=None, options=None):
    """A service that runs, and nothing of it afterwards."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hgf-", dir="/tmp"))  # short: sockets lie in it
    tenant = Tenant(cloud)
    try:
        site = Site(tenant, folder, database=database, options=options)
        try:
            site.start()
            yield site
        finally:
            site.close()
    finally:
        tenant.remove()
        # What the agent mounts its volumes below is there as long as the machine is up.
        subprocess.run(["umount", "--quiet", str(folder / "agent" / "volumes")], check=False)
        shutil.rmtree(folder, ignore_errors=True)
