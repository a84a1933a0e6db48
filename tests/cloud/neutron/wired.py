"""Use cases, scheduler and provisioning over a store of their own and the real Neutron, run by hand; only the host's agent is a double.

What Neutron is asked is counted, and its answers can be lost after it has done what it was asked.
"""

from __future__ import annotations

import dataclasses
import pathlib
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
import openstack

from higgins.cloud.neutron import Neutron
from higgins.cloud.services import Services
from higgins.cloud.session import Account, Caller, Session
from higgins.control import service
from higgins.control.means import Means
from higgins.control.requests import NetworkRequest, NewContainer
from higgins.core import caller, errors, model
from higgins.core.phase import Phase
from higgins.policy.enforce import Policy
from higgins.provision.groups import SecurityGroups
from higgins.provision.loop import Provisioner
from higgins.provision.ports import Ports
from higgins.provision.undo import Undo
from higgins.scheduler.loop import Scheduler
from higgins.store import hosts, migrate, pods
from higgins.store.agents import assignments, reports
from higgins.store.loops import ledger
from higgins.store.pods import Pod
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database, Transaction
from higgins.wire import contract
from higgins.wire.hints import LocalHints
from tests.cloud.cloud_world import PATIENCE_S, Cloud, People

CHASSIS = "node1"
EVERYTHING = caller.Scope(None)


class Watched:
    """Passes calls on to Neutron and keeps them; of those in ``lost`` the answer never comes back, though Neutron did its part."""

    def __init__(self, inner: Caller) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.calls: list[str] = []
        self.lost: list[str] = []

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Any:
        said = f"{method} {'/'.join(path.split('/')[:2])}"
        with self._lock:
            self.calls.append(said)
        answer = self._inner.call(method, path, body=body, query=query, headers=headers, token=token)
        with self._lock:
            if said in self.lost:
                self.lost.remove(said)
                raise errors.Timeout("Neutron did not answer in time. Try again later.")
        return answer

    def since(self) -> list[str]:
        """The calls since the last look."""
        with self._lock:
            found, self.calls = self.calls, []
        return found


