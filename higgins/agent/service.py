"""The agent as one thing: makes its parts, runs their threads, and ties engine events, assignments and timers to the queue.

It is given an engine, a client of the wire and paths; it reads no configuration and decides nothing about pods.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from higgins.agent.chores.eviction import Eviction
from higgins.agent.chores.health import HealthClock
from higgins.agent.chores.images import Images
from higgins.agent.chores.inventory import Inventory
from higgins.agent.chores.orphans import Orphans
from higgins.agent.execute import Executor
from higgins.agent.hands.block.volumes import BlockVolumes
from higgins.agent.hands.file import Files
from higgins.agent.hands.glance import MOST_IMAGE_BYTES, Fetcher
from higgins.agent.hands.image import Pulls
from higgins.agent.hands.network.plugs import Network
from higgins.agent.hands.processors import Processors
from higgins.agent.hands.shelf import Shelf
from higgins.agent.journal import Journal
from higgins.agent.live.answers import Answers
from higgins.agent.live.server import LiveServer, TlsFiles
from higgins.agent.loop import Loop, Timings
from higgins.agent.observe import Observer, boot_id
from higgins.agent.plan import Have
from higgins.agent.queue import WorkQueue
from higgins.agent.report import Reporter
from higgins.core import errors, model
from higgins.engine.api import CanProbe, Engine
from higgins.wire.contract import Assignments, Hello, PodReport, Report, ReportAnswer, Welcome

LOG = logging.getLogger(__name__)
FRESH_HOST_PAUSE_S = 0.25


class Wire(Protocol):
    """The agent's side of the wire, as ``higgins.wire.client.WireClient`` has it."""

    def hello(self, hello: Hello) -> Welcome:
        """Say who we are."""
        ...

    def assignments(self, since: int, wait_s: float) -> Assignments:
        """Wait for what is newer than a revision; ``Conflict`` when Hello must be said first."""
        ...

    def report(self, report: Report) -> ReportAnswer:
        """Hand a report in."""
        ...

    def image(self, uuid: str, offset: int) -> AbstractContextManager[Iterator[bytes]]:
        """The data of an image of Glance that this host was granted."""
        ...

    def close(self) -> None:
        """Break every call that waits."""
        ...


