"""An installation of the tests' own at the real Placement: its rows in a file, its loops called by hand, its calls counted and cut."""

from __future__ import annotations

import dataclasses
import pathlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from higgins.cloud.placement import MICROVERSION, Placement
from higgins.cloud.session import Account, Service, Session
from higgins.core import errors, resources
from higgins.provision.allocations import Allocations
from higgins.provision.loop import Provisioner
from higgins.scheduler.inventories import Publisher, Reserved
from higgins.scheduler.loop import Scheduler
from higgins.scheduler.placement import PlacementClaims
from higgins.store import hosts, migrate, pods
from higgins.store.claims import Ratios
from higgins.store.loops import ledger
from higgins.store.loops.holds import Holder
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import hints
from tests.cloud.cloud_world import KEYSTONE, PATIENCE_S
from tests.contract.store_rows import Rows

RATIOS = Ratios(cpu=2.0, memory=1.0, disk=1.0)
SEALER = Sealer(bytes(range(32)))


class Watched:
    """Placement's API of which each call is written down; ``cut`` is told of a call and raises in place of the answer, or not."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.calls: list[str] = []
        self.cut: Callable[[str, bool], None] = lambda _call, _done: None

    def call(self, method: str, path: str, **given: Any) -> Any:
        said = f"{method} /{path.split('/')[1]}"
        self.calls.append(said)
        self.cut(said, False)
        answer = self._service.call(method, path, **given)
        self.cut(said, True)
        return answer


def lost(what: str, times: int = 1) -> Callable[[str, bool], None]:
    """The first answers to this call get lost after it was carried out."""
    left = [times]

    def cut(call: str, done: bool) -> None:
        if done and call == what and left[0]:
            left[0] -= 1
            raise errors.Unavailable("The connection to Placement broke off. Try again later.")

    return cut


@dataclasses.dataclass
class World:
    """The installation. ``made`` are providers that a test made beside it."""

    rows: Rows
    url: str
    watched: Watched
    placement: Placement
    installation: str
    holder: Holder
    session: Session
    made: list[str] = dataclasses.field(default_factory=list)

    @property
    def db(self) -> Database:
        return self.rows.db

    def keeper(self, db: Database | None = None, holder: Holder | None = None) -> PlacementClaims:
        return PlacementClaims(db or self.db, RATIOS, self.placement, self.installation, holder or self.holder)

    def publisher(self) -> Publisher:
        reserved = Reserved(memory_mib=100)
        return Publisher(
            self.db, hints.LocalHints(), self.placement, self.installation, ratios=RATIOS, reserved=reserved
        )

    def publish(self) -> None:
        """As a controller does that has just started."""
        self.publisher().run_once()

    def scheduler(self, **given: Any) -> Scheduler:
        return Scheduler(self.db, hints.LocalHints(), ratios=RATIOS, keeper=self.keeper(), holder=self.holder, **given)

    def provisioner(self) -> Provisioner:
        return Provisioner(self.db, hints.LocalHints(), [Allocations(self.placement)], SEALER, holder=self.holder)

    def placed(self, name: str = "web", **changes: Any) -> pods.Pod:
        pod = self.rows.pod(name, **changes)
        self.scheduler().run_once()
        return self.rows.again(pod)

    def entries(self, pod: pods.Pod) -> list[ledger.Entry]:
        with self.db.read() as tx:
            return ledger.of(tx, [pod.uuid]).get(pod.uuid, [])

    def taken(self) -> dict[str, dict[str, int]]:
        """All that is taken of our hosts, by consumer."""
        found: dict[str, dict[str, int]] = {}
        for provider in self.ours():
            found |= self.placement.taken_of(provider)
        return found

    def ours(self) -> list[str]:
        return [one.uuid for one in self.placement.providers(required=(resources.trait(self.installation),))]

    def foreign(self, name: str, **inventories: Any) -> str:
        """A provider of somebody else."""
        ident = str(uuid.uuid4())
        self.made.append(ident)
        generation = self.placement.create_provider(ident, name).generation
        self.placement.set_inventories(ident, generation, inventories)
        return ident


def logged_in(password: str) -> Session:
    """The service itself."""
    return Session(Account(auth_url=KEYSTONE, username="higgins", password=password, timeout_s=PATIENCE_S))


def migrated(folder: pathlib.Path) -> pathlib.Path:
    """A file with empty tables."""
    path = folder / "empty.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


def world(url: str, session: Session) -> Iterator[World]:
    """An empty installation; at the end nothing of it is left at Placement."""
    watched = Watched(session.service("placement", "Placement", microversion=MICROVERSION))
    placement, installed, db = Placement(watched), str(uuid.uuid4()), Database(url, durable=False)
    found = World(Rows(db, SEALER), url, watched, placement, installed, Holder("tests"), session)
    try:
        yield found
    finally:
        watched.cut = lambda _call, _done: None
        for ident in (*found.ours(), *found.made):
            for consumer in placement.taken_of(ident):
                placement.give_back(consumer)
            placement.delete_provider(ident)
        placement.drop_trait(resources.trait(installed))
        db.close()


def host_uuid(found: World, hostname: str = "host1") -> str:
    """The uuid of one of our hosts."""
    with found.db.read() as tx:
        return hosts.get(tx, hostname).uuid
