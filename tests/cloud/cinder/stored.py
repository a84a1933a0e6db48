"""Use cases, scheduler, provisioning and the host's hands over a store of their own and the real Cinder, run by hand; there is no engine.

Cinder's answers can be lost after it has done what it was asked.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import uuid
from collections.abc import Callable
from typing import Any

from higgins.agent.hands.block import table
from higgins.agent.hands.block.brick import Brick
from higgins.agent.hands.block.volumes import BlockVolumes
from higgins.cloud.cinder import MICROVERSION, TYPE, Cinder
from higgins.cloud.services import Services
from higgins.cloud.session import Account, Caller, Session
from higgins.control import service
from higgins.control.means import Means
from higgins.control.requests import MountRequest, NewContainer
from higgins.control.settings import Settings
from higgins.core import caller, errors, model
from higgins.core.phase import Phase
from higgins.policy.enforce import Policy
from higgins.provision.attachments import Attachments
from higgins.provision.loop import Provisioner
from higgins.provision.volumes import NewVolumes, Volumes
from higgins.scheduler.loop import Scheduler
from higgins.store import hosts, migrate, pods
from higgins.store.agents import assignments, reports
from higgins.store.loops import ledger
from higgins.store.pods import Pod
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import contract
from higgins.wire.hints import LocalHints
from tests.cloud.cloud_world import PATIENCE_S, Cloud, People, until

HOST = "node1"
EVERYTHING = caller.Scope(None)


class Lossy:
    """Passes calls on to Cinder; of each in ``lost`` one answer never comes back, though Cinder did its part."""

    def __init__(self, inner: Caller) -> None:
        self._inner = inner
        self.lost: list[str] = []

    def call(self, method: str, path: str, **given: Any) -> Any:
        answer = self._inner.call(method, path, **given)
        said = " /".join([method, "/".join(path.split("/")[1::2])])  # without ids
        if said in self.lost:
            self.lost.remove(said)
            raise errors.Timeout("Cinder did not answer in time. Try again later.")
        return answer


class Nobody:
    """There is no agent to put live questions to."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody answers {name}")


