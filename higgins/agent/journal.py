"""What the agent must still know after it died: which starts it meant to do, and what it was asked to look after.

One SQLite file of its own (WAL). What ``intend`` returned from is on the disk, and so is all that was written before it; what else is
written outlives the agent's end at once, and a power cut a little later: the controller says it anew. Ordering is by counters, never by
the wall clock. Environments, injected files, passwords and connections of volumes are left out: a remembered assignment is good
enough to look after what stands, not to make anything anew. It knows no engine and no wire.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from higgins.core import errors, model
from higgins.threads import typed_json

NUMBERS_AT_ONCE = 1000

SCHEMA = """
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pods (
    uuid TEXT PRIMARY KEY, assignment BLOB NOT NULL, observed_generation INTEGER NOT NULL DEFAULT 0,
    failed_generation INTEGER NOT NULL DEFAULT 0, failed_reason TEXT NOT NULL DEFAULT '',
    failed_verb TEXT NOT NULL DEFAULT '', failed_target TEXT NOT NULL DEFAULT '',
    fulfilled_generation INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS containers (
    uuid TEXT PRIMARY KEY, pod TEXT NOT NULL, build INTEGER NOT NULL, run INTEGER NOT NULL,
    intent_run INTEGER NOT NULL, intent_started_at TEXT, boot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS images (
    pod TEXT NOT NULL, image TEXT NOT NULL, build INTEGER NOT NULL, digest TEXT NOT NULL, image_id TEXT NOT NULL,
    PRIMARY KEY (pod, image));
CREATE TABLE IF NOT EXISTS closed (repository TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS fetched (image_id TEXT NOT NULL, login TEXT NOT NULL, PRIMARY KEY (image_id, login));
"""
# Of a journal made before there were these columns.
ADDED = """
ALTER TABLE pods ADD COLUMN failed_verb TEXT NOT NULL DEFAULT '';
ALTER TABLE pods ADD COLUMN failed_target TEXT NOT NULL DEFAULT '';
ALTER TABLE pods ADD COLUMN fulfilled_generation INTEGER NOT NULL DEFAULT 0;
UPDATE pods SET fulfilled_generation = observed_generation WHERE failed_generation <> observed_generation;
"""

MOST_FETCHED = 10_000
"""Of how many fetches with logins is remembered; who is forgotten asks the registry once more."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEntry:
    """What is remembered of one container.

    ``build`` last made and ``run`` last started; ``intent_run`` the run that a start was meant for, written with the engine's
    ``started_at`` before it: when that has changed, the start happened. ``boot`` is the host's boot id at that time.
    """

    uuid: str
    pod: str
    build: int = 0
    run: int = 0
    intent_run: int = 0
    intent_started_at: datetime.datetime | None = None
    boot: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImageEntry:
    """What a tag was resolved to for one build of a pod."""

    build: int
    digest: str
    image_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PodEntry:
    """What is remembered of one pod: the newest wish dealt with, the one that failed with its reason and step, the newest fulfilled.

    A wish that was fulfilled may fail later, when the host loses what it had made of it.
    """

    observed_generation: int = 0
    failed_generation: int = 0
    failed_reason: str = ""
    failed_verb: str = ""
    failed_target: str = ""
    fulfilled_generation: int = 0


class Journal:
    """Remembers in memory and on disk; every method may be called from any thread and raises only ``Unavailable``."""

    def __init__(self, path: Path, *, lost: Literal["leave", "start"] = "leave") -> None:
        """Open or make the file; ``lost`` says what ended containers that an earlier journal knew mean: had their run, or not."""
        self._lost = lost
        self._lock = threading.RLock()
        with _translated():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(SCHEMA)
            if not any(row[1] == "fulfilled_generation" for row in self._db.execute("PRAGMA table_info(pods)")):
                self._db.executescript(f"BEGIN;{ADDED}COMMIT;")
            self._read()

    def _read(self) -> None:
        query = self._db.execute
        self._containers = {
            row[0]: ContainerEntry(
                uuid=row[0], pod=row[1], build=row[2], run=row[3], intent_run=row[4],
                intent_started_at=datetime.datetime.fromisoformat(row[5]) if row[5] else None, boot=row[6],
            )
            for row in query("SELECT uuid, pod, build, run, intent_run, intent_started_at, boot FROM containers")
        }  # fmt: skip
        self._pods = {
            row[0]: PodEntry(
                observed_generation=row[1],
                failed_generation=row[2],
                failed_reason=row[3],
                failed_verb=row[4],
                failed_target=row[5],
                fulfilled_generation=row[6],
            )
            for row in query(
                "SELECT uuid, observed_generation, failed_generation, failed_reason, failed_verb, failed_target,"
                " fulfilled_generation FROM pods"
            )
        }
        self._images = {
            (row[0], row[1]): ImageEntry(build=row[2], digest=row[3], image_id=row[4])
            for row in query("SELECT pod, image, build, digest, image_id FROM images")
        }
        self._closed = {row[0] for row in query("SELECT repository FROM closed")}
        query(f"DELETE FROM fetched WHERE rowid <= (SELECT MAX(rowid) FROM fetched) - {MOST_FETCHED}")  # noqa: S608
        self._fetched = {(row[0], row[1]) for row in query("SELECT image_id, login FROM fetched")}
        self._unsaved: set[str] = set()
        self._unsaved_pods: set[str] = set()
        self._numbers: dict[str, tuple[int, int]] = {}
        self._waits_for_disk = True

    def starts_what_ended(self) -> bool:
        """Whether an ended container that nothing is remembered of is started once more."""
        return self._lost == "start"

    def assignments(self) -> tuple[model.Assignment, ...]:
        """The assignments known when the last agent ended, without their secrets."""
        with self._lock, _translated():
            rows = self._db.execute("SELECT assignment FROM pods ORDER BY rowid").fetchall()
        return tuple(typed_json.decode(row[0], model.Assignment) for row in rows)

    def keep(self, wants: Iterable[model.Assignment]) -> None:
        """Remember assignments, all of them in one write."""
        rows = [(want.uuid, msgspec.json.encode(_without_secrets(want))) for want in wants]
        with self._lock, self._write(durable=False):
            for uuid, _ in rows:
                self._pods.setdefault(uuid, PodEntry())
            self._db.executemany(
                "INSERT INTO pods (uuid, assignment) VALUES (?, ?)"
                " ON CONFLICT (uuid) DO UPDATE SET assignment = excluded.assignment",
                rows,
            )

    def pods(self) -> frozenset[str]:
        """Every pod of which anything is remembered."""
        with self._lock:
            return frozenset(self._pods) | {entry.pod for entry in self._containers.values()}

    def forget(self, pod: str) -> None:
        """Drop all that is remembered of a pod; nothing happens when there is nothing."""
        with self._lock, self._write(durable=False):
            for table, column in (("pods", "uuid"), ("containers", "pod"), ("images", "pod")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (pod,))  # noqa: S608
            self._pods.pop(pod, None)
            self._containers = {uuid: entry for uuid, entry in self._containers.items() if entry.pod != pod}
            self._images = {key: entry for key, entry in self._images.items() if key[0] != pod}
            self._unsaved &= set(self._containers)
            self._unsaved_pods &= set(self._pods)

    def container(self, pod: str, uuid: str) -> ContainerEntry:
        """What is remembered of a container, an empty entry when nothing is."""
        with self._lock:
            return self._containers.get(uuid) or ContainerEntry(uuid=uuid, pod=pod)

    def note(self, entry: ContainerEntry) -> None:
        """Remember an entry in memory; it reaches the disk with the next write, which may be lost with no harm.

        Nothing is remembered of a pod that is not kept: it was forgotten meanwhile.
        """
        with self._lock:
            if entry.pod in self._pods and self._containers.get(entry.uuid) != entry:
                self._containers[entry.uuid] = entry
                self._unsaved.add(entry.uuid)

    def intend(self, entry: ContainerEntry) -> None:
        """Remember an entry so that it is on the disk when this returns."""
        with self._lock:
            self.note(entry)
            self.flush()

    def pod(self, uuid: str) -> PodEntry:
        """What is remembered of a pod, an empty entry when nothing is."""
        with self._lock:
            return self._pods.get(uuid) or PodEntry()

    def note_pod(self, uuid: str, entry: PodEntry) -> None:
        """Remember a pod's entry in memory; it reaches the disk with the next write."""
        with self._lock:
            if uuid in self._pods and self._pods[uuid] != entry:
                self._pods[uuid] = entry
                self._unsaved_pods.add(uuid)

    def image(self, pod: str, image: str, build: int) -> ImageEntry | None:
        """What an image's name was resolved to for this build, None when it was not."""
        with self._lock:
            entry = self._images.get((pod, image))
        return entry if entry and entry.build == build else None

    def resolved(self, pod: str, image: str, entry: ImageEntry) -> None:
        """Remember what an image's name was resolved to."""
        with self._lock:
            if pod not in self._pods:
                return
            with self._write(durable=False):
                self._images[pod, image] = entry
                row = (pod, image, entry.build, entry.digest, entry.image_id)
                self._db.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", row)

    def close_repository(self, repository: str) -> None:
        """Remember that images of a repository are fetched with a login; it is on the disk when this returns."""
        with self._lock:
            if repository not in self._closed:
                with self._write(durable=True):
                    self._db.execute("INSERT OR IGNORE INTO closed VALUES (?)", (repository,))
                self._closed.add(repository)

    def is_closed(self, repository: str) -> bool:
        """Whether an image of this repository was ever fetched with a login."""
        with self._lock:
            return repository in self._closed

    def fetched(self, image_id: str, login: str) -> None:
        """Remember that a registry gave an image to this login (a record's uuid), or to one without (empty)."""
        with self._lock:
            if (image_id, login) not in self._fetched:
                with self._write(durable=False):
                    self._db.execute("INSERT OR IGNORE INTO fetched VALUES (?, ?)", (image_id, login))
                self._fetched.add((image_id, login))

    def has_fetched(self, image_id: str, login: str) -> bool:
        """Whether this login, or anybody without one, was given an image."""
        with self._lock:
            return not self._fetched.isdisjoint(((image_id, login), (image_id, "")))

    def number(self, name: str, *, at_least: int = 0) -> int:
        """The next number of a sequence: greater than any given before, by this process or one before it.

        Numbers are set aside on disk in blocks, so that most calls write nothing.
        """
        with self._lock:
            last, end = self._numbers.get(name, (0, 0))
            if max(last, at_least) >= end:
                with self._write(durable=True):
                    row = self._db.execute("SELECT value FROM numbers WHERE name = ?", (name,)).fetchone()
                    last = max(row[0] if row else 0, at_least, last)
                    end = last + NUMBERS_AT_ONCE
                    self._db.execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", (name, end))
            last = max(last, at_least) + 1
            self._numbers[name] = (last, end)
            return last

    def flush(self, *, durable: bool = True) -> None:
        """Write what was only noted; ``durable``: and wait until it and all before it is on the disk."""
        with self._lock:
            if self._unsaved or self._unsaved_pods or (durable and self._waits_for_disk):
                with self._write(durable=durable):
                    pass

    def close(self) -> None:
        """Write what was only noted and close the file."""
        with self._lock, _translated():
            self.flush()
            self._db.close()

    @contextmanager
    def _write(self, *, durable: bool) -> Iterator[None]:
        with _translated():
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._save_noted()
                if durable:  # a commit of nothing would not wait for the disk
                    self._db.execute("INSERT OR REPLACE INTO numbers VALUES ('flush', 0)")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        self._waits_for_disk = not durable
        self._unsaved.clear()
        self._unsaved_pods.clear()

    def _save_noted(self) -> None:
        noted = [self._containers[uuid] for uuid in self._unsaved if uuid in self._containers]
        self._db.executemany(
            "INSERT OR REPLACE INTO containers VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    entry.uuid, entry.pod, entry.build, entry.run, entry.intent_run,
                    entry.intent_started_at.isoformat() if entry.intent_started_at else None, entry.boot,
                )
                for entry in noted
            ],
        )  # fmt: skip
        pods = [(uuid, self._pods[uuid]) for uuid in self._unsaved_pods if uuid in self._pods]
        self._db.executemany(
            "UPDATE pods SET observed_generation = ?, failed_generation = ?, failed_reason = ?, failed_verb = ?,"
            " failed_target = ?, fulfilled_generation = ? WHERE uuid = ?",
            [
                (
                    entry.observed_generation, entry.failed_generation, entry.failed_reason, entry.failed_verb,
                    entry.failed_target, entry.fulfilled_generation, uuid,
                )
                for uuid, entry in pods
            ],
        )  # fmt: skip


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise errors.Unavailable(
            f"The agent cannot write its journal ({error}); see whether the disk of its state directory is full."
        ) from error


def _without_secrets(want: model.Assignment) -> model.Assignment:
    def bare(spec: model.ContainerSpec) -> model.ContainerSpec:
        mounts = tuple(dataclasses.replace(mount, content=None) for mount in spec.mounts)
        return dataclasses.replace(spec, environment={}, mounts=mounts)

    spec = dataclasses.replace(
        want.spec,
        containers=tuple(map(bare, want.spec.containers)),
        init_containers=tuple(map(bare, want.spec.init_containers)),
    )
    volumes = tuple(dataclasses.replace(grant, connection=None) for grant in want.volumes)
    return dataclasses.replace(want, spec=spec, registries={}, volumes=volumes)
