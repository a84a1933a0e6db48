"""The cloud as tests see it: its directory, its users, plain HTTP to Higgins. Knows the public APIs only."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import openstack
import requests

TOP = pathlib.Path(__file__).parents[2]
KEYSTONE = "http://127.0.0.1:5000/v3"
HIGGINS = "http://127.0.0.1:9517"
PASSWORD = "a password of the tests"
PATIENT = ["sh", "-c", "trap exit TERM; sleep 1000 & wait"]
"""Runs for long, and ends when asked to."""
PATIENCE_S = 300.0
"""How long a test waits for what takes a second or two on a machine that is not busy, or does not stand still."""
PERSONAS = {"reader": ("reader",), "member": ("member",), "manager": ("manager",), "admin": ("admin",)}


def until(
    what: str, is_so: Callable[[], Any], seconds: float = PATIENCE_S, told: Callable[[], str] | None = None
) -> Any:
    """Waits for a condition to hold and gives what it gave; fails with ``told()`` when it does not within the time."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}{': ' + told() if told else ''}")
        time.sleep(0.1)
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What Higgins answered."""

    status: int
    body: Any
    headers: requests.structures.CaseInsensitiveDict[str]


class Api:
    """Higgins' API for whoever holds a token."""

    def __init__(self, token: str | None, address: str = HIGGINS) -> None:
        self.token, self._address = token, address
        self._session = requests.Session()

    def __call__(self, method: str, path: str, body: Any = None, *, version: str = "1.40", **query: Any) -> Answer:
        """One request, below /v1."""
        headers = {"OpenStack-API-Version": f"container {version}"}
        if self.token is not None:
            headers["X-Auth-Token"] = self.token
        said = self._session.request(
            method, f"{self._address}/v1{path}", json=body, params=query, headers=headers, timeout=PATIENCE_S
        )
        with contextlib.suppress(ValueError):
            return Answer(said.status_code, said.json() if said.content else None, said.headers)
        return Answer(said.status_code, said.text, said.headers)

    def run(self, **fields: Any) -> dict[str, Any]:
        """A container that runs, as it is shown then."""
        made = self("POST", "/containers", {"image": "busybox", "command": PATIENT, **fields}, run="true")
        assert made.status == 202, made.body
        return self.wait(made.body["uuid"], "Running")

    def wait(self, uuid: str, status: str, seconds: float = PATIENCE_S) -> dict[str, Any]:
        """The container, once it has a status; fails at once when it is in Error instead."""

        def shown() -> Any:
            body = self("GET", f"/containers/{uuid}").body
            assert status == "Error" or body.get("status") != "Error", body
            return body if body.get("status") == status and body.get("task_state") is None else None

        return dict(
            until(f"{uuid} to be {status}", shown, seconds, lambda: str(self("GET", f"/containers/{uuid}").body))
        )

    def delete(self, uuid: str, seconds: float = PATIENCE_S) -> None:
        """Ends a container and waits until it is gone; nothing happens when it is."""
        gone = self("DELETE", f"/containers/{uuid}", stop="true")
        assert gone.status in (204, 404), gone.body
        until(f"{uuid} to be gone", lambda: self("GET", f"/containers/{uuid}").status == 404, seconds,
              lambda: str(self("GET", f"/containers/{uuid}").body))  # fmt: skip

    @contextlib.contextmanager
    def container(self, **fields: Any) -> Iterator[dict[str, Any]]:
        """A container that runs, and is gone afterwards."""
        made = self("POST", "/containers", {"image": "busybox", "command": PATIENT, **fields}, run="true")
        assert made.status == 202, made.body
        try:
            yield self.wait(made.body["uuid"], "Running")
        finally:
            self.delete(made.body["uuid"])


class Cloud:
    """The cloud in a directory: its administrators' connections, and its processes."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.admin = self._connect("admin")
        self.demo = self._connect("demo")

    def _connect(self, user: str) -> openstack.connection.Connection:
        return self.user(user, (self.place / "secret" / user).read_text(), user)

    def user(self, name: str, password: str, project: str) -> openstack.connection.Connection:
        """A connection of any user."""
        return openstack.connect(
            auth_url=KEYSTONE, username=name, password=password, project_name=project, region_name="RegionOne",
            user_domain_name="Default", project_domain_name="Default", load_yaml_config=False, load_envvars=False,
        )  # fmt: skip

    def api(self, connection: openstack.connection.Connection) -> Api:
        """Higgins with that user's token."""
        return Api(connection.auth_token)

    def pid(self, service: str) -> int:
        """The process of a service, by the name that ``script/cloud status`` gives it."""
        return int((self.place / "run" / f"{service}.pid").read_text())

    @contextlib.contextmanager
    def without(self, service: str) -> Iterator[None]:
        """A service is away, and back afterwards, by the functions of ``script/cloud`` itself."""
        self._step("finish", service)
        try:
            yield
        finally:
            self._step(f"start_{service}")

    def _step(self, *words: str) -> None:
        done = subprocess.run(
            ["bash", str(TOP / "script/cloud.d/one.sh"), str(self.place), *words],
            capture_output=True, text=True, check=False, timeout=330,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


class People:
    """Users of every persona in the project ``name``, and a member of a project ``name-other``; each project has a network of its name."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._cloud, self.name = cloud, name
        self._projects: list[Any] = []
        self._users: list[Any] = []
        self._networks: list[Any] = []
        self._known: dict[str, openstack.connection.Connection] = {}

    def make(self) -> None:
        """Make them in Keystone."""
        keystone = self._cloud.admin.identity
        roles = {role.name: role for role in keystone.roles()}
        for project_name, personas in ((self.name, PERSONAS), (f"{self.name}-other", {"stranger": ("member",)})):
            project = keystone.create_project(name=project_name, domain_id="default")
            self._projects.append(project)
            for persona, granted in personas.items():
                user = keystone.create_user(name=f"{self.name}-{persona}", password=PASSWORD, domain_id="default")
                self._users.append(user)
                for role in granted:
                    keystone.assign_project_role_to_user(project, user, roles[role])
                self._known[persona] = self._cloud.user(user.name, PASSWORD, project_name)
            self._network(project)

    def _network(self, project: Any) -> None:
        neutron = self._cloud.admin.network
        network = neutron.create_network(name=project.name, project_id=project.id)
        self._networks.append(network)
        neutron.create_subnet(network_id=network.id, project_id=project.id, ip_version=4, cidr="10.77.0.0/24")

    def remove(self) -> None:
        """Delete what they still have in Higgins, the users and the projects."""
        for persona in ("member", "stranger"):
            if persona in self._known:
                api = self.api(persona)
                for left in api("GET", "/containers").body["containers"]:
                    api.delete(left["uuid"])
        for network in self._networks:
            self._cloud.admin.network.delete_network(network)
        # Neutron keeps a group named default for every project that has looked.
        for project in self._projects:
            for group in self._cloud.admin.network.security_groups(project_id=project.id):
                self._cloud.admin.network.delete_security_group(group)
        keystone = self._cloud.admin.identity
        for user in self._users:
            keystone.delete_user(user)
        for project in self._projects:
            keystone.delete_project(project)

    @property
    def project_ids(self) -> list[str]:
        """Both projects."""
        return [project.id for project in self._projects]

    def connection(self, persona: str) -> openstack.connection.Connection:
        """The SDK as reader, member, manager, admin (all of one project) or stranger."""
        return self._known[persona]

    def api(self, persona: str) -> Api:
        """Higgins as one of them."""
        return self._cloud.api(self._known[persona])