class Nobody:
    """There is no agent to put live questions to."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody answers {name}")


class Wired:
    """One installation with one host, whose name at Neutron is ``chassis``."""

    def __init__(self, folder: pathlib.Path, cloud: Cloud, people: People, *, chassis: str = CHASSIS) -> None:
        url = f"sqlite:///{folder / 'higgins.db'}"
        migrate.upgrade(url)
        self.people = people
        self.db = Database(url, durable=False)
        self.sealer = Sealer(bytes(range(32)))
        with self.db.write() as tx:
            self.installation = installation.ensure(tx, self.sealer)
        password = (cloud.place / "secret" / "higgins").read_text().strip()
        session = Session(
            Account(auth_url="http://127.0.0.1:5000/v3", username="higgins", password=password, timeout_s=PATIENCE_S)
        )
        self.watched = Watched(session.service("network", "Neutron", path="/v2.0"))
        self.neutron = Neutron(self.watched)
        means = Means(
            db=self.db,
            sealer=self.sealer,
            policy=Policy(),
            hint=lambda _host_id, *, straight=False: None,
            installation=self.installation,
            services=Services(session=session, neutron=self.neutron),
        )
        self.control = service.build(means, Nobody())
        self.scheduler = Scheduler(self.db, LocalHints(), first_host_s=0.0, hosts_kept_s=0.0)
        self.provisioner = self._provisioner()
        self._numbers = 0
        with self.db.write() as tx:
            hosts.enroll(tx, "host-1", uuid.uuid4().hex * 2)
            self.host_id = hosts.get(tx, "host-1").id
            self._hello(tx, chassis)

    def _provisioner(self) -> Provisioner:
        kinds = [SecurityGroups(self.neutron, self.installation), Ports(self.neutron, self.installation)]
        self.undo = Undo(self.db, LocalHints(), self.sealer)
        return Provisioner(self.db, LocalHints(), kinds, self.sealer)

    def _hello(self, tx: Transaction, chassis: str) -> None:
        facts = model.HostFacts(
            hostname="host-1", engine="fake", engine_version="1", engine_up=True, cpus=64, memory_mib=65536,
            disk_gib=100, network_host=chassis,
        )  # fmt: skip
        hosts.hello(tx, self.host_id, facts, "unix:/nowhere", "token", self.sealer)

    def who(self, persona: str = "member") -> caller.Caller:
        """One of the people with a fresh request id."""
        return caller_of(self.people.connection(persona), persona if persona != "stranger" else "member")

    def create(self, *nets: NetworkRequest, who: caller.Caller | None = None, **fields: Any) -> Pod:
        """A container as it is wished, by the member unless somebody else is named."""
        new = NewContainer(image="busybox", cpu=0.1, memory_mib=4, nets=nets, **fields)
        return self.control.containers.create(who or self.who(), new, run=True)

    def made(self, *nets: NetworkRequest, **fields: Any) -> Pod:
        """A container that its host runs."""
        pod = self.create(*nets, **fields)
        self.settle()
        return self.report(pod)

    def settle(self) -> None:
        """One pass of the scheduler and of provisioning."""
        self.scheduler.run_once()
        self.provisioner.make_once()

    def report(
        self, pod: Pod, phase: Phase = Phase.RUNNING, *, plugged: tuple[model.Plug, ...] | None = None, reason: str = ""
    ) -> Pod:
        """The host has dealt with the newest wish, refusing what is not ``plugged``, and provisioning takes back what that sets free."""
        now = self.row(pod)
        assert now is not None
        assert now.host_id is not None
        self._numbers += 1
        wanted = self.plugs(pod)
        has = wanted if plugged is None else plugged
        status = model.PodStatus(
            phase=phase,
            observed_generation=now.generation,
            observed_run=now.run,
            reason=reason,
            addresses=addresses(has),
            ports=tuple(model.PluggedPort(port=one.port, network=one.network, given=one.given) for one in has),
            failed=has != wanted,
            refused=tuple(one.port for one in wanted if one not in has)[:1],
        )
        said = contract.Report(number=self._numbers, pods=(contract.PodReport(uuid=pod.uuid, status=status),))
        with self.db.write() as tx:
            assert reports.take(tx, now.host_id, said)
        self.provisioner.take_back_once()
        return self.row(pod) or pod

    def delete(self, pod: Pod) -> None:
        """The container with all that it has outside."""
        if self.row(pod) is None:
            return
        self.control.containers.delete(self.who(), pod.uuid, force=False, stop=True)
        now = self.row(pod)
        if now is not None and now.host_id is not None:
            self.report(pod, Phase.GONE)
        else:
            self.provisioner.take_back_once()
        assert self.row(pod) is None, self.ledger(pod)

    def row(self, pod: Pod) -> Pod | None:
        """The row as it is now; ``None`` when it is gone."""
        with self.db.read() as tx:
            try:
                return pods.get(tx, pod.uuid, EVERYTHING)
            except errors.NotFound:
                return None

    def ledger(self, pod: Pod) -> list[ledger.Entry]:
        """What is noted of things outside."""
        with self.db.read() as tx:
            return ledger.of(tx, [pod.uuid]).get(pod.uuid, [])

    def plugs(self, pod: Pod) -> tuple[model.Plug, ...]:
        """What the host is told of ports."""
        with self.db.read() as tx:
            told = assignments.of_host(tx, self.host_id, 0, self.sealer)
        return next((one.plugs for one in told.pods if one.uuid == pod.uuid), ())

    def ports(self, pod: Pod) -> list[Any]:
        """What Neutron has of it, by its own word."""
        return list(self.people.connection("member").network.ports(device_id=pod.uuid))

    def now(self, pod: Pod) -> Pod:
        """The row as it is now."""
        found = self.row(pod)
        assert found is not None
        return found

    def stopped(self, pod: Pod) -> Pod:
        """The container once its host has stopped it."""
        return self.report(pod, Phase.STOPPED)

    def settle_again(self) -> None:
        """One more pass for what was put off: another controller does it, which knows of no pause."""
        self.provisioner = self._provisioner()
        self.settle()
        self.provisioner.take_back_once()

    def move(self, chassis: str) -> None:
        """The host has another name at Neutron."""
        with self.db.write() as tx:
            self._hello(tx, chassis)

    def groups(self, pod: Pod) -> set[str]:
        """The security groups of its one port."""
        [port] = self.ports(pod)
        return {*port.security_group_ids}

    def end(self) -> None:
        """Delete what is left and let the store go."""
        self.watched.lost.clear()
        with self.db.read() as tx:
            left = pods.list(tx, EVERYTHING)
        for pod in left:
            self.delete(pod)
        self.db.close()


def caller_of(connection: openstack.connection.Connection, role: str) -> caller.Caller:
    """A user as identity would have him."""
    return caller.Caller(
        user_id=connection.current_user_id,
        project_id=connection.current_project_id,
        roles=frozenset({role}),
        request_id=f"req-{uuid.uuid4()}",
        token=connection.auth_token,
    )


def addresses(plugs: tuple[model.Plug, ...]) -> tuple[model.Address, ...]:
    """A host's report of what it has plugged."""
    return tuple(
        model.Address(
            network=plug.network, addr=ip.addr, version=ip.version, port=plug.port, subnet=ip.subnet,
            preserve_on_delete=plug.given,
        )
        for plug in plugs
        for ip in plug.fixed_ips
    )  # fmt: skip


def data_of(entry: ledger.Entry) -> dict[str, Any]:
    """What the ledger keeps of a port beside its name."""
    found: dict[str, Any] = msgspec.json.decode(entry.data or "{}")
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Net:
    """A network of the tests."""

    id: str
    v4: str
    v6: str
