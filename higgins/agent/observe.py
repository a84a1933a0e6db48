"""What this host has, asked of the engine as seldom as can be.

After a full list the engine's facts are kept in memory; a container is inspected again only when something may have changed:
an event of the engine that tells news, or a step of ours. It knows the engine and the journal, and decides nothing.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from higgins.agent.hands.block.volumes import BlockVolumes
from higgins.agent.hands.file import Files
from higgins.agent.hands.network.plugs import Found, Network
from higgins.agent.journal import ContainerEntry, Journal
from higgins.agent.plan import ALIVE, ENDED, Have, Verb, members
from higgins.core import errors, model
from higgins.core.phase import Desired, EngineState
from higgins.engine.api import Engine, EngineEvent, HasVolumes, LeavesHalves

LOG = logging.getLogger(__name__)
# Words of engines for what changes no fact that we keep.
TRIFLES = (
    "exec",
    "init",
    "attach",
    "detach",
    "resize",
    "top",
    "archive-path",
    "extract-to-dir",
    "copy",
    "commit",
    "export",
)


def boot_id() -> str:
    """What the kernel calls this boot of the host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Observer:
    """The engine's facts, cached; every method may be called from any thread."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        files: Files,
        *,
        boot: str,
        network: Network | None = None,
        blocks: BlockVolumes | None = None,
    ) -> None:
        self._engine, self._journal, self._files, self.boot = engine, journal, files, boot
        self._network, self._blocks = network, blocks
        self.known = False  # whether the engine has told everything once
        self._lock = threading.Lock()
        self._facts: dict[str, model.ContainerFacts] = {}
        self._hints: dict[str, set[str]] = {}
        self._dirty: set[str] = set()
        self._echoes: dict[str, dict[str, EngineState | None]] = {}
        self._owners: dict[str, str] = {}
        self._volumes: set[str] = set()
        self._halves: dict[str, str] = {}
        self._absent: set[tuple[str, str]] = set()

    def refresh(self) -> None:
        """Ask the engine for everything of ours; what it does not name is not there."""
        with self._lock:
            self._dirty.clear()
            self._hints.clear()
            self._echoes.clear()
            before = dict(self._facts)
        facts = {found.uuid: found for found in self._engine.list()}
        if self._network:
            self._network.look()
        volumes = set(self._engine.volumes()) if isinstance(self._engine, HasVolumes) else set()
        halves = self._ask_halves()
        with self._lock:
            touched = {
                uuid for uuid in self._facts.keys() | before.keys() if self._facts.get(uuid) is not before.get(uuid)
            }
            self._facts = facts
            self._dirty |= touched
            self._owners.update({found.uuid: found.pod for found in facts.values()})
            self._volumes, self._halves = volumes, halves
            self.known = True

    def recheck(self) -> tuple[dict[str, model.ContainerFacts], frozenset[str]]:
        """Everything of ours in the engine now, and the pods of which it differs from the facts kept: those will be inspected."""
        found = {facts.uuid: facts for facts in self._engine.list()}
        if self._network:
            self._network.look()
        halves = self._ask_halves()
        with self._lock:
            self._halves = halves
            every = found.keys() | self._facts.keys()
            changed = {uuid for uuid in every if found.get(uuid) != self._facts.get(uuid)}
            self._dirty |= changed
            self._owners.update({uuid: facts.pod for uuid, facts in found.items()})
            return found, frozenset(self._owners[uuid] for uuid in changed if uuid in self._owners)

    def _ask_halves(self) -> dict[str, str]:
        return dict(self._engine.halves()) if isinstance(self._engine, LeavesHalves) else {}

    def hint(self, event: EngineEvent) -> str | None:
        """Keep what the engine said of a container until its pod is looked at; that pod, None when there is no need to look."""
        if event.what.startswith(TRIFLES):
            return None
        with self._lock:
            known = event.container in self._facts or event.container in self._owners
            if not known and event.what in Verb.REMOVE.traits.echoes:
                return None  # the last of one that is forgotten already
            self._hints.setdefault(event.container, set()).add(event.what)
            if event.pod:
                self._owners[event.container] = event.pod
            return self._owners.get(event.container)

    def touched(self, uuid: str, pod: str) -> None:
        """Have a container inspected before its facts are used again."""
        with self._lock:
            self._dirty.add(uuid)
            self._owners[uuid] = pod

    def stepping(self, verb: Verb, uuid: str, pod: str) -> None:
        """A step of ours is about to change a container: its facts are old, and what the engine will say of it is no news."""
        with self._lock:
            self._dirty.add(uuid)
            self._owners[uuid] = pod
            if verb is Verb.CREATE:
                # What the removal of the one before it may have left unsaid would be taken for this one's end.
                self._echoes.pop(uuid, None)
            self._echoes.setdefault(uuid, {}).update(dict.fromkeys(verb.traits.echoes, verb.traits.leaves))

    def removed(self, uuid: str) -> None:
        """A container was removed by us: no need to ask."""
        with self._lock:
            self._facts.pop(uuid, None)
            self._dirty.discard(uuid)
            self._hints.pop(uuid, None)
            self._halves.pop(uuid, None)

    def volume(self, name: str, *, present: bool) -> None:
        """A volume was made or removed by us."""
        with self._lock:
            (self._volumes.add if present else self._volumes.discard)(name)

    def image(self, pod: str, image: str, *, present: bool) -> None:
        """Whether an image turned out to be here when a pod needed it."""
        with self._lock:
            (self._absent.discard if present else self._absent.add)((pod, image))

    def forget(self, pod: str) -> None:
        """Drop what is kept of a pod that has nothing left in the engine."""
        with self._lock:
            for uuid in [uuid for uuid, owner in self._owners.items() if owner == pod]:
                self._echoes.pop(uuid, None)
                if uuid not in self._facts:
                    del self._owners[uuid]
                    self._dirty.discard(uuid)
                    self._hints.pop(uuid, None)
            self._absent = {key for key in self._absent if key[0] != pod}

    def owner(self, uuid: str) -> str | None:
        """The pod of a container, as far as known."""
        with self._lock:
            return self._owners.get(uuid)

    def cached(self) -> dict[str, model.ContainerFacts]:
        """Facts of every container of ours as last seen, without asking the engine."""
        with self._lock:
            return dict(self._facts)

    def halves(self) -> tuple[model.ContainerFacts, ...]:
        """What the engine has made only by half, as last seen: each as a container that can only be removed."""
        with self._lock:
            return tuple(
                model.ContainerFacts(
                    uuid=uuid, pod=self._owners.get(uuid, uuid), state=EngineState.DEAD, build=0, engine_id=store_id
                )
                for uuid, store_id in sorted(self._halves.items())
                if uuid not in self._facts
            )

    def settle_strangers(self, assigned: Callable[[str], bool]) -> frozenset[str]:
        """Inspect what the engine spoke of and no pod of this host accounts for; gives the pods, as far as known, of what cannot be inspected."""
        with self._lock:
            hinted = {uuid: self._owners.get(uuid, "") for uuid in self._hints.keys() | self._dirty}
        unclear = set()
        for uuid, pod in hinted.items():
            if not assigned(pod):
                try:
                    self.facts(uuid)
                except errors.HigginsError as error:
                    LOG.warning("Container %s cannot be inspected: %s", uuid, error.message)
                    unclear.add(pod)
        return frozenset(unclear)

    def facts(self, uuid: str) -> model.ContainerFacts | None:
        """A container's facts now: cached, or inspected when they may have changed."""
        with self._lock:
            cached = self._facts.get(uuid)
            news = [what for what in self._hints.pop(uuid, ()) if not self._is_echo(uuid, what, cached)]
            if not news and uuid not in self._dirty:
                return cached
            self._dirty.discard(uuid)
        try:
            found: model.ContainerFacts | None = self._engine.inspect(uuid)
        except errors.NotFound:
            found = None
        except errors.HigginsError:
            with self._lock:
                self._dirty.add(uuid)
            raise
        with self._lock:
            if found:
                self._facts[uuid] = found
                self._owners[uuid] = found.pod
            else:
                self._facts.pop(uuid, None)
        return found

    def _is_echo(self, uuid: str, what: str, cached: model.ContainerFacts | None) -> bool:
        echoes = self._echoes.get(uuid, {})
        if what not in echoes:
            return False
        state = echoes.pop(what)
        if state is None:
            return True
        ended = state is EngineState.STOPPED
        return cached is not None and cached.state is state and not (ended and cached.exit_code is None)

    def have(self, want: model.Assignment) -> Have:
        """What the host has of a pod."""
        uuids = {spec.uuid for spec in members(want)}
        with self._lock:
            uuids |= {uuid for uuid, owner in self._owners.items() if owner == want.uuid}
            volumes = frozenset(self._volumes)
            absent = frozenset(image for pod, image in self._absent if pod == want.uuid)
        found = {uuid: facts for uuid in sorted(uuids) if (facts := self.facts(uuid)) is not None}
        entries = {uuid: self._settle(want, uuid, found.get(uuid)) for uuid in uuids}
        networks = self._network.have(want) if self._network else Found()
        return Have(
            containers=found,
            runs={uuid: entry.run for uuid, entry in entries.items()},
            builds={uuid: entry.build for uuid, entry in entries.items()},
            resolved=frozenset(
                spec.image for spec in members(want) if self._journal.image(want.uuid, spec.image, want.build)
            ),
            absent=absent,
            volumes=volumes,
            files=self._files.written(want.uuid),
            namespace=networks.namespace,
            plugs=networks.plugs,
            held=self._blocks.held(want.uuid) if self._blocks else frozenset(),
            attached=self._blocks.attached(want.uuid) if self._blocks else frozenset(),
            interrupted=frozenset(
                spec.uuid for spec in want.spec.containers
                if self._interrupted(want, spec, found.get(spec.uuid), entries[spec.uuid])
            ),
        )  # fmt: skip

    def _settle(self, want: model.Assignment, uuid: str, facts: model.ContainerFacts | None) -> ContainerEntry:
        """What the journal remembers of a container, brought up to what the engine says of it."""
        entry = self._journal.container(want.uuid, uuid)
        if facts is None:
            return entry
        had_run = facts.state in ALIVE or (facts.started_at is not None and not self._journal.starts_what_ended())
        if had_run and entry == ContainerEntry(uuid=uuid, pod=want.uuid):
            # It was started, yet no intent of it is known: the journal is new. Not to start it twice, this run counts as had.
            entry = dataclasses.replace(entry, run=want.run, boot=self.boot)
        entry = dataclasses.replace(entry, build=facts.build)
        if entry.intent_run > entry.run and _start_happened(entry, facts):
            entry = dataclasses.replace(entry, run=entry.intent_run)
        if facts.state in ALIVE:
            entry = dataclasses.replace(entry, boot=self.boot)
        self._journal.note(entry)
        return entry

    def _interrupted(
        self,
        want: model.Assignment,
        spec: model.ContainerSpec,
        facts: model.ContainerFacts | None,
        entry: ContainerEntry,
    ) -> bool:
        """Whether a container ran when the host went down and its restart policy says that it must run again."""
        if (
            facts is None
            or facts.state in ALIVE
            or entry.boot in ("", self.boot)
            or want.desired is not Desired.RUNNING
        ):
            return False
        policy = spec.restart_policy.name
        failed = facts.state not in ENDED or facts.exit_code != 0
        return policy in ("always", "unless-stopped") or (policy == "on-failure" and failed)


def _start_happened(entry: ContainerEntry, facts: model.ContainerFacts) -> bool:
    if facts.state in ALIVE:
        return True
    return facts.started_at is not None and facts.started_at != entry.intent_started_at