class Agent:
    """Looks after the pods of one host with one engine.

    ``start`` returns once the live server listens; ``stop`` ends every thread and leaves engine and containers alone;
    ``wait`` returns when it was stopped.
    """

    def __init__(
        self,
        engine: Engine,
        wire: Wire,
        *,
        hostname: str,
        state_dir: Path,
        live_address: str,
        live_token: str,
        timings: Timings = Timings(),  # noqa: B008  frozen
        workers: int = 8,
        tls: TlsFiles | None = None,
        journal: Journal | None = None,
        boot: str | None = None,
        network_host: str = "",
        network: Network | None = None,
        blocks: BlockVolumes | None = None,
        most_image_bytes: int = MOST_IMAGE_BYTES,
        dedicated_cpus: frozenset[int] = frozenset(),
    ) -> None:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._engine, self._wire, self._timings, self._workers = engine, wire, timings, workers
        self._live_address, self._live_token, self._least_number = live_address, live_token, 0
        self._journal = journal or Journal(state_dir / "journal.sqlite")
        files, self._network, self._blocks = Files(state_dir / "files"), network, blocks
        self._queue = WorkQueue()
        self._observer = Observer(engine, self._journal, files, boot=boot or boot_id(), network=network, blocks=blocks)
        self._fetcher = Fetcher(engine, wire, state_dir / "images", most_bytes=most_image_bytes)
        pulls = Pulls(engine, self._queue.add, silence_s=timings.wish_deadline_s, fetch=self._fetcher.fetch)
        self._shelf = Shelf(engine, self._journal)
        self._processors = Processors(engine, dedicated=dedicated_cpus, every=frozenset(os.sched_getaffinity(0)))
        self._make_loop(files, pulls)
        self._make_chores(files, pulls)
        self._make_inventory(hostname, network_host)
        self._make_live(files, tls)
        self._make_signals()

    def _make_live(self, files: Files, tls: TlsFiles | None) -> None:
        look, holding = self._queue.add, self._fetcher.holding
        answers = Answers(self._engine, self._observer, self._orphans, files, look, shelf=self._shelf, holding=holding)
        self._live = LiveServer(answers, self._live_address, self._live_token, tls)

    def _make_loop(self, files: Files, pulls: Pulls) -> None:
        executor = Executor(
            self._engine,
            self._journal,
            self._observer,
            files,
            pulls,
            self._shelf,
            self._network,
            self._blocks,
            processors=self._processors,
        )
        self._reporter = Reporter(
            self._wire,
            lambda: self._journal.number("report", at_least=self._least_number),
            refused=self._say_hello_again,
            taken=self._taken,
            coalesce_s=self._timings.coalesce_s,
        )
        self._loop = Loop(
            self._observer,
            executor,
            self._journal,
            self._reporter,
            self._queue,
            self._timings,
            looked_after=self._looked_after,
        )

    def _make_inventory(self, hostname: str, network_host: str) -> None:
        connector = self._blocks.connector if self._blocks else lambda: ""
        self._inventory = Inventory(self._engine, hostname, network_host, connector, processors=self._processors)

    def _make_chores(self, files: Files, pulls: Pulls) -> None:
        self._images = Images(self._engine, pulls, self._shelf, self._reporter, self._queue, self._timings)
        self._orphans = Orphans(
            self._engine,
            self._observer,
            files,
            self._loop.knows,
            grace_s=self._timings.orphan_grace_s,
            network=self._network,
            blocks=self._blocks,
        )
        self._eviction = Eviction(
            self._engine, self._loop.wants, self._fetcher.held, unused_s=self._timings.image_unused_s
        )
        self._health = None
        if isinstance(self._engine, CanProbe):
            self._health = HealthClock(self._engine, self._observer, self._queue.add)

    def _make_signals(self) -> None:
        self._stopping, self._greet, self._all_anew = threading.Event(), threading.Event(), threading.Event()
        self._hello_lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._greet.set()

    def start(self) -> None:
        """Begin; ``Unavailable`` when the live address cannot be listened on."""
        self._live.start()
        self._loop.remember()
        if self._network:
            self._network.resume(self._journal.assignments(), self._engine)
        jobs: list[tuple[str, Callable[[], None]]] = [
            ("engine events", self._follow_engine),
            ("assignments", self._poll),
            ("reports", self._reporter.run),
            ("timer", self._tick),
            *((f"worker {place}", self._work) for place in range(self._workers)),
        ]
        self._threads = [threading.Thread(target=job, name=name, daemon=True) for name, job in jobs]
        for thread in self._threads:
            thread.start()

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """End; steps in hand are finished when they end within the timeout, else planned again by the next start."""
        self._stopping.set()
        self._queue.close()
        self._reporter.stop()
        if self._health:
            self._health.stop()
        self._wire.close()
        self._engine.close()
        self._live.stop()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._journal.close()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the agent was stopped; false when it was not within the timeout."""
        return self._stopping.wait(timeout_s)

    def _work(self) -> None:
        while (key := self._queue.get()) is not None:
            try:
                if self._images.owns(key):
                    self._images.look_after(key)
                else:
                    self._loop.look_after(key)
            except Exception as error:
                LOG.exception("Looking after %s broke", key)
                self._loop.broken(key, error)
            self._queue.done(key)

    def _looked_after(self, want: model.Assignment, have: Have) -> None:
        info = self._inventory.info
        if self._health and info and not info.keeps_health_clock:
            self._health.watch(want, have)

    def _taken(self, pods: tuple[PodReport, ...]) -> None:
        for pod in pods:
            self._loop.taken(pod.uuid, pod.status)

    def _say_hello_again(self) -> None:
        # At once, for the thread that asks for assignments may wait for long.
        self._greet.set()
        try:
            self._hello()
        except errors.HigginsError as error:
            LOG.warning("The controller must be greeted again and does not answer: %s", error.message)

    def _follow_engine(self) -> None:
        failures, told = 0, ""
        while not self._stopping.is_set():
            up_since = time.monotonic()
            try:
                for event in self._engine.events(self._engine_connected):
                    pod = self._observer.hint(event)
                    if pod:
                        self._queue.add(pod)
                reason = "The container engine ended its stream of events."
            except errors.HigginsError as error:
                reason = error.message
            except Exception:
                LOG.exception("Following the engine's events broke")
                reason = "The container engine's events could not be read; the log of the host's agent says why."
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - up_since > self._timings.reconnect_most_s else failures + 1
            if not failures or reason != told:
                LOG.warning("Pods are left as they are until the engine answers: %s", reason)
            told = reason
            self._loop.engine_down(reason)
            self._do(self._tell_facts)
            self._pause(failures)

    def _engine_connected(self) -> None:
        facts = self._inventory.news()
        self._observer.refresh()
        if facts:
            self._reporter.facts(facts)
        LOG.info("The container engine answers, and what it has is known")
        self._loop.engine_up()
        self._images.again()

    def _tell_facts(self) -> None:
        facts = self._inventory.news()
        if facts:
            self._reporter.facts(facts)

    def _poll(self) -> None:
        failures, since, full_at = 0, 0, time.monotonic()
        while not self._stopping.is_set():
            try:
                if self._greet.is_set():
                    self._hello()
                if self._all_anew.is_set():
                    self._all_anew.clear()
                    since = 0
                if time.monotonic() - full_at > self._timings.resync_s:
                    since = 0
                asked_at = time.monotonic()
                answer = self._wire.assignments(since, self._timings.poll_wait_s)
                full_at = asked_at if answer.full else full_at
                self._assign(answer)
                idle = answer.revision == since and not answer.pods and time.monotonic() - asked_at < 0.05
                since, failures = answer.revision, 0
                if idle:  # revision 0: nothing was ever wished here, and 0 is answered at once
                    self._stopping.wait(min(self._timings.reconnect_most_s, FRESH_HOST_PAUSE_S))
            except errors.Conflict:
                self._greet.set()
                failures += 1
                self._pause(failures)
            except Exception as error:  # noqa: BLE001  the thread's loop: whatever fails, the controller is asked again
                failures += 1
                self._poll_failed(error, failures)

    def _poll_failed(self, error: Exception, failures: int) -> None:
        if self._stopping.is_set():
            return
        if not isinstance(error, errors.HigginsError):
            LOG.error("Asking the controller broke", exc_info=error)
        elif failures == 1:
            LOG.warning("The controller does not answer and is asked again: %s", error.message)
        self._pause(failures)

    def _hello(self) -> None:
        with self._hello_lock:
            if not self._greet.is_set():
                return
            self._greet_now()

    def _greet_now(self) -> None:
        facts = self._inventory.ask()
        welcome = self._wire.hello(Hello(facts=facts, live_address=self._live_address, live_token=self._live_token))
        self._inventory.told(facts)
        self._least_number = welcome.report_number
        self._greet.clear()
        self._all_anew.set()
        self._reporter.everything()
        LOG.info("The controller knows this host as %s", welcome.host_uuid)

    def _assign(self, answer: Assignments) -> None:
        self._loop.assign(answer.pods, full=answer.full, held=answer.held)
        self._images.assign(answer.images, full=answer.full)
        if answer.full:
            self._orphans.allow()

    def _tick(self) -> None:
        inventory_at = recheck_at = time.monotonic()
        while not self._stopping.wait(self._timings.tick_s):
            chores: list[Callable[[], object]] = [self._loop.tick, self._loop.write, self._orphans.sweep]
            if time.monotonic() - inventory_at >= self._timings.inventory_s:
                inventory_at = time.monotonic()
                chores += [self._tell_facts]
            if time.monotonic() - recheck_at >= self._timings.resync_s:
                recheck_at = time.monotonic()
                chores += [self._recheck, self._eviction.sweep]
            for chore in chores:
                self._do(chore)

    def _do(self, chore: Callable[[], object]) -> None:
        """One chore; what is wrong with it holds up no other."""
        try:
            chore()
        except errors.HigginsError as error:
            LOG.warning("Housekeeping is tried again: %s", error.message)
        except Exception:
            LOG.exception("Housekeeping broke")

    def _recheck(self) -> None:
        """Look at the pods whose containers changed without an event of it having come through."""
        for pod in self._observer.recheck()[1]:
            self._queue.add(pod)

    def _pause(self, failures: int) -> None:
        most_s = self._timings.reconnect_most_s
        self._stopping.wait(min(most_s, 0.05 * 2 ** min(failures, 10)) * random.uniform(0.75, 1.25))  # noqa: S311
