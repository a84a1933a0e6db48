"""The fake engine's verbs: they keep the rules that real engines keep, so that tests of their callers mean something.

What a container asks for is read in ``behaviour``, what is kept lies in ``store``; the words of its environment are in the package's docstring.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from higgins.core import errors, model
from higgins.core.phase import EngineState
from higgins.engine import api, reference
from higgins.engine.fake import behaviour
from higgins.engine.fake.store import MemoryStore, Record


class FakeVerbs:
    """An engine in memory or in a directory; ``store.down = True`` makes it not answer."""

    name = "fake"

    def __init__(
        self, store: MemoryStore, options: dict[str, str] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.store = store
        self._options = options or {}
        self._clock = clock
        self._closes = 0

    def info(self) -> api.EngineInfo:
        """Facts that never change."""
        self.store.check()
        clock = self._options.get("health_clock", "engine") == "engine"
        return api.EngineInfo(
            name="fake", version="1.0", runtimes=("fake", "runc"), disk_quota=True, keeps_health_clock=clock
        )

    def list(self) -> Iterable[model.ContainerFacts]:
        """Every container."""
        self.store.check()
        with self.store.locked():
            whole = {uuid: record for uuid, record in self.store.all().items() if not record.half}
            return tuple(self._facts(uuid, self._settled(uuid, record)) for uuid, record in whole.items())

    def halves(self) -> dict[str, str]:
        """Every container whose creation was broken off."""
        self.store.check()
        return {uuid: self._facts(uuid, record).engine_id for uuid, record in self.store.all().items() if record.half}

    def remove_half(self, store_id: str) -> None:
        """Forget one whose creation was broken off."""
        for uuid, known in self.halves().items():
            if known == store_id:
                self.remove(uuid)

    def inspect(self, uuid: str) -> model.ContainerFacts:
        """One container."""
        self.store.check()
        with self.store.locked():
            return self._facts(uuid, self._get(uuid))

    def images(self) -> Iterable[api.ImageFacts]:
        """Every image that was pulled or committed."""
        self.store.check()
        return tuple({facts.image_id: facts for facts in self.store.rest().images.values()}.values())

    def image(self, reference: str) -> api.ImageFacts:
        """The image of that name."""
        self.store.check()
        return self._image(reference)

    def pull(
        self,
        reference: str,
        *,
        login: model.RegistryLogin | None = None,
        progress: Callable[[api.PullProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> api.ImageFacts:
        """Make an image of that name appear, in ten steps."""
        name = _parse(reference).full
        takes_s = behaviour.pull_time_s(name, float(self._options.get("pull_s", "0")))
        for step in range(11):
            self.store.check()
            if cancelled is not None and cancelled():
                raise errors.Conflict(f"The pull of {reference} was cancelled.")
            if progress is not None:
                progress(
                    api.PullProgress(layers_done=int(step == 10), layers=1, done_bytes=step * 1000, total_bytes=10000)
                )
            if step < 10:
                self._wait(takes_s / 10)
        behaviour.refuse_pull(name, login)
        return self._keep_image(name, hashlib.sha256(name.encode()).hexdigest())

    def remove_image(self, reference: str) -> None:
        """Forget an image that no container uses."""
        self.store.check()
        with self.store.locked():
            try:
                facts = self._image(reference)
            except errors.ImageNotFound:
                return
            if any(record.digest == facts.digest for record in self.store.all().values()):
                raise errors.Conflict(f"The image {reference} is in use by a container. Delete the container first.")
            rest = self.store.rest()
            rest.images = {name: other for name, other in rest.images.items() if other.image_id != facts.image_id}
            self.store.put_rest(rest)

    def create(self, creation: api.Creation) -> None:
        """Keep a container."""
        uuid = creation.spec.uuid
        self._begin("create", uuid, creation)
        with self.store.locked():
            before = self.store.get(uuid)
            if before is not None and not before.half:
                raise errors.NameTaken(f"The engine has a container {uuid} already.")
            image = self._image(creation.image, creation.image_id)
            behaviour.refuse_creation(creation)
            rest, address = self.store.rest(), None
            if creation.network == "bridge":
                rest.last_address += 1
                address = f"172.31.{rest.last_address // 250 % 250}.{rest.last_address % 250 + 1}"
            rest.volumes = sorted({*rest.volumes, *(bind.source for bind in creation.binds if "/" not in bind.source)})
            self.store.put_rest(rest)
            self.store.put(
                uuid,
                Record(
                    creation=creation,
                    digest=image.digest,
                    cpus=creation.spec.cpus,
                    memory_mib=creation.spec.memory_mib,
                    address=address,
                ),
            )

    def start(self, uuid: str) -> None:
        """Play its command from the beginning."""
        record = self._get(uuid)
        self._begin("start", uuid, record.creation)
        with self.store.locked():
            record = self._get(uuid)
            if record.state in (EngineState.RUNNING, EngineState.PAUSED):
                return
            behaviour.begin(record, self._clock())
            record.restarts = 0
            self.store.put(uuid, record)
        if record.creation.spec.environment.get("FAKE_START_LOST"):
            raise errors.Unavailable("The fake engine went away before it answered.")

    def stop(self, uuid: str, *, timeout_s: int, signal: str | None = None) -> None:
        """End it as a process would end that is asked by a signal."""
        record = self._get(uuid)
        waits = record.restarts_at is not None
        if record.state not in (EngineState.RUNNING, EngineState.PAUSED) and not waits:
            return
        self._begin("stop", uuid, record.creation)
        takes_s, code = (0.0, 0) if waits else behaviour.ending(record, signal or "TERM", timeout_s)
        self._wait(takes_s)
        with self.store.locked():
            record = self._get(uuid)
            if record.state in (EngineState.RUNNING, EngineState.PAUSED):
                behaviour.finish(record, self._clock(), code)
            record.restarts_at = None
            self.store.put(uuid, record)

    def signal(self, uuid: str, signal: str) -> None:
        """Deliver a signal; it ends the container if it is one that kills."""
        self.store.check()
        with self.store.locked():
            record = self._running(uuid)
            code = behaviour.code_of(record, signal)
            if code is not None:
                behaviour.finish(record, self._clock(), code)
                self.store.put(uuid, record)

    def remove(self, uuid: str) -> None:
        """Forget it."""
        self.store.check()
        record = self.store.get(uuid)
        if record is None:
            return
        self._begin("remove", uuid, record.creation)
        with self.store.locked():
            self.store.put(uuid, None)

    def events(self, connected: Callable[[], None]) -> Iterator[api.EngineEvent]:
        """Tell every change of a container's state, soon after it came about."""
        self.store.check()
        closes = self._closes
        seen = self._snapshot()
        connected()
        while closes == self._closes:
            with self.store.changed:
                now = self._snapshot()
                if now == seen and closes == self._closes:
                    self.store.changed.wait(self._until_next())
                    now = self._snapshot()
            self.store.check()
            for uuid in {**seen, **now}:
                if seen.get(uuid) != now.get(uuid):
                    state, pod = now.get(uuid, ("removed", seen.get(uuid, ("", ""))[1]))[:2]
                    yield api.EngineEvent(container=uuid, pod=pod, what=state)
            seen = now
        raise errors.Unavailable("The fake engine was closed.")

    def close(self) -> None:
        """End the event streams that are open."""
        with self.store.changed:
            self._closes += 1
            self.store.changed.notify_all()

    def _snapshot(self) -> dict[str, tuple[str, str, float | None]]:
        if self.store.down:
            return {}
        whole = {uuid: record for uuid, record in self.store.all().items() if not record.half}
        records = {uuid: behaviour.settle(record, self._clock()) for uuid, record in whole.items()}
        return {uuid: (str(record.state), record.creation.pod, record.started_at) for uuid, record in records.items()}

    def _until_next(self) -> float:
        records = self.store.all().values()
        ends = [
            end for record in records for end in (record.ends_at, record.restarts_at) if end and not record.paused_at
        ]
        soonest = max(0.0, min(ends) - self._clock()) + 0.001 if ends else 3600.0
        return min(soonest, self.store.poll_s or 3600.0)

    def _begin(self, verb: str, uuid: str, creation: api.Creation) -> None:
        self.store.check()
        environment = creation.spec.environment
        if verb != "stop":
            self._wait(float(environment.get(f"FAKE_{verb.upper()}_S", self._options.get(f"{verb}_s", "0"))))
        text = environment.get(f"FAKE_{verb.upper()}_ERROR")
        if text is None:
            return
        with self.store.locked():
            rest = self.store.rest()
            tries = rest.tries[f"{verb} {uuid}"] = rest.tries.get(f"{verb} {uuid}", 0) + 1
            self.store.put_rest(rest)
        limit = environment.get(f"FAKE_{verb.upper()}_ERROR_TIMES")
        if limit is None or tries <= int(limit):
            raise behaviour.error_named(text)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            threading.Event().wait(seconds)

    def _get(self, uuid: str) -> Record:
        self.store.check()
        record = self.store.get(uuid)
        if record is None or record.half:
            raise errors.NotFound(f"The engine has no container {uuid}.")
        return self._settled(uuid, record)

    def _settled(self, uuid: str, record: Record) -> Record:
        return behaviour.settle(record, self._clock())

    def _running(self, uuid: str) -> Record:
        record = self._get(uuid)
        if record.state not in (EngineState.RUNNING, EngineState.PAUSED):
            raise errors.Conflict(f"The container {uuid} does not run. Start it first.")
        return record

    def _image(self, name: str, image_id: str | None = None) -> api.ImageFacts:
        images, full = self.store.rest().images, _parse(name)
        if image_id is not None:
            fitting = (one for one in images.values() if one.image_id == image_id)
        elif full.digest:
            of_repository = (one for known, one in images.items() if _parse(known).repository == full.repository)
            fitting = (one for one in of_repository if one.digest == full.digest)
        else:
            fitting = (one for known, one in images.items() if known == full.full)
        found = next(fitting, None)
        if found is None:
            raise errors.ImageNotFound(f"The image {name} is not on this host. Pull it first.")
        return found

    def _keep_image(self, name: str, sha: str) -> api.ImageFacts:
        full = _parse(name)
        digest = full.digest or f"sha256:{sha}"
        facts = api.ImageFacts(
            image_id=f"sha256:{hashlib.sha256(digest.encode()).hexdigest()}",
            digest=digest,
            names=(full.full,),
            size_bytes=10000,
            created_at=datetime.datetime.fromtimestamp(self._clock(), datetime.UTC),
        )
        with self.store.locked():
            rest = self.store.rest()
            names = {full.full, *(known for known, other in rest.images.items() if other.digest == digest)}
            facts = dataclasses.replace(facts, names=tuple(sorted(names)))
            rest.images.update(dict.fromkeys(names, facts))
            self.store.put_rest(rest)
        return facts

    def _facts(self, uuid: str, record: Record) -> model.ContainerFacts:
        return behaviour.facts(uuid, record)


def _parse(name: str) -> reference.Reference:
    return reference.parse(name)
