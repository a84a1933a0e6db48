"""The whole of Higgins in this process over the cloud's real services, switch and engine, every call of it recorded.

It is an installation of its own: database, host, provider at Placement, ports; of all that nothing is left. Heartbeats are stretched
to an hour, so that only what an operation itself causes is seen. Beside it the cloud's own Higgins goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import pathlib
import secrets
import tempfile
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from falcon import testing
from oslo_config import cfg

from bench.callers import CPUS, MEMORY_MIB, SLEEP
from bench.cloud.spans import Recorder, Timed, TimedDatabase, http_recorded
from bench.cloud.town import CHASSIS, OVSDB, Town
from bench.house import CannotRun
from bench.work import HOUR_S, DatabaseCounter, Tally, settled
from higgins.agent.hands.network import kernel
from higgins.agent.hands.network.names import mark_of
from higgins.agent.hands.network.plugs import Network
from higgins.agent.hands.network.switch import Switch
from higgins.agent.journal import Journal
from higgins.agent.loop import Timings
from higgins.agent.service import Agent
from higgins.api.app import make_app
from higgins.cloud.services import Services
from higgins.cmd import clouds, parts
from higgins.conf import load
from higgins.control import service
from higgins.control.means import Means
from higgins.core import resources
from higgins.core.phase import Phase
from higgins.engine.load import open_engine
from higgins.engine.ports import TakesPorts
from higgins.policy.enforce import Policy
from higgins.provision.loop import Provisioner
from higgins.provision.ports import mark
from higgins.scheduler.inventories import Publisher
from higgins.scheduler.loop import Scheduler
from higgins.scheduler.placement import PlacementClaims
from higgins.store import hosts, migrate
from higgins.store.agents.desk import Desk
from higgins.store.claims import Ratios
from higgins.store.loops.holds import Holder
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import contract, hints
from higgins.wire.client import WireClient
from higgins.wire.server import Server

JOURNAL = ("assignments", "keep", "note", "note_pod", "intend", "resolved", "flush", "forget", "number")
RATIOS = Ratios(cpu=64, memory=16, disk=64)
TITLES = {
    "identity": "Keystone",
    "network": "Neutron",
    "placement": "Placement",
    "image": "Glance",
    "block-storage": "Cinder",
    "volumev3": "Cinder",
}


class Wire:
    """The agent's wire, recorded; it knows in which phase the controller was last told that a pod is."""

    def __init__(self, inner: WireClient, recorder: Recorder) -> None:
        self._inner, self._recorder = inner, recorder
        self._told = threading.Condition()
        self._phases: dict[str, Phase] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def assignments(self, since: int, wait_s: float) -> contract.Assignments:
        with self._recorder.span("wire", "assignments", "wire calls"):
            answer = self._inner.assignments(since, wait_s)
        self._recorder.mark("given")
        return answer

    def report(self, report: contract.Report) -> contract.ReportAnswer:
        phases = {pod.uuid: pod.status.phase for pod in report.pods}
        for phase in (Phase.RUNNING, Phase.GONE):
            if phase in phases.values():
                self._recorder.mark(phase)
        with self._recorder.span("wire", "report", "wire calls"):
            answer = self._inner.report(report)
        self._recorder.mark("told")
        with self._told:
            self._phases |= phases
            self._told.notify_all()
        return answer

    def wait(self, pod: str, phase: Phase) -> None:
        """Until that was reported."""
        with self._told:
            if not self._told.wait_for(lambda: self._phases.get(pod) in (phase, Phase.FAILED), 120):
                raise AssertionError(f"the pod is {self._phases.get(pod)}, not {phase}")
            if self._phases[pod] is not phase:
                raise AssertionError("the pod failed")


