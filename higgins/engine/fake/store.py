"""What the fake engine remembers: in memory, or in a directory that outlives the process. Knows no engine protocol.

A directory holds ``containers/UUID.json`` and ``rest.json``; a lock file makes every change safe
across processes. While the directory has a file called ``down``, the engine does not answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import threading
from collections.abc import Iterator

import msgspec

from higgins.core import errors
from higgins.core.phase import EngineState
from higgins.engine import api
from higgins.threads import typed_json


@dataclasses.dataclass(slots=True, kw_only=True)
class Record:
    """One container; times are seconds since the epoch. A running one whose ``ends_at`` has passed has ended.

    ``half`` is one whose creation was broken off: its name is taken, and that is all that is known of it.
    """

    creation: api.Creation
    digest: str
    half: bool = False
    state: EngineState = EngineState.CREATED
    started_at: float | None = None
    finished_at: float | None = None
    ends_at: float | None = None
    paused_at: float | None = None
    exit_code: int | None = None
    end_error: str = ""
    oom_killed: bool = False
    planned_code: int = 0
    traps: dict[str, int] = dataclasses.field(default_factory=dict)
    restarts: int = 0
    restarts_at: float | None = None
    cpus: float | None = None
    memory_mib: int | None = None
    address: str | None = None
    output: list[tuple[float, str, str]] = dataclasses.field(default_factory=list)
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(slots=True, kw_only=True)
class Rest:
    """What is not a container. ``tries`` counts the calls of a verb on a container, to fail only the first ones."""

    images: dict[str, api.ImageFacts] = dataclasses.field(default_factory=dict)
    volumes: list[str] = dataclasses.field(default_factory=list)
    tries: dict[str, int] = dataclasses.field(default_factory=dict)
    last_address: int = 1


class MemoryStore:
    """Everything in this process."""

    poll_s: float | None = None

    def __init__(self) -> None:
        self.down = False
        self.changed = threading.Condition(threading.RLock())
        self._records: dict[str, Record] = {}
        self._rest = Rest()

    def check(self) -> None:
        """``Unavailable`` while the engine is down."""
        if self.down:
            raise errors.Unavailable("The fake engine does not answer.")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile."""
        with self.changed:
            yield
            self.changed.notify_all()

    def get(self, uuid: str) -> Record | None:
        """One container."""
        return self._records.get(uuid)

    def all(self) -> dict[str, Record]:
        """Every container."""
        return dict(self._records)

    def put(self, uuid: str, record: Record | None) -> None:
        """Keep a container, or forget it."""
        if record is None:
            self._records.pop(uuid, None)
        else:
            self._records[uuid] = record

    def rest(self) -> Rest:
        """What is not a container; give it back with ``put_rest`` after a change."""
        return self._rest

    def put_rest(self, rest: Rest) -> None:
        """Keep what is not a container."""
        self._rest = rest


class DirectoryStore(MemoryStore):
    """Everything in a directory, shared by any number of processes."""

    poll_s = 0.02

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self._path = path
        self._containers = path / "containers"
        self._depth = 0

    def check(self) -> None:
        """``Unavailable`` while the engine is down."""
        super().check()
        if (self._path / "down").exists():
            raise errors.Unavailable("The fake engine does not answer.")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile, in any process."""
        with super().locked():
            if self._depth:
                yield
                return
            self._containers.mkdir(parents=True, exist_ok=True)
            with (self._path / "lock").open("w") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1

    def get(self, uuid: str) -> Record | None:
        """One container."""
        try:
            return typed_json.decode((self._containers / f"{uuid}.json").read_bytes(), Record)
        except FileNotFoundError:
            return None

    def all(self) -> dict[str, Record]:
        """Every container."""
        names = sorted(self._containers.glob("*.json")) if self._containers.is_dir() else []
        found = {name.stem: self.get(name.stem) for name in names}
        return {uuid: record for uuid, record in found.items() if record is not None}

    def put(self, uuid: str, record: Record | None) -> None:
        """Keep a container, or forget it."""
        target = self._containers / f"{uuid}.json"
        if record is None:
            target.unlink(missing_ok=True)
        else:
            self._write(target, msgspec.json.encode(record))

    def rest(self) -> Rest:
        """What is not a container."""
        try:
            return typed_json.decode((self._path / "rest.json").read_bytes(), Rest)
        except FileNotFoundError:
            return Rest()

    def put_rest(self, rest: Rest) -> None:
        """Keep what is not a container."""
        self._write(self._path / "rest.json", msgspec.json.encode(rest))

    @staticmethod
    def _write(target: pathlib.Path, content: bytes) -> None:
        beside = target.with_suffix(".new")
        beside.write_bytes(content)
        os.replace(beside, target)
