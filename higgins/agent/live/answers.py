"""What the host knows of a container now: logs, commands, processes, files. Questions go to the engine as they are.

Nothing here changes what a pod is wanted to be; how questions come here is the server's.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import IO, TypeVar, cast

import msgspec

from higgins.agent.chores.orphans import Leftovers, Orphans
from higgins.agent.hands.file import Files
from higgins.agent.hands.shelf import Shelf
from higgins.agent.observe import Observer
from higgins.core import errors, model
from higgins.core.names import LOCAL_IMAGES
from higgins.engine import api
from higgins.threads import typed_json
from higgins.wire import contract

MOST_LOG_BYTES = 8 << 20
_CUT_LOG = b"[Only the newest 8 MiB of the log follow. Ask for less with tail, or since a later time.]\n"
SAMPLE_S = 0.2
OLDEST_SAMPLE_S = 60.0
Body = TypeVar("Body")
Ability = TypeVar("Ability")


class Answers:
    """Answers to questions about one container, and the audit; raises only ``higgins.core.errors``.

    ``look`` is called with each pod of which the audit found another state than was known.
    """

    def __init__(
        self,
        engine: api.Engine,
        observer: Observer,
        orphans: Orphans,
        files: Files,
        look: Callable[[str], None],
        *,
        shelf: Shelf,
        holding: Callable[[str], AbstractContextManager[None]] = lambda name: contextlib.nullcontext(),
    ) -> None:
        self._engine, self._observer, self._orphans, self._files = engine, observer, orphans, files
        self._look, self._shelf, self._holding = look, shelf, holding
        self._lock = threading.Lock()
        self._samples: dict[str, tuple[float, float]] = {}
        self.questions: dict[str, Callable[[str, bytes], object]] = {
            "logs": self._logs,
            "exec": self._exec,
            "top": self._top,
            "stats": self._stats,
            "signal": self._signal,
            "resize_terminal": self._resize_terminal,
            "commit": self._commit,
        }

    def check(self, pod: str, container: str) -> None:
        """``NotFound`` unless the container is one of the pod's here."""
        if self._observer.owner(container) != pod:
            raise errors.NotFound(f"Container {container} is not on this host.")

    def get_archive(self, container: str, path: str) -> AbstractContextManager[tuple[api.PathStat, Iterator[bytes]]]:
        """What is at a path, and a tar of it."""
        return self._can(api.CanCopy, "copy files").get_archive(container, path)

    def put_archive(self, container: str, path: str, tar: IO[bytes]) -> None:
        """Unpack a tar into a directory."""
        self._can(api.CanCopy, "copy files").put_archive(container, path, tar)

    @contextlib.contextmanager
    def commit_archive(self, container: str) -> Iterator[tuple[None, Iterator[bytes]]]:
        """An archive of an image that is made of a container for this; its name here is ours, so that it replaces nobody's."""
        commit = self._can(api.CanCommit, "make images of containers").commit
        save = self._can(api.CanSaveImages, "give images out").save_image
        name, tag = f"{LOCAL_IMAGES}/commit", str(uuid.uuid4())
        with self._holding(f"{name}:{tag}"):
            try:
                commit(container, name, tag)
                with save(f"{name}:{tag}") as chunks:
                    yield None, chunks
            finally:
                self._engine.remove_image(f"{name}:{tag}")

    def audit(self) -> contract.AuditAnswer:
        """All that is ours on this host, asked of the engine now."""
        found, changed = self._observer.recheck()
        for pod in changed:
            self._look(pod)
        self._orphans.settle()
        volumes = tuple(self._engine.volumes()) if isinstance(self._engine, api.HasVolumes) else ()
        leftovers = self._orphans.found()
        found = {facts.uuid: facts for facts in leftovers.containers} | found
        return _audit([facts for _, facts in sorted(found.items())], volumes, leftovers)

    def repair(self) -> contract.AuditAnswer:
        """Remove what nobody was assigned; answers what was removed."""
        removed = self._orphans.repair()
        return _audit(removed.containers, (), removed)

    def _can(self, ability: Callable[..., Ability], what: str) -> Ability:
        # Typed as callable since mypy takes no protocol where a class is asked for.
        if not isinstance(self._engine, cast("type[Ability]", ability)):
            raise errors.Unsupported(f"The engine {self._engine.name} on this host cannot {what}.")
        return self._engine

    def _logs(self, uuid: str, body: bytes) -> contract.TextAnswer:
        asked = _decode(body, contract.LogsQuestion)
        since = None if asked.since_s is None else datetime.datetime.fromtimestamp(asked.since_s, datetime.UTC)
        chunks = self._can(api.CanReadLogs, "give logs").logs(
            uuid, stdout=asked.stdout, stderr=asked.stderr, timestamps=asked.timestamps, tail=asked.tail, since=since
        )
        return contract.TextAnswer(text=_newest(chunks).decode(errors="replace"))

    def _exec(self, uuid: str, body: bytes) -> contract.ExecAnswer:
        asked = _decode(body, contract.ExecQuestion)
        result = self._can(api.CanExec, "run commands").exec(uuid, asked.command, timeout_s=asked.timeout_s)
        return contract.ExecAnswer(output=result.output.decode(errors="replace"), exit_code=result.exit_code)

    def _top(self, uuid: str, body: bytes) -> contract.TopAnswer:
        found = self._can(api.CanStat, "list processes").top(uuid, _decode(body, contract.TopQuestion).ps_args)
        return contract.TopAnswer(titles=found.titles, rows=found.rows)

    def _stats(self, uuid: str, body: bytes) -> contract.StatsAnswer:
        engine = self._can(api.CanStat, "tell what a container uses")
        with self._lock:
            before = self._samples.get(uuid)
        if before is None or not SAMPLE_S <= time.monotonic() - before[0] <= OLDEST_SAMPLE_S:
            before = (time.monotonic(), engine.stats(uuid).cpu_s)
            time.sleep(SAMPLE_S)
        now = engine.stats(uuid)
        at = time.monotonic()
        with self._lock:
            self._samples[uuid] = (at, now.cpu_s)
            self._samples = {name: seen for name, seen in self._samples.items() if at - seen[0] <= OLDEST_SAMPLE_S}
        return contract.StatsAnswer(
            cpu_percent=round(max(0.0, now.cpu_s - before[1]) / (at - before[0]) * 100, 2),
            memory_bytes=now.memory_bytes,
            memory_limit_bytes=now.memory_limit_bytes,
            block_read_bytes=now.block_read_bytes,
            block_write_bytes=now.block_write_bytes,
            net_rx_bytes=now.net_rx_bytes,
            net_tx_bytes=now.net_tx_bytes,
            pids=now.pids,
        )

    def _signal(self, uuid: str, body: bytes) -> contract.Nothing:
        self._engine.signal(uuid, _decode(body, contract.SignalQuestion).signal)
        return contract.Nothing()

    def _resize_terminal(self, uuid: str, body: bytes) -> contract.Nothing:
        asked = _decode(body, contract.TerminalQuestion)
        terminal = self._can(api.CanResizeTerminal, "resize terminals")
        terminal.resize_terminal(uuid, height=asked.height, width=asked.width)
        return contract.Nothing()

    def _commit(self, uuid: str, body: bytes) -> contract.CommitAnswer:
        asked = _decode(body, contract.CommitQuestion)
        engine = self._can(api.CanCommit, "make images of containers")
        made = self._shelf.commit(engine, uuid, asked.project, f"{asked.repository}:{asked.tag}")
        return contract.CommitAnswer(image_id=made.image_id, digest=made.digest, size_bytes=made.size_bytes)


