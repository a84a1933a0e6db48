"""Answers the control plane's live questions: over a unix socket (mode 0600) or TLS, with the agent's own bearer token.

A small WSGI application on cheroot. Questions go to the engine as they are; nothing here changes what a pod is wanted to be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hmac
import io
import logging
import os
import socket
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import msgspec
from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

from higgins.agent.chores.orphans import Leftovers, Orphans
from higgins.agent.hands.file import Files
from higgins.agent.observe import Observer
from higgins.core import errors, model
from higgins.core.names import LOCAL_IMAGES
from higgins.engine import api
from higgins.wire import contract
from higgins.wire.client import fault_of

LOG = logging.getLogger(__name__)
MOST_BODY_BYTES = 1 << 20
SAMPLE_S = 0.2
OLDEST_SAMPLE_S = 60.0
THREADS = 8
SOCKET_TIMEOUT_S = 60
Body = TypeVar("Body")
Ability = TypeVar("Ability")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Paths of the certificate (with its chain) and key of a live server that listens on ``https``."""

    certificate: str
    key: str


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
        holding: Callable[[str], AbstractContextManager[None]] = lambda name: contextlib.nullcontext(),
    ) -> None:
        self._engine, self._observer, self._orphans, self._files = engine, observer, orphans, files
        self._look, self._holding = look, holding
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
        return _audit([facts for _, facts in sorted(found.items())], volumes, self._orphans.found())

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
        return contract.TextAnswer(text=b"".join(chunks).decode(errors="replace"))

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
        made = self._can(api.CanCommit, "make images of containers").commit(uuid, asked.repository, asked.tag)
        return contract.CommitAnswer(image_id=made.image_id, digest=made.digest, size_bytes=made.size_bytes)


class LiveServer:
    """Listens and hands questions to ``Answers``; threads of its own."""

    def __init__(self, answers: Answers, address: str, token: str, tls: TlsFiles | None) -> None:
        self._answers, self._token = answers, token
        self._path = Path(address.removeprefix("unix:")) if address.startswith("unix:") else None
        bind: Any = str(self._path)
        if self._path is None:
            parts = urllib.parse.urlsplit(address)
            if parts.scheme != "https" or tls is None:
                raise errors.Invalid(
                    f"The live address {address} must be unix:PATH, or https://HOST:PORT with a certificate."
                )
            bind = (parts.hostname or "", parts.port or 443)
        self._server = wsgi.Server(bind, self._application, numthreads=THREADS, max=THREADS * 4, server_name="higgins")
        self._server.max_request_body_size = 0
        self._server.timeout = SOCKET_TIMEOUT_S
        self._server.shutdown_timeout = 1
        if tls is not None and self._path is None:
            self._server.ssl_adapter = BuiltinSSLAdapter(tls.certificate, tls.key)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen and serve from a thread; ``Unavailable`` when the address cannot be listened on."""
        before = os.umask(0o177)
        try:
            self._server.prepare()
        except OSError as error:
            raise errors.Unavailable(f"The agent cannot listen for live questions: {error}") from error
        finally:
            os.umask(before)
        if self._path is not None:
            self._path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve, name="live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; questions in hand are broken off after a while."""
        if self._thread is not None:
            stopping = threading.Thread(target=self._server.stop, name="live stops", daemon=True)
            stopping.start()
            while stopping.is_alive():
                self._touch()
                stopping.join(0.02)
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _touch(self) -> None:
        # A connection wakes the serving thread, which else sees only after a while that it must stop.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            if self._path is not None:
                sock.connect(str(self._path))

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            given = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise errors.Unauthorized("The token of this question is not this agent's; say Hello again.")
            return self._route(environ, start_response)
        except errors.HigginsError as error:
            return _answer(start_response, error.http_status, msgspec.json.encode(fault_of(error)))
        except Exception:
            LOG.exception("A live question broke")
            fault = contract.Fault(error="HigginsError", message="The agent failed to answer; its log says why.")
            return _answer(start_response, 500, msgspec.json.encode(fault))

    def _route(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, parts = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "").strip("/").split("/")
        query = dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", "")))
        answer: object
        match [method, *parts]:
            case ["GET", "live", "v1", "audit"]:
                answer = self._answers.audit()
            case ["POST", "live", "v1", "audit", "repair"]:
                answer = self._answers.repair()
            case ["POST", "live", "v1", "pods", pod, "containers", container, "get_archive"]:
                self._answers.check(pod, container)
                return _Archive(self._answers.get_archive(container, _path_of(query)), start_response)
            case ["POST", "live", "v1", "pods", pod, "containers", container, "commit_archive"]:
                self._answers.check(pod, container)
                return _Archive(self._answers.commit_archive(container), start_response)
            case ["POST", "live", "v1", "pods", pod, "containers", container, "put_archive"]:
                self._answers.check(pod, container)
                tar = _Whole(environ["wsgi.input"])
                try:
                    self._answers.put_archive(container, _path_of(query), cast("IO[bytes]", tar))
                finally:
                    tar.drain()
                answer = contract.Nothing()
            case ["POST", "live", "v1", "pods", pod, "containers", container, question] if (
                question in self._answers.questions
            ):
                self._answers.check(pod, container)
                answer = self._answers.questions[question](container, _body(environ))
            case _:
                raise errors.NotFound("This agent knows no such question.")
        return _answer(start_response, 200, msgspec.json.encode(answer))


class _Archive:
    """A tar on its way: what makes it is closed when the server is done with it, or the asker went away."""

    def __init__(
        self,
        archive: AbstractContextManager[tuple[api.PathStat | None, Iterator[bytes]]],
        start_response: Callable[..., Any],
    ) -> None:
        self._archive = archive
        stat, self._chunks = archive.__enter__()
        headers = [("Content-Type", "application/x-tar")]
        if stat is not None:
            told = contract.PathStatAnswer(
                name=stat.name, size=stat.size, mode=stat.mode, mtime=stat.mtime, link_target=stat.link_target
            )
            headers.append(("X-Higgins-Path-Stat", _in_ascii(msgspec.json.encode(told))))
        start_response("200 OK", headers)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Give back what makes the tar."""
        self._archive.__exit__(None, None, None)


class _Whole(io.RawIOBase):
    """A request's body that can be read to its end also after its reader lost interest, so that the answer gets through."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._source.read(size) if size >= 0 else self._source.read()

    def drain(self) -> None:
        """Read what is left and throw it away."""
        while self._source.read(1 << 16):
            continue


def _answer(start_response: Callable[..., Any], status: int, body: bytes) -> Iterable[bytes]:
    start_response(f"{status} -", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _body(environ: dict[str, Any]) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > MOST_BODY_BYTES:
        raise errors.Invalid(f"A question has at most {MOST_BODY_BYTES} bytes.")
    body: bytes = environ["wsgi.input"].read(length)
    return body or b"{}"


def _decode(body: bytes, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise errors.Invalid(f"The question is not understood: {error}") from error


def _path_of(query: dict[str, str]) -> str:
    if not query.get("path"):
        raise errors.Invalid("Say which path of the container with ?path=.")
    return query["path"]


def _in_ascii(text: bytes) -> str:
    return text.decode().encode("ascii", "backslashreplace").decode("ascii")


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
