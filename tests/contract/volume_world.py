"""An installation whose pods have volumes of a Cinder in memory, for tests of the loops that make and take them back."""

from __future__ import annotations

import uuid

from higgins.core import model
from higgins.core.phase import Phase
from higgins.provision.attachments import Attachments
from higgins.provision.audits import cinder as audit
from higgins.provision.audits.stray import Audit
from higgins.provision.audits.sweep import Sweep
from higgins.provision.loop import Provisioner
from higgins.provision.volumes import NewVolumes
from higgins.scheduler.loop import Scheduler
from higgins.store.loops import ledger
from higgins.store.pods import Pod
from higgins.store.records import installation
from higgins.wire.hints import LocalHints
from tests.contract.cinder_double import CinderDouble
from tests.contract.store_rows import Rows, status

HOST = '{"host": "host1"}'


class World:
    """One installation with one host, over a Cinder in memory."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.db, self.double = rows, rows.db, CinderDouble()
        with self.db.write() as tx:
            self.installation = installation.ensure(tx, rows.sealer)
        self.host_id = rows.host("host1", connector=HOST)
        cinder = self.double.port()
        self.kinds = [NewVolumes(cinder, self.installation), Attachments(cinder, self.installation)]
        self.loop = self.another()
        self._numbers = 0

    def another(self) -> Provisioner:
        """A controller that knows of no pause."""
        return Provisioner(self.db, LocalHints(), self.kinds, self.rows.sealer)

    def pod(self, name: str = "web", *, volume: str | None = None, read_only: bool = False) -> Pod:
        """A pod with its host, that mounts a volume, or else one of a size."""
        mount = model.Mount(
            destination="/d", driver="cinder", volume=volume or str(uuid.uuid4()), size_gib=None if volume else 1, read_only=read_only
        )  # fmt: skip
        made = self.rows.pod(name, container={"mounts": (mount,)})
        Scheduler(self.db, LocalHints()).run_once()
        return self.rows.again(made)

    def made(self, **words: object) -> tuple[Pod, str]:
        """A pod that is handed to its host, and its volume's id."""
        pod = self.pod(**words)  # type: ignore[arg-type]
        self.another().make_once()
        assert self.rows.again(pod).provision_generation == 1, self.rows.again(pod).provision_reason
        return pod, self.noted(pod)["cinder_volume"]

    def noted(self, pod: Pod) -> dict[str, str]:
        """What the ledger calls a pod's things, by kind."""
        with self.db.read() as tx:
            return {one.kind: str(one.external_id) for one in ledger.of(tx, [pod.uuid]).get(pod.uuid, [])}

    def gone(self, pod: Pod) -> None:
        """The pod is deleted and its host has let go of it."""
        self.rows.delete(pod)
        self._numbers += 1
        assert self.rows.report(self.host_id, self._numbers, (pod, status(Phase.GONE, 2)))

    def deleted(self, pod: Pod) -> None:
        """The pod is gone with its row."""
        self.gone(pod)
        self.another().take_back_once()
        assert not self.rows.exists(pod)

    def sweep(self) -> Sweep:
        """The controller's sweep."""
        cinder = self.double.port()
        look = Audit("Cinder", self.kinds, lambda now: audit.strays(now, cinder, self.db))
        return Sweep(self.db, LocalHints(), [look], every_s=3600)
