"""The kinds of outside things: what a pod wants of each, how it is made and taken back. A new kind is a class here and a line in cmd."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from higgins.core import errors
from higgins.provision.plan import Want
from higgins.store.pods import Pod
from higgins.store.records import volumes
from higgins.store.session import Database


class Kind(Protocol):
    """One kind of outside thing. All three calls are safe to repeat, whatever a crash left half done."""

    name: str

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """What a pod with a host wants of this kind. Decides from the pod alone; asks nobody."""
        ...

    def make(self, pod: Pod, key: str) -> str:
        """Make one thing and give what the outside calls it; ``retryable`` errors are tried again, others fail the pod's wish."""
        ...

    def take_back(self, pod: Pod, key: str, external_id: str | None) -> None:
        """Take one thing back; nothing happens when it is not there. ``external_id`` is ``None`` when making it was never confirmed."""
        ...


class Volumes:
    """Local volumes: a record bound to the pod's host, where the agent makes the volume itself.

    A volume that goes with its pod loses its record here, after the host has reported its data gone; any other stays and stays bound.
    """

    name = "volume"

    def __init__(self, db: Database) -> None:
        self._db = db

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """Each volume that the pod mounts."""
        for uuid in volumes.mounted_by(pod.spec):
            yield Want(kind=self.name, key=uuid, why="a container of the pod mounts it")

    def make(self, pod: Pod, key: str) -> str:
        """Bind the record to the pod's host; ``Invalid`` when its data is on another one."""
        if pod.host_id is None:
            raise errors.Conflict("The pod has no host yet.")
        with self._db.write() as tx:
            if not volumes.bind(tx, key, pod.host_id):
                raise errors.Invalid(
                    f"The volume {key} is not on the host of this container, or was deleted. Create the container anew."
                )
        return key

    def take_back(self, pod: Pod, key: str, external_id: str | None) -> None:  # noqa: D102 - see Kind
        with self._db.write() as tx:
            found = volumes.of(tx, (key,)).get(key)
            if found is not None and found.pod_uuid == pod.uuid:
                volumes.delete(tx, key)


def by_name(kinds: Sequence[Kind]) -> dict[str, Kind]:
    """Kinds by the name that their ledger entries carry."""
    return {kind.name: kind for kind in kinds}