@dataclasses.dataclass(slots=True)
class Whole:
    """All parts, running."""

    town: Town
    engine: str
    client: testing.TestClient
    recorder: Recorder
    watched: Database
    services: Services
    wire: Wire
    token: str = ""

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request of the API; refusals are raised."""
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": "container 1.40"}
        answer = self.client.simulate_request(method, path, headers=headers, json=body)
        if answer.status_code >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.text}")
        return answer

    def create(self) -> str:
        """The uuid of a container on the town's network that is to run."""
        body = {
            "image": "busybox",
            "command": SLEEP,
            "cpu": CPUS,
            "memory": str(MEMORY_MIB),
            "nets": [{"network": self.town.network}],
        }
        return str(self.call("POST", "/v1/containers?run=true", body).json["uuid"])

    def as_for_one_who_calls_again(self, *, network_known: bool) -> None:
        """The user's token was just confirmed, and the network just used, or not: what is kept for a minute must not end within a round."""
        self.token = self.town.fresh_token()
        self.call("GET", "/v1/containers")
        neutron = self.services.neutron
        if neutron is None:
            raise CannotRun("The cloud's Higgins is not configured for Neutron.")
        neutron.forget(self.town.network)
        if network_known:
            neutron.layout(self.town.network)

    def settled(self, phase: Phase | None) -> None:
        """Until every pod has the phase, none is there for ``None``, and then until no part has done anything for a while."""
        settled(self.watched, self.recorder.tally, phase, within_s=120)


@contextlib.contextmanager
def whole(town: Town, engine: str) -> Iterator[Whole]:
    """All parts running on a host of their own with the cloud's engine."""
    recorder = Recorder(Tally())
    with contextlib.ExitStack() as undo:
        # A short path: that of a socket has at most 107 bytes.
        state = pathlib.Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="hw", dir="/tmp")))
        conf = _configuration(town, state, undo.enter_context(_database(town)))
        sealer, local, watched = parts.open_sealer(conf), hints.LocalHints(), parts.open_database(conf)
        undo.callback(watched.close)
        token = secrets.token_urlsafe(16)
        with watched.write() as tx:
            own = installation.ensure(tx, sealer)
            hosts.enroll(tx, "bench", hashlib.sha256(token.encode()).hexdigest())
        services = clouds.open_services(conf)
        if services is None or services.placement is None or services.neutron is None:
            raise CannotRun("The cloud's Higgins is not configured for Neutron and Placement.")
        undo.callback(_forget_outside, services, own)
        local.listen(recorder.mark)
        url = load.database_url(conf)
        of_api = TimedDatabase(url, recorder, observer=DatabaseCounter(recorder.tally, "api"))
        of_loops = TimedDatabase(url, recorder, observer=DatabaseCounter(recorder.tally))
        undo.callback(of_api.close)
        undo.callback(of_loops.close)
        wire = Wire(WireClient(f"unix:{state}/wire.sock", token), recorder)
        undo.callback(_wipe_host, engine, own, state)
        agent = _agent(engine, own, state, wire, recorder)
        for part in (*_controller(conf, of_loops, local, sealer, services), agent):
            part.start()
            undo.callback(part.stop)
        _publish(watched, services, own)
        client = testing.TestClient(_api(conf, of_api, sealer, own, services, local))
        undo.enter_context(http_recorded(recorder, _services(town)))
        yield Whole(town, engine, client, recorder, watched, services, wire)


@contextlib.contextmanager
def _database(town: Town) -> Iterator[str]:
    """A database of our own in the cloud's server, with tables."""
    name = f"bench_{uuid.uuid4().hex[:10]}"
    server = f"mysql+pymysql://root@localhost/{{}}?unix_socket={town.cloud.place}/run/mysql.sock&charset=utf8mb4"
    engine = sa.create_engine(server.format(""))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    try:
        migrate.upgrade(server.format(name))
        yield server.format(name)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")
        engine.dispose()


def _configuration(town: Town, state: pathlib.Path, url: str) -> cfg.ConfigOpts:
    """That of the cloud's own Higgins, with places of ours."""
    folder = town.cloud.place / "etc/higgins"
    conf = load.load("bench", ["--config-file", f"{folder}/higgins.conf", "--config-file", f"{folder}/local.conf"])
    conf.set_override("state_dir", str(state))
    conf.set_override("connection", url, "database")
    conf.set_override("listen", f"unix:{state}/wire.sock", "wire")
    conf.set_override("token_cache_s", 60, "keystone")
    return conf


def _services(town: Town) -> dict[str, str]:
    """The services of the catalogue, by host and port."""
    found = {}
    for entry in town.cloud.admin.service_catalog:
        for endpoint in entry["endpoints"]:
            if entry["type"] in TITLES:
                found[urllib.parse.urlsplit(endpoint["url"]).netloc] = TITLES[entry["type"]]
    return found | {"127.0.0.1:5000": "Keystone"}


