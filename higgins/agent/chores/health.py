"""Runs health checks on our own clock, for engines that have none. It knows no pods' wishes beyond their checks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from higgins.agent.observe import Observer
from higgins.agent.plan import Have
from higgins.agent.queue import WorkQueue
from higgins.core import errors, model
from higgins.core.phase import EngineState
from higgins.engine.api import CanProbe

LOG = logging.getLogger(__name__)
WORKERS = 2
MOST_DOUBLINGS = 10


class HealthClock:
    """Probes every watched container at its interval; ``changed`` is called with the pod whose health is another now.

    A probe takes up to the check's own timeout and a little more, so probes have threads of their own. After one that did not
    end in time the next comes later and later: the engine may have left it running, and they must not become many.
    """

    def __init__(self, engine: CanProbe, observer: Observer, changed: Callable[[str], None]) -> None:
        self._engine, self._observer, self._changed = engine, observer, changed
        self._queue = WorkQueue()
        self._lock = threading.Lock()
        self._watched: dict[str, tuple[str, float]] = {}
        self._late: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    def watch(self, want: model.Assignment, have: Have) -> None:
        """Probe the running containers of a pod that have a check, and no others of it."""
        for spec in want.spec.containers:
            if spec.healthcheck and have.state(spec.uuid) is EngineState.RUNNING:
                self._add(spec.uuid, want.uuid, float(spec.healthcheck.interval_s or 30))
            else:
                with self._lock:
                    self._watched.pop(spec.uuid, None)
                    self._late.pop(spec.uuid, None)

    def _add(self, uuid: str, pod: str, interval_s: float) -> None:
        with self._lock:
            known = uuid in self._watched
            self._watched[uuid] = (pod, interval_s)
            if not self._threads:
                self._threads = [
                    threading.Thread(target=self._run, name=f"health {place}", daemon=True) for place in range(WORKERS)
                ]
                for thread in self._threads:
                    thread.start()
        if not known:
            self._queue.add(uuid, after_s=interval_s)

    def stop(self) -> None:
        """Let the probing threads end after the probe they are at."""
        self._queue.close()

    def _run(self) -> None:
        while (uuid := self._queue.get()) is not None:
            try:
                self._probe(uuid)
            except Exception:
                LOG.exception("The health check of container %s broke", uuid)
            self._queue.done(uuid)

    def _probe(self, uuid: str) -> None:
        with self._lock:
            watched = self._watched.get(uuid)
        if watched is None:
            return
        pod, interval_s = watched
        late = 0
        try:
            health = self._engine.probe(uuid)
        except (errors.NotFound, errors.Conflict):
            health = None
        except errors.HigginsError as error:
            LOG.warning("The health check of container %s could not be run: %s", uuid, error.message)
            health = None
            late = min(self._late.get(uuid, 0) + 1, MOST_DOUBLINGS) if isinstance(error, errors.Timeout) else 0
        self._late[uuid] = late
        known = self._observer.cached().get(uuid)
        if health and known and known.health != health:
            self._observer.touched(uuid, pod)
            self._changed(pod)
        self._queue.add(uuid, after_s=interval_s * 2**late)