def _newest(chunks: Iterator[bytes]) -> bytes:
    """The end of a log, as much of it as one answer holds, from the beginning of a line; whoever reads it is told what is missing."""
    kept: collections.deque[bytes] = collections.deque()
    size, cut = 0, False
    for chunk in chunks:
        kept.append(chunk)
        size += len(chunk)
        while size - len(kept[0]) > MOST_LOG_BYTES:
            size -= len(kept.popleft())
            cut = True
    text = b"".join(kept)
    if not cut and size <= MOST_LOG_BYTES:
        return text
    text = text[-MOST_LOG_BYTES:]
    return _CUT_LOG + text[text.find(b"\n") + 1 :]


def _decode(body: bytes, kind: type[Body]) -> Body:
    try:
        return typed_json.decode(body, kind)
    except msgspec.MsgspecError as error:
        raise errors.Invalid(f"The question is not understood: {error}") from error


def _audit(
    found: Iterable[model.ContainerFacts], volumes: tuple[str, ...], leftovers: Leftovers
) -> contract.AuditAnswer:
    containers = tuple(
        contract.FoundContainer(
            uuid=facts.uuid, pod=facts.pod, state=facts.state, build=facts.build, health=facts.health
        )
        for facts in found
    )
    return contract.AuditAnswer(
        containers=containers,
        volumes=volumes,
        leftover_files=leftovers.files,
        leftover_networks=leftovers.networks,
        leftover_volumes=leftovers.volumes,
    )
