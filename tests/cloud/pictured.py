"""A whole installation in one process over a store of its own, the real Glance and a private engine: use cases, loops, wire and agent.

What the wire reads from Glance is counted, and can be made to break off.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import pathlib
import tarfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from higgins.agent.loop import Timings
from higgins.agent.service import Agent
from higgins.cloud.glance import Glance
from higgins.cloud.services import Services
from higgins.cloud.session import Account, Session
from higgins.cmd.parts import AgentQuestions
from higgins.control import service
from higgins.control.means import Means
from higgins.control.requests import NewContainer
from higgins.control.settings import Settings
from higgins.core import caller, errors
from higgins.core.phase import Phase
from higgins.engine import api
from higgins.policy.enforce import Policy
from higgins.provision.images import Images
from higgins.provision.loop import Provisioner
from higgins.scheduler.loop import Scheduler
from higgins.store import actions, hosts, migrate, pods
from higgins.store.agents.desk import Desk
from higgins.store.pods import Pod
from higgins.store.records import events, installation
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import hints
from higgins.wire.client import WireClient
from higgins.wire.server import Server
from tests.cloud.cloud_world import PATIENCE_S, Cloud, People, until
from tests.engine.running import busybox_tar

EVERYTHING = caller.Scope(None)
FOREVER = ("sh", "-c", "trap exit TERM; sleep 1000 & wait")


class Counted:
    """Glance as the wire's server reads it: each download is counted; ``breaks`` of them break off after ``after`` bytes."""

    def __init__(self, glance: Glance) -> None:
        self._glance = glance
        self.asked: list[tuple[str, int]] = []
        self.breaks, self.after = 0, 0
        self.on_break: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def download(self, uuid: str, offset: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        """As Glance's port has it."""
        self.asked.append((uuid, offset))
        broken = self.breaks > 0
        self.breaks -= int(broken)
        with self._glance.download(uuid, offset) as (size, chunks):
            yield size, self._cut(chunks) if broken else chunks

    def _cut(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        left = self.after
        for chunk in chunks:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                self.on_break()
                raise errors.Unavailable("Glance went away.")


class Pictured:
    """One installation with one host."""

    def __init__(self, folder: pathlib.Path, cloud: Cloud, people: People, engine: api.Engine, **settings: Any) -> None:
        url = f"sqlite:///{folder / 'higgins.db'}"
        migrate.upgrade(url)
        self.people, self.engine, self.folder = people, engine, folder
        self.db = Database(url, durable=False)
        self.sealer = Sealer(bytes(range(32)))
        with self.db.write() as tx:
            installed = installation.ensure(tx, self.sealer)
            hosts.enroll(tx, "host-1", hashlib.sha256(b"token").hexdigest())
        password = (cloud.place / "secret" / "higgins").read_text().strip()
        session = Session(
            Account(auth_url="http://127.0.0.1:5000/v3", username="higgins", password=password, timeout_s=PATIENCE_S)
        )
        self.glance = Glance.of(session)
        self.source = Counted(self.glance)
        local = hints.LocalHints()
        self.means = Means(
            db=self.db,
            sealer=self.sealer,
            policy=Policy(),
            hint=hints.after_wish(local),
            installation=installed,
            settings=Settings(image_drivers=("docker", "glance"), **settings),
            services=Services(session=session, glance=self.glance),
        )
        self.control = service.build(self.means, AgentQuestions())
        self.server = Server(Desk(self.db, self.sealer), local, f"unix:{folder}/w", images=self.source)
        self.loops = (
            Scheduler(self.db, local, interval_s=1),
            Provisioner(self.db, local, [Images(self.glance)], self.sealer, interval_s=1, at_once=4),
        )
        self.agent: Agent | None = None
        for part in (*self.loops, self.server):
            part.start()
        self.start_agent()

    def start_agent(self, **words: Any) -> None:
        """An agent, another one when there was one."""
        timings = Timings(
            backoff_first_s=0.1,
            poll_wait_s=2,
            tick_s=0.2,
            resync_s=words.pop("resync_s", 600),
            image_unused_s=words.pop("unused_s", 3600),
        )
        if self.agent is not None:
            self.agent.stop()
        self.agent = Agent(
            self.engine,
            WireClient(f"unix:{self.folder}/w", "token"),
            hostname="host-1",
            state_dir=self.folder / "agent",
            live_address=f"unix:{self.folder}/l",
            live_token="secret",
            timings=timings,
            **words,
        )
        self.agent.start()

    def who(self, persona: str = "member") -> caller.Caller:
        """One of the people with a fresh request id, as identity would have it."""
        connection = self.people.connection(persona)
        return caller.Caller(
            user_id=connection.current_user_id,
            project_id=connection.current_project_id,
            roles=frozenset({"member" if persona == "stranger" else persona}),
            request_id=f"req-{uuid.uuid4()}",
            token=connection.auth_token,
        )

    def create(self, image: str, persona: str = "member", *, run: bool = True, **fields: Any) -> Pod:
        """A container of an image of Glance, as it is wished."""
        words = {"image": image, "image_driver": "glance", "cpu": 0.1, "memory_mib": 16, "command": FOREVER, **fields}
        return self.control.containers.create(self.who(persona), NewContainer(**words), run=run)

    def row(self, pod: Pod) -> Pod:
        """The row as it is now."""
        with self.db.read() as tx:
            return pods.get(tx, pod.uuid, EVERYTHING)

    def until(self, pod: Pod, phase: Phase, seconds: float = PATIENCE_S) -> Pod:
        """The row once its newest wish has been dealt with and has come to this."""

        def is_so() -> Pod | None:
            now = self.row(pod)
            failed = now.provision_reason is not None and now.provision_generation >= now.generation
            there = now.observed_generation >= now.generation and now.phase is phase
            return now if there or (failed and phase is Phase.FAILED) else None

        return until(f"{pod.uuid} to be {phase}", is_so, seconds, lambda: repr(self.row(pod)))  # type: ignore[no-any-return]

    def reason(self, pod: Pod) -> str:
        """Why it failed."""
        now = self.row(pod)
        return now.provision_reason or now.reason or ""

    def logs(self, pod: Pod) -> str:
        """What it wrote."""
        return self.control.live.logs(self.who(), pod.uuid)

    def steps(self, pod: Pod) -> list[Any]:
        """What its host did."""
        with self.db.read() as tx:
            return list(events.list(tx, pod.uuid))

    def action(self, pod: Pod, request_id: str) -> actions.Action:
        """One action's row."""
        with self.db.read() as tx:
            return actions.get(tx, pod.uuid, request_id, EVERYTHING)

    def delete(self, pod: Pod) -> None:
        """Have it gone."""
        self.control.containers.delete(
            dataclasses.replace(self.who("admin"), project_id=pod.project_id), pod.uuid, force=True
        )

        def is_gone() -> bool:
            try:
                self.row(pod)
            except errors.NotFound:
                return True
            return False

        until(f"{pod.uuid} to be gone", is_gone, told=lambda: repr(self.row(pod)))

    def ours(self) -> set[str]:
        """Names of images of ours in the engine."""
        return {name for facts in self.engine.images() for name in facts.names if name.startswith("higgins.local/")}

    def end(self) -> None:
        """Delete what is left and stop."""
        try:
            with self.db.read() as tx:
                left = list(pods.list(tx, EVERYTHING))
            for pod in left:
                with contextlib.suppress(errors.NotFound):
                    self.delete(pod)
        finally:
            if self.agent is not None:
                self.agent.stop()
            for part in (self.server, *reversed(self.loops)):
                part.stop()
        for name in self.ours():
            self.engine.remove_image(name)


def archive(
    *, tags: tuple[str, ...] = ("docker.io/library/busybox:latest",), says: str = "a tenant", filler: int = 0
) -> bytes:
    """What ``docker save`` writes of busybox with a file ``/says`` beside it; under whatever names a tenant likes."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, "bin/busybox", _busybox(), 0o755)
        for name in ("sh", "cat", "echo", "sleep", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add(tar, "says", says.encode())
        if filler:
            _add(tar, "filler", hashlib.sha256(says.encode()).digest() * (filler // 32))
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": list(tags), "Layers": ["layer/layer.tar"]}]).encode()
    outer = io.BytesIO()
    with tarfile.open(fileobj=outer, mode="w") as tar:
        _add(tar, "layer/layer.tar", layer.getvalue())
        _add(tar, "config.json", config)
        _add(tar, "manifest.json", manifest)
    return outer.getvalue()


@functools.cache
def _busybox() -> bytes:
    with tarfile.open(busybox_tar()) as root:
        program = root.extractfile("./bin/busybox")
        assert program is not None
        return program.read()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
