"""The cloud as a benchmark uses it: a project and a network of its own, the cloud's Higgins by HTTP, and Neutron and an engine asked alone."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import pathlib
import time
import uuid
from collections.abc import Iterator

from bench.callers import Api, Caller, RawEngine
from bench.house import CannotRun
from higgins.cloud.neutron import Neutron, NewPort
from higgins.cloud.session import Account, Session
from higgins.provision.ports import DEVICE_OWNER
from tests.cloud.cloud_world import KEYSTONE, Cloud, People

CHASSIS = "node1"
OVSDB = "unix:/run/openvswitch/db.sock"
HOSTS = {"podman": CHASSIS, "docker": f"{CHASSIS}-docker"}
PORT = 9517


class CloudApi(Api):
    """The API of the cloud's own Higgins for whoever holds a token; containers are made on one host and one network."""

    def __init__(self, token: str, host: str, network: str) -> None:
        self._fields = {"host": host, "nets": [{"network": network}]}
        headers = {"X-Auth-Token": token, "OpenStack-API-Version": "container 1.40"}
        Caller.__init__(self, http.client.HTTPConnection("127.0.0.1", PORT, timeout=120), "/v1", headers)

    def create(self, *, run: bool = True, **fields: object) -> str:
        """As the other's."""
        return super().create(run=run, **self._fields, **fields)

    def ask(self, ident: str, action: str) -> None:
        """Wish a container started, or stopped at once."""
        self.call("POST", f"/containers/{ident}/{action}" + ("?timeout=0" if action == "stop" else ""))


@dataclasses.dataclass(slots=True)
class Town:
    """A cloud, and in it people of our own with a network."""

    cloud: Cloud
    people: People
    network: str

    def api(self, engine: str) -> CloudApi:
        """The cloud's Higgins as the project's administrator, who may choose the host; for one thread."""
        return CloudApi(str(self.people.connection("admin").auth_token), HOSTS[engine], self.network)

    def fresh_token(self) -> str:
        """A token of the project's administrator that nobody has seen yet."""
        connection = self.people.connection("admin")
        connection.session.invalidate()
        return str(connection.authorize())

    def alone(self, engine: str) -> Alone:
        """Neutron and the engine, for one thread."""
        password = (self.cloud.place / "secret" / "higgins").read_text().strip()
        neutron = Neutron.of(Session(Account(auth_url=KEYSTONE, username="higgins", password=password)))
        return Alone(
            neutron, RawEngine(f"/run/higgins-{engine}.sock", engine), self.network, self.people.project_ids[0]
        )


@dataclasses.dataclass(slots=True)
class Alone:
    """What a container on a network takes of Neutron and of the engine, each asked by itself: a port bound to the host, create and start."""

    neutron: Neutron
    engine: RawEngine
    network: str
    project: str

    def port(self) -> str:
        """The id of a port like those of containers."""
        new = NewPort(
            network_id=self.network, project_id=self.project, name="bench", description="bench",
            device_id=str(uuid.uuid4()), device_owner=DEVICE_OWNER, host=CHASSIS,
        )  # fmt: skip
        return self.neutron.create_port(new).id

    def run(self) -> str:
        """The id of a container that runs, on the engine's own network."""
        ident = self.engine.create()
        self.engine.start(ident)
        return ident


@contextlib.contextmanager
def town() -> Iterator[Town]:
    """The cloud around us, with people who are gone afterwards with all that is theirs."""
    place = os.environ.get("HIGGINS_CLOUD")
    if not place:
        raise CannotRun(
            "This needs a whole OpenStack. Bring one up with script/cloud up, then: script/cloud exec admin bench/run ..."
        )
    cloud = Cloud(pathlib.Path(place))
    people = People(cloud, f"bench-{uuid.uuid4().hex[:8]}")
    try:
        people.make()
        network = people.connection("member").network.find_network(people.name, ignore_missing=False)
        yield Town(cloud, people, network.id)
    finally:
        _wait_gone(people)
        people.remove()


def _wait_gone(people: People) -> None:
    """Take away what a run that broke off left to the cloud's Higgins, and ports that were made alone."""
    with contextlib.suppress(KeyError):
        api = people.api("admin")
        for left in api("GET", "/containers").body["containers"]:
            api("DELETE", f"/containers/{left['uuid']}", force="true")
        deadline = time.monotonic() + 60
        while api("GET", "/containers").body["containers"] and time.monotonic() < deadline:
            time.sleep(0.2)
        neutron = people.connection("admin").network
        for port in neutron.ports(project_id=people.project_ids[0], device_owner=DEVICE_OWNER):
            neutron.delete_port(port)