def _api(
    conf: cfg.ConfigOpts, db: Database, sealer: Sealer, own: str, services: Services, local: hints.LocalHints
) -> Any:
    means = Means(
        db=db,
        sealer=sealer,
        policy=Policy(),
        hint=hints.after_wish(local),
        installation=own,
        settings=parts.settings(conf),
        services=services,
    )
    return make_app(service.build(means, parts.AgentQuestions()), clouds.open_identity(conf))


def _controller(
    conf: cfg.ConfigOpts, db: Database, local: hints.LocalHints, sealer: Sealer, services: Services
) -> list[Any]:
    holder = Holder("bench")
    with db.read() as tx:
        own = installation.uuid(tx)
    assert services.placement is not None
    return [
        Scheduler(
            db, local, ratios=RATIOS, interval_s=HOUR_S, hosts_kept_s=2 * HOUR_S, down_after_s=2 * HOUR_S,
            keeper=PlacementClaims(db, RATIOS, services.placement, own, holder), holder=holder,
        ),
        Provisioner(
            db, local, clouds.open_kinds(services, db), sealer, interval_s=HOUR_S, at_once=16, holder=holder
        ),
        Server(Desk(db, sealer), local, load.wire_address(conf), sweep_s=HOUR_S, credential_kept_s=HOUR_S),
    ]  # fmt: skip


def _agent(engine: str, own: str, state: pathlib.Path, wire: Wire, recorder: Recorder) -> Agent:
    driver: Any = open_engine(engine, f"unix:///run/higgins-{engine}.sock?installation={own}")
    driver.http = Timed(driver.http, recorder, engine, ("call", "stream"), "engine calls")
    (state / "agent").mkdir()
    plugs: Any = Timed(_network(driver, state), recorder, "plug", ("make", "plug", "unplug", "lend", "remove"))
    journal: Any = Timed(Journal(state / "agent/journal.sqlite"), recorder, "journal", JOURNAL)
    return Agent(
        driver,
        wire,
        hostname="bench",
        state_dir=state / "agent",
        live_address=f"unix:{state}/live.sock",
        live_token="bench",
        timings=Timings(inventory_s=HOUR_S),
        network_host=CHASSIS,
        network=plugs,
        journal=journal,
    )


def _network(driver: Any, state: pathlib.Path) -> Network:
    joins = not isinstance(driver, TakesPorts)
    return Network(mark_of(str(state)), kernel, Switch(OVSDB), joins=joins, eager=True)


def _publish(db: Database, services: Services, own: str) -> None:
    """Have Placement know the host, once its agent has told what it has."""
    assert services.placement is not None
    deadline, pause = time.monotonic() + 60, threading.Event()
    publisher = Publisher(db, hints.LocalHints(), services.placement, own, ratios=RATIOS)
    while not services.placement.providers(required=(resources.trait(own),)):
        if time.monotonic() > deadline:
            raise CannotRun("The host of the benchmark did not come up.")
        pause.wait(0.2)
        publisher.run_once()


def _forget_outside(services: Services, own: str) -> None:
    """Take away what a run that broke off left at Neutron, and our provider at Placement."""
    assert services.placement is not None
    assert services.neutron is not None
    for port in services.neutron.ports(description=mark(own)):
        services.neutron.delete_port(port.id)
    for provider in services.placement.providers(required=(resources.trait(own),)):
        for consumer in services.placement.taken_of(provider.uuid):
            services.placement.give_back(consumer)
        services.placement.delete_provider(provider.uuid)
    services.placement.drop_trait(resources.trait(own))


def _wipe_host(engine: str, own: str, state: pathlib.Path) -> None:
    """Take away the containers and plugs that a run which broke off left, and the docker driver's own networks."""
    driver: Any = open_engine(engine, f"unix:///run/higgins-{engine}.sock?installation={own}")
    with contextlib.closing(driver):
        for found in driver.list():
            driver.remove(found.uuid)
        if engine == "docker":
            for network in driver.call("GET", "/networks", "list").json():
                if network["Driver"] == driver.networks.driver:
                    driver.call("DELETE", f"/networks/{network['Id']}", "remove")
        plugs = _network(driver, state)
        plugs.look()
        for pod in plugs.strangers(lambda _: False):
            plugs.remove(pod)
