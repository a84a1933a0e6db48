"""Takes away what carries our label and nobody assigned: containers, networks, mounts and injected files, after a time of grace.

Volumes of the engine hold data and are only listed. Nothing is taken before the controller has said once what is all of this host.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable

from higgins.agent.hands.block.volumes import BlockVolumes
from higgins.agent.hands.file import Files
from higgins.agent.hands.network.plugs import Network
from higgins.agent.observe import Observer
from higgins.core import errors, model
from higgins.engine.api import Engine, LeavesHalves

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What nobody was assigned: containers, and pods of which files, networks or mounted volumes of Cinder are left."""

    containers: tuple[model.ContainerFacts, ...] = ()
    files: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


class Orphans:
    """Finds and removes orphans; every method may be called from any thread."""

    def __init__(
        self,
        engine: Engine,
        observer: Observer,
        files: Files,
        assigned: Callable[[str], bool],
        *,
        grace_s: float,
        network: Network | None = None,
        blocks: BlockVolumes | None = None,
    ) -> None:
        self._engine, self._observer, self._files, self._assigned = engine, observer, files, assigned
        self._grace_s, self._network, self._blocks = grace_s, network, blocks
        self._lock = threading.Lock()
        self._allowed = False
        self._seen: dict[tuple[str, str], float] = {}

    def allow(self) -> None:
        """The controller has said what is all of this host."""
        with self._lock:
            self._allowed = True

    def found(self) -> Leftovers:
        """What of ours no pod of this host accounts for."""
        kept = [*(facts for _, facts in sorted(self._observer.cached().items())), *self._observer.halves()]
        return Leftovers(
            containers=tuple(facts for facts in kept if not self._assigned(facts.pod)),
            files=tuple(pod for pod in self._files.pods() if not self._assigned(pod)),
            networks=self._network.strangers(self._assigned) if self._network else (),
            volumes=self._blocks.strangers(self._assigned) if self._blocks else (),
        )

    def settle(self) -> None:
        """Look again at what may have changed and no pod of this host accounts for; ``Unavailable`` when the engine does not tell all."""
        if self._observer.settle_strangers(self._assigned):
            raise errors.Unavailable("The engine does not tell of every container on this host; see the agent's log.")

    def sweep(self) -> None:
        """Remove orphans seen for longer than the grace time."""
        self._remove(self._grace_s)

    def repair(self) -> Leftovers:
        """Remove every orphan now; nothing when the controller has not said yet what is all of this host."""
        return self._remove(0.0)

    def _remove(self, grace_s: float) -> Leftovers:
        with self._lock:
            if not self._allowed or not self._observer.known:
                return Leftovers()  # what a container uses is taken away after it, so that all containers must be known
        unclear = self._observer.settle_strangers(self._assigned)
        found = self.found()
        now = time.monotonic()
        with self._lock:
            named = [("container", _name(facts)) for facts in found.containers]
            named += [*(("files", pod) for pod in found.files), *(("network", pod) for pod in found.networks)]
            named += [("volumes", pod) for pod in found.volumes]
            self._seen = {name: self._seen.get(name, now) for name in named}
            due = {name for name, since in self._seen.items() if now - since >= grace_s}
        containers = tuple(each for each in found.containers if self._is_due(due, "container", _name(each), each.pod))
        in_use = {each.pod for each in found.containers if each not in containers} | unclear

        def left(kind: str, pods: tuple[str, ...]) -> tuple[str, ...]:
            if "" in in_use:  # a container of which nobody knows whose it is
                return ()
            return tuple(pod for pod in pods if pod not in in_use and self._is_due(due, kind, pod, pod))

        return self._take_away(
            Leftovers(
                containers=containers,
                files=left("files", found.files),
                networks=left("network", found.networks),
                volumes=left("volumes", found.volumes),
            )
        )

    def _is_due(self, due: set[tuple[str, str]], kind: str, name: str, pod: str) -> bool:
        return (kind, name) in due and not self._assigned(pod)

    def _take_away(self, due: Leftovers) -> Leftovers:
        """Each by itself: one that does not go holds up nothing but what its own pod still uses. Gives what went."""
        containers = tuple(
            facts
            for facts in due.containers
            if self._went("container", _name(facts), functools.partial(self._remove_container, facts))
        )
        in_use = {facts.pod for facts in due.containers if facts not in containers}

        def went(kind: str, remove: Callable[[str], None], pods: tuple[str, ...]) -> tuple[str, ...]:
            free = (pod for pod in pods if pod not in in_use)
            return tuple(pod for pod in free if self._went(kind, pod, functools.partial(remove, pod)))

        return Leftovers(
            containers=containers,
            networks=went("network", self._remove_network, due.networks),
            volumes=went("volumes", self._leave_volumes, due.volumes),
            files=went("files", self._files.remove, due.files),
        )

    def _went(self, kind: str, name: str, remove: Callable[[], None]) -> bool:
        try:
            remove()
        except errors.HigginsError as error:
            LOG.warning("The %s of %s stays for now: %s", kind, name, error.message)
        except Exception:
            LOG.exception("Removing the %s of %s broke", kind, name)
        else:
            return True
        with self._lock:
            self._seen[kind, name] = time.monotonic()
        return False

    def _remove_container(self, facts: model.ContainerFacts) -> None:
        LOG.warning("Removing container %s: pod %s is not assigned to this host", facts.uuid, facts.pod)
        if facts.uuid not in self._observer.cached() and isinstance(self._engine, LeavesHalves):
            self._engine.remove_half(facts.engine_id)
        else:
            self._engine.remove(facts.uuid)
        self._observer.removed(facts.uuid)

    def _remove_network(self, pod: str) -> None:
        LOG.warning("Removing the network of pod %s, which is not assigned to this host", pod)
        if self._network:
            self._network.remove(pod)

    def _leave_volumes(self, pod: str) -> None:
        LOG.warning("Unmounting the volumes of pod %s, which is not assigned to this host", pod)
        if self._blocks:
            self._blocks.leave(pod)


def _name(facts: model.ContainerFacts) -> str:
    """Names it in the log, and apart from what is made under its uuid later."""
    return f"{facts.uuid} ({facts.engine_id})"