class Stored:
    """One installation with one host."""

    def __init__(self, folder: pathlib.Path, cloud: Cloud, people: People) -> None:
        url = f"sqlite:///{folder / 'higgins.db'}"
        migrate.upgrade(url)
        self.people, self.folder = people, folder
        self.db = Database(url, durable=False)
        self.sealer = Sealer(bytes(range(32)))
        with self.db.write() as tx:
            self.installation = installation.ensure(tx, self.sealer)
        password = (cloud.place / "secret" / "higgins").read_text().strip()
        session = Session(
            Account(auth_url="http://127.0.0.1:5000/v3", username="higgins", password=password, timeout_s=PATIENCE_S)
        )
        self.asked = Lossy(session.service(TYPE, "Cinder", microversion=MICROVERSION, vouched=True))
        self.in_project = Lossy(
            session.service(TYPE, "Cinder", microversion=MICROVERSION, project_id=people.project_ids[0])
        )
        self.cinder = Cinder(self.asked, lambda _project: self.in_project)
        means = Means(
            db=self.db,
            sealer=self.sealer,
            policy=Policy(),
            hint=lambda _host_id, *, straight=False: None,
            installation=self.installation,
            settings=Settings(volume_drivers=("cinder",)),
            services=Services(session=session, cinder=self.cinder),
        )
        self.control = service.build(means, Nobody())
        self.scheduler = Scheduler(self.db, LocalHints(), first_host_s=0.0)
        self._numbers = 0
        self.hands = self.another_agent()
        with self.db.write() as tx:
            hosts.enroll(tx, HOST, uuid.uuid4().hex * 2)
            self.host_id = hosts.get(tx, HOST).id
        self.says(self.hands.connector())

    def says(self, connector: str) -> None:
        """The host's agent says hello with this."""
        facts = model.HostFacts(
            hostname=HOST, engine="fake", engine_version="1", engine_up=True, cpus=64, memory_mib=65536, disk_gib=100,
            connector=connector,
        )  # fmt: skip
        with self.db.write() as tx:
            hosts.hello(tx, self.host_id, facts, "unix:/nowhere", "token", self.sealer)

    def another_agent(self) -> BlockVolumes:
        """The host's hands as a fresh agent has them."""
        place = self.folder
        return BlockVolumes(
            place / "volumes", place / "formatting", Brick(place / "locks"), hostname=HOST, address="127.0.0.1"
        )

    def clean(self) -> None:
        """Nothing of the host's side is left, whatever a test did."""
        for name in table.mounts(self.folder / "volumes" / "at"):
            subprocess.run(["umount", self.folder / "volumes" / "at" / name], check=False)
        if "volumes" in table.mounts(self.folder):
            subprocess.run(["umount", self.folder / "volumes"], check=False)

    def who(self, persona: str = "member") -> caller.Caller:
        """One of the people with a fresh request id, as identity would have it."""
        connection = self.people.connection(persona)
        return caller.Caller(
            user_id=connection.current_user_id,
            project_id=connection.current_project_id,
            roles=frozenset({persona if persona != "stranger" else "member"}),
            request_id=f"req-{uuid.uuid4()}",
            token=connection.auth_token,
        )

    def volume(self, persona: str = "member", **fields: Any) -> Any:
        """A volume of a user's own, once it is available."""
        storage = self.people.connection(persona).block_storage
        made = storage.create_volume(**{"size": 1, "name": f"v-{uuid.uuid4().hex[:8]}"} | fields)
        return until("the volume", lambda: (now := storage.get_volume(made.id)).status == "available" and now)

    def shown(self, ident: str) -> Any:
        """A volume as the service sees it; ``None`` when it is gone."""
        with contextlib.suppress(errors.NotFound):
            return self.cinder.volume(ident)
        return None

    def gone(self, ident: str) -> None:
        """Wait until a volume is gone."""
        until(f"the volume {ident} to be gone", lambda: self.shown(ident) is None)

    def own_volumes(self) -> list[Any]:
        """The volumes that the member's project has, by its own word."""
        return list(self.people.connection("member").block_storage.volumes())

    def create(self, *mounts: MountRequest, persona: str = "member") -> Pod:
        """A container as it is wished."""
        new = NewContainer(image="busybox", cpu=0.1, memory_mib=4, mounts=mounts)
        return self.control.containers.create(self.who(persona), new, run=True)

    def settle(self) -> None:
        """One pass of the scheduler and of provisioning, by a controller that knows of no pause; more while Cinder is at it."""
        self.scheduler.run_once()
        self._passed(Provisioner.make_once)

    def take_back(self) -> None:
        """One pass over what is to be taken back, and more while Cinder is at it."""
        self._passed(Provisioner.take_back_once)

    def _passed(self, once: Callable[[Provisioner], float | None]) -> None:
        def is_over() -> bool:
            controller = self.provisioner()
            once(controller)
            pauses = (controller._making, controller._taking)
            return not any(one.looks for each in pauses for one in each._of.values())

        until("Cinder to end what it does", is_over)

    def provisioner(self) -> Provisioner:
        kinds = [
            Volumes(self.db),
            NewVolumes(self.cinder, self.installation),
            Attachments(self.cinder, self.installation),
        ]
        return Provisioner(self.db, LocalHints(), kinds, self.sealer)

    def grants(self, pod: Pod) -> tuple[model.VolumeGrant, ...]:
        """What the host is told of the pod's volumes."""
        with self.db.read() as tx:
            told = assignments.of_host(tx, self.host_id, 0, self.sealer)
        return next((one.volumes for one in told.pods if one.uuid == pod.uuid), ())

    def made(self, *mounts: MountRequest) -> tuple[Pod, list[pathlib.Path]]:
        """A container whose volumes its host has mounted, and where."""
        pod = self.create(*mounts)
        self.settle()
        return pod, self.mount(pod)

    def mount(self, pod: Pod) -> list[pathlib.Path]:
        granted = self.grants(pod)
        assert granted, self.now(pod).reason
        for grant in granted:
            self.hands.attach(pod.uuid, grant)
        return [self.hands.path(grant.name) for grant in granted]

    def delete(self, pod: Pod) -> None:
        """The container with all that it has outside."""
        self.control.containers.delete(self.who(), pod.uuid, stop=True)
        granted = {grant.name: grant for grant in self.grants(pod)}
        for name in self.hands.held(pod.uuid):
            self.hands.detach(pod.uuid, name, granted.get(name))
        self.report(pod, Phase.GONE)
        assert self.row(pod) is None, self.ledger(pod)

    def report(self, pod: Pod, phase: Phase) -> None:
        now = self.now(pod)
        self._numbers += 1
        status = model.PodStatus(phase=phase, observed_generation=now.generation, observed_run=now.run)
        said = contract.Report(number=self._numbers, pods=(contract.PodReport(uuid=pod.uuid, status=status),))
        with self.db.write() as tx:
            assert reports.take(tx, self.host_id, said)
        self.take_back()

    def row(self, pod: Pod) -> Pod | None:
        """The row as it is now; ``None`` when it is gone."""
        with self.db.read() as tx, contextlib.suppress(errors.NotFound):
            return pods.get(tx, pod.uuid, EVERYTHING)
        return None

    def now(self, pod: Pod) -> Pod:
        """The row as it is now."""
        found = self.row(pod)
        assert found is not None
        return found

    def ledger(self, pod: Pod) -> list[ledger.Entry]:
        """What is noted of things outside."""
        with self.db.read() as tx:
            return ledger.of(tx, [pod.uuid]).get(pod.uuid, [])
