"""Takes away what carries our label and nobody assigned: containers and injected files, after a time of grace.

Volumes hold data and are only listed. Nothing is taken before the controller has said once what is all of this host.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from higgins.agent.hands.file import Files
from higgins.agent.observe import Observer
from higgins.core import model
from higgins.engine.api import Engine

LOG = logging.getLogger(__name__)


class Orphans:
    """Finds and removes orphans; every method may be called from any thread."""

    def __init__(
        self, engine: Engine, observer: Observer, files: Files, assigned: Callable[[str], bool], *, grace_s: float
    ) -> None:
        self._engine, self._observer, self._files, self._assigned = engine, observer, files, assigned
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._allowed = False
        self._seen: dict[str, float] = {}

    def allow(self) -> None:
        """The controller has said what is all of this host."""
        with self._lock:
            self._allowed = True

    def containers(self) -> tuple[model.ContainerFacts, ...]:
        """Containers of ours that no pod of this host accounts for."""
        return tuple(facts for _, facts in sorted(self._observer.cached().items()) if not self._assigned(facts.pod))

    def folders(self) -> tuple[str, ...]:
        """Pods of which only injected files are left."""
        return tuple(pod for pod in self._files.pods() if not self._assigned(pod))

    def settle(self) -> None:
        """Look again at what may have changed and no pod of this host accounts for."""
        self._observer.settle_strangers(self._assigned)

    def sweep(self) -> None:
        """Remove orphans seen for longer than the grace time."""
        self._remove(self._grace_s)

    def repair(self) -> tuple[tuple[model.ContainerFacts, ...], tuple[str, ...]]:
        """Remove every orphan now; nothing when the controller has not said yet what is all of this host."""
        return self._remove(0.0)

    def _remove(self, grace_s: float) -> tuple[tuple[model.ContainerFacts, ...], tuple[str, ...]]:
        with self._lock:
            if not self._allowed:
                return (), ()
        self.settle()
        containers, folders = self.containers(), self.folders()
        now = time.monotonic()
        with self._lock:
            names = [facts.uuid for facts in containers] + list(folders)
            self._seen = {name: self._seen.get(name, now) for name in names}
            due = {name for name, since in self._seen.items() if now - since >= grace_s}
        removed = tuple(facts for facts in containers if facts.uuid in due and not self._assigned(facts.pod))
        for facts in removed:
            LOG.warning("Removing container %s: pod %s is not assigned to this host", facts.uuid, facts.pod)
            self._engine.remove(facts.uuid)
            self._observer.removed(facts.uuid)
        swept = tuple(pod for pod in folders if pod in due and not self._assigned(pod))
        for pod in swept:
            self._files.remove(pod)
        return removed, swept
