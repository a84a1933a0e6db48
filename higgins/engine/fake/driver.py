"""The fake engine with all optional abilities. Its plain verbs are in ``verbs``."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import pathlib
import posixpath
import tarfile
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import IO

from higgins.core import errors, units
from higgins.core.phase import EngineState, Health
from higgins.engine import api
from higgins.engine.fake import archive as archives
from higgins.engine.fake import behaviour, script
from higgins.engine.fake.store import DirectoryStore, MemoryStore
from higgins.engine.fake.verbs import FakeVerbs

DIRECTORIES = ("/", "/bin", "/etc", "/home", "/root", "/tmp", "/usr", "/var")  # noqa: S108  paths inside a container
DIRECTORY_MODE = 1 << 31 | 0o755


class FakeEngine(FakeVerbs):
    """An engine in memory or in a directory; ``store.down = True`` makes it not answer."""

    def pause(self, uuid: str) -> None:
        """Stop its clock."""
        with self.store.locked():
            record = self._running(uuid)
            if record.state is EngineState.RUNNING:
                record.state, record.paused_at = EngineState.PAUSED, self._clock()
                self.store.put(uuid, record)

    def unpause(self, uuid: str) -> None:
        """Let its clock go on."""
        with self.store.locked():
            record = self._running(uuid)
            if record.state is EngineState.PAUSED and record.paused_at is not None:
                if record.ends_at is not None:
                    record.ends_at += self._clock() - record.paused_at
                record.state, record.paused_at = EngineState.RUNNING, None
                self.store.put(uuid, record)

    def exec(self, uuid: str, command: tuple[str, ...], *, timeout_s: float) -> api.ExecResult:
        """Play a command beside the container's own."""
        record = self._running(uuid)
        if record.state is EngineState.PAUSED:
            raise errors.Conflict(f"The container {uuid} is paused. Unpause it first.")
        if not script.knows(command):
            raise errors.Invalid(f"The container has no program '{command[0]}'.")
        spec = record.creation.spec
        hostname = record.creation.hostname or uuid[:12]
        scene = script.Scene(
            environment=spec.environment, files=record.files, hostname=hostname, workdir=spec.workdir or "/"
        )
        script.play(command, scene)
        takes_s = timeout_s + 1 if scene.run_for_s is None else scene.run_for_s
        self._wait(min(takes_s, timeout_s))
        if takes_s > timeout_s:
            raise errors.Timeout(f"The command did not end within {timeout_s:g} s and was killed.")
        with self.store.locked():
            record = self._running(uuid)
            record.files = scene.files
            self.store.put(uuid, record)
        return api.ExecResult(output="".join(text for _, text in scene.output).encode(), exit_code=scene.exit_code)

    def logs(
        self,
        uuid: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: int | None = None,
        since: datetime.datetime | None = None,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """What its command wrote."""
        self._get(uuid)
        return self._log_chunks(uuid, {"stdout": stdout, "stderr": stderr}, timestamps, tail, since, follow)

    def _log_chunks(
        self,
        uuid: str,
        wanted: dict[str, bool],
        timestamps: bool,
        tail: int | None,
        since: datetime.datetime | None,
        follow: bool,
    ) -> Iterator[bytes]:
        told = 0
        while True:
            record = self._get(uuid)
            lines = [
                (when, line)
                for when, stream, text in record.output[told:]
                if wanted[stream] and (since is None or when >= since.timestamp())
                for line in text.splitlines(keepends=True)
            ]
            kept = lines if tail is None or told else lines[max(0, len(lines) - tail) :]
            told = len(record.output)
            for when, line in kept:
                stamp = datetime.datetime.fromtimestamp(when, datetime.UTC).isoformat() + " " if timestamps else ""
                yield (stamp + line).encode()
            if not follow or record.state is EngineState.STOPPED:
                return
            with self.store.changed:
                self.store.changed.wait(min(0.05, self._until_next()))

    def stats(self, uuid: str) -> api.Stats:
        """A processor used to one percent, and the memory that its environment names."""
        record = self._running(uuid)
        used = int(record.creation.spec.environment.get("FAKE_MEMORY_MIB", "1"))
        return api.Stats(
            cpu_s=max(0.0, self._clock() - (record.started_at or 0.0)) / 100,
            memory_bytes=units.mib_to_bytes(used),
            memory_limit_bytes=units.mib_to_bytes(record.memory_mib or 0),
            pids=1,
        )

    def top(self, uuid: str, ps_args: str | None = None) -> api.Processes:
        """Its one process."""
        spec = self._running(uuid).creation.spec
        return api.Processes(
            titles=("PID", "USER", "COMMAND"), rows=(("1", "root", " ".join(spec.command or ("fake",))),)
        )

    @contextlib.contextmanager
    def get_archive(self, uuid: str, path: str) -> Iterator[tuple[api.PathStat, Iterator[bytes]]]:
        """A tar of what was put in, or written by a played command."""
        files, name = self._get(uuid).files, posixpath.normpath(path)
        inside = {
            place: content
            for place, content in files.items()
            if place == name or place.startswith(name.rstrip("/") + "/")
        }
        if not inside and name not in DIRECTORIES:
            raise errors.NotFound(f"There is nothing at {path} in the container.")
        is_file, above = name in inside, posixpath.dirname(name)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            if not is_file:
                entry = tarfile.TarInfo(posixpath.relpath(name, above))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            for place, content in sorted(inside.items()):
                entry = tarfile.TarInfo(posixpath.relpath(place, above))
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        stat = api.PathStat(
            name=posixpath.basename(name) or "/",
            size=len(inside[name]) if is_file else 4096,
            mode=0o644 if is_file else DIRECTORY_MODE,
            mtime=datetime.datetime.fromtimestamp(self._clock(), datetime.UTC).isoformat(),
        )
        yield stat, iter((buffer.getvalue(),))

    def put_archive(self, uuid: str, path: str, tar: IO[bytes]) -> None:
        """Keep the files of a tar."""
        target = posixpath.normpath(path)
        self._get(uuid)
        new = {}
        try:
            with tarfile.open(fileobj=tar, mode="r|*") as archive:
                for entry in archive:
                    content = archive.extractfile(entry) if entry.isfile() else None
                    if content is not None:
                        new[posixpath.normpath(posixpath.join(target, entry.name))] = content.read()
        except tarfile.TarError as problem:
            raise errors.Invalid("What was sent is not a tar archive.") from problem
        with self.store.locked():
            record = self._get(uuid)
            if target not in DIRECTORIES and not any(place.startswith(target + "/") for place in record.files):
                raise errors.NotFound(f"There is no directory {path} in the container.")
            record.files.update(new)
            self.store.put(uuid, record)

    def commit(self, uuid: str, repository: str, tag: str) -> api.ImageFacts:
        """Name what the container is made of."""
        record = self._get(uuid)
        content = repr((record.digest, sorted(record.files.items()), uuid)).encode()
        return self._keep_image(f"{repository}:{tag}", hashlib.sha256(content).hexdigest())

    def load_image(self, name: str, archive: Iterator[bytes]) -> api.ImageFacts:
        """Keep the image of an archive."""
        self.store.check()
        return self._keep_image(name, archives.digest_of(archive, name))

    @contextlib.contextmanager
    def save_image(self, name: str) -> Iterator[Iterator[bytes]]:
        """An archive of an image."""
        facts = self.image(name)
        yield iter((archives.written(name, facts.digest.removeprefix("sha256:")),))

    def resize(self, uuid: str, *, cpus: float | None, memory_mib: int | None) -> None:
        """Remember other limits."""
        with self.store.locked():
            record = self._get(uuid)
            used = int(record.creation.spec.environment.get("FAKE_MEMORY_MIB", "1"))
            if memory_mib is not None and record.state is EngineState.RUNNING and memory_mib < used:
                raise errors.Conflict(
                    f"The container uses {used} MiB of memory now. Give it more than that, or stop it first."
                )
            record.cpus = record.cpus if cpus is None else cpus
            record.memory_mib = record.memory_mib if memory_mib is None else memory_mib
            self.store.put(uuid, record)

    def resize_terminal(self, uuid: str, *, height: int, width: int) -> None:
        """Take note of nothing: a played command has no screen."""
        record = self._running(uuid)
        if not record.creation.spec.tty:
            raise errors.Conflict(f"The container {uuid} has no terminal. Create it with a tty.")

    def probe(self, uuid: str) -> Health:
        """What its environment says that the check finds."""
        record = self._running(uuid)
        found = behaviour.health(record)
        if found is None:
            raise errors.Conflict(f"The container {uuid} has no health check.")
        return found

    def create_volume(self, name: str, labels: dict[str, str]) -> None:
        """Remember a name."""
        self.store.check()
        with self.store.locked():
            rest = self.store.rest()
            rest.volumes = sorted({*rest.volumes, name})
            self.store.put_rest(rest)

    def remove_volume(self, name: str) -> None:
        """Forget a name that no container uses."""
        self.store.check()
        with self.store.locked():
            if any(bind.source == name for record in self.store.all().values() for bind in record.creation.binds):
                raise errors.Conflict(f"The volume {name} is in use by a container. Delete the container first.")
            rest = self.store.rest()
            rest.volumes = [other for other in rest.volumes if other != name]
            self.store.put_rest(rest)

    def volumes(self) -> Iterable[str]:
        """Every name."""
        self.store.check()
        return tuple(self.store.rest().volumes)


def open_engine(address: str) -> FakeEngine:
    """A fake engine in memory (``fake:``) or in a directory (``fake:///DIRECTORY``)."""
    parts = urllib.parse.urlsplit(address)
    options = dict(urllib.parse.parse_qsl(parts.query))
    store = DirectoryStore(pathlib.Path(parts.path)) if parts.path.strip("/") else MemoryStore()
    return FakeEngine(store, options)
