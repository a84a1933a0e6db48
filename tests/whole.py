"""A whole Higgins for tests: ``higgins-up`` with all its processes, on a free port, in a state directory of its own.

It can be killed in parts or as a whole and started again on the same state; what it did is counted by asking the engine itself and the
same audit that ``higgins-manage`` runs.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

import pytest
import yaml

from higgins.cmd import audit, clouds
from higgins.core.phase import EngineState
from higgins.engine.load import open_engine
from higgins.store import seal, session
from tests import machine

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
PROCESSES = ("api", "controller", "agent")
DEADLINE_S = 150.0
QUICK = {"DEFAULT": {"debug": "true"}, "agent": {"pull_deadline_s": 2, "wish_deadline_s": 20, "orphan_grace_s": 3600}}
"""Options that let a bad day end while a test waits, and tell everything in the logs."""


def until(reached, what, deadline_s=DEADLINE_S):
    """The first true answer; a service that does not answer has not reached anything."""
    deadline, pause = time.monotonic() + deadline_s, threading.Event()
    while True:
        try:
            seen = reached()
        except (OSError, http.client.HTTPException) as silent:
            seen, last = None, silent
        else:
            last = seen
        if seen:
            return seen
        assert time.monotonic() < deadline, f"waited in vain: {what} (last: {last})"
        pause.wait(0.05)


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer of the API."""

    status: int
    headers: dict
    text: str

    @property
    def json(self):
        return json.loads(self.text) if self.text else None

    @property
    def fault(self):
        """The sentence of a refusal."""
        return self.json["errors"][0]["detail"]


class Whole:
    """One service and its state. ``start`` may be called again after ``stop`` or ``kill_all``."""

    def __init__(self, state, engine, address, options=None):
        self.state, self.engine_name, self.address = pathlib.Path(state), engine, address
        self.port, self.process = machine.free_port(), None
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        groups = [
            f"[{name}]\n" + "\n".join(f"{k} = {v}" for k, v in group.items())
            for name, group in (options or QUICK).items()
        ]
        (self.state / "local.conf").write_text("\n".join(groups) + "\n")

    # Its processes

    def command(self):
        words = [sys.executable, "-m", "higgins.cmd.up", "--state", str(self.state), "--port", str(self.port)]
        return [*words, "--engine", self.engine_name, "--engine-address", self.address]

    def start(self):
        """Start it and wait until the API answers and the host is up."""
        self.launch()
        until(self.is_up, "the service answers and its host is up")
        return self

    def launch(self):
        """Start it and do not wait."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "HIGGINS_", "XDG_"))}
        with (self.state / "up.out").open("ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=REPOSITORY, env=environment
            )

    def is_up(self):
        """Whether each of its processes of this moment (not one that ended, whose answers may still stand) does its work."""
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended:\n{self.logs()}")
        agent = all(self.living(name) for name in PROCESSES) and self.living("agent")
        if not agent or not self.greeted(agent):
            return False
        reply = self.admin("GET", "/v1/services")
        return reply.status == 200 and any(row["state"] == "up" for row in reply.json["services"])

    def stop(self):
        """Stop it as script/down does."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process:
            self.process.wait(240)

    def pid(self, name):
        """The process of that name now; ``None`` while there is none."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.state / "run" / f"{name}.pid").read_text())
        return None

    def living(self, name):
        """Its process, if it runs: a pid file may be of one that has ended, and the number somebody else's by now."""
        pid = self.pid(name)
        return pid if machine.parent(pid) == self.process.pid and machine.lives(pid) else None

    def greeted(self, pid):
        """Whether the controller took the greeting of this agent, and so knows where and how to ask it."""
        log = (self.state / "log" / "agent.log").read_text()
        return any(f" {pid} " in line and "The controller knows this host" in line for line in log.splitlines())

    def kill(self, name):
        """kill -9 one process (``up`` is the supervisor) as soon as it lives; gives its pid once nothing of it is left to answer."""
        if name == "up":
            self.process.kill()
            self.process.wait()
            return self.process.pid
        pid = until(lambda: self.living(name), f"{name} lives")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until(
            lambda: not any(machine.lives(each) for each in machine.session(pid)), f"{name} and its workers have ended"
        )
        return pid

    def kill_all(self):
        """kill -9 the supervisor and everything that it started; returns when nothing of it is left."""
        watched = []
        for name in PROCESSES:
            for pid in machine.family(self.pid(name)):
                with contextlib.suppress(ProcessLookupError):
                    watched.append((pid, os.pidfd_open(pid)))
        self.kill("up")
        for pid, handle in watched:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            ended = select.select([handle], [], [], 120)[0]
            os.close(handle)
            assert ended, f"{pid} outlives kill -9"

    def processes(self):
        """Every process of this service."""
        return machine.family(self.process.pid)

    def logs(self):
        files = [*self.state.glob("log/*"), self.state / "up.out"]
        return "\n".join(f"{file}:\n{file.read_text()[-3000:]}" for file in files if file.exists())

    # Its API

    def account(self, user):
        clouds = yaml.safe_load((self.state / "clouds.yaml").read_text())["clouds"]
        return clouds["higgins" if user == "demo" else "higgins-admin"]["auth"]

    def request(self, method, path, body=None, *, user="demo", headers=None, raw=None):
        """One request on a connection of its own; ``OSError`` when it breaks."""
        auth = self.account(user)
        pair = base64.b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()
        words = {"OpenStack-API-Version": "container 1.40", "Authorization": f"Basic {pair}"} | (headers or {})
        content = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        if content is not None:
            words.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, content, words)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()

    def admin(self, method, path, body=None, **words):
        return self.request(method, path, body, user="admin", **words)

    def stubborn(self, method, path, body=None, **words):
        """The first answer that is no 503, asked again while there is none: what a client does that does not give up."""
        return until(
            lambda: reply if (reply := self.request(method, path, body, **words)).status != 503 else None,
            f"{method} {path} is answered",
        )

    def create(self, image="busybox", *, run=True, key=None, **fields):
        """A new container's uuid."""
        headers = {"Idempotency-Key": key} if key else {}
        reply = self.request(
            "POST", f"/v1/containers?run={str(run).lower()}", {"image": image} | fields, headers=headers
        )
        assert reply.status == 202, reply
        return reply.json["uuid"]

    def act(self, uid, action, **query):
        words = urllib.parse.urlencode(query)
        return self.request("POST", f"/v1/containers/{uid}/{action}" + (f"?{words}" if words else ""))

    def delete(self, uid, *, stop=True):
        return self.request("DELETE", f"/v1/containers/{uid}?stop={str(stop).lower()}")

    def show(self, uid):
        """The container; ``None`` when it is gone. A 503 is, for ``until``, a service that does not answer yet."""
        reply = self.request("GET", f"/v1/containers/{uid}")
        if reply.status == 503:
            raise ConnectionError(reply)
        assert reply.status in (200, 404), reply
        return None if reply.status == 404 else reply.json

    def reached(self, uid, status, deadline_s=DEADLINE_S):
        """The container once it has that status and nothing is under way."""

        def seen():
            shown = self.show(uid)
            return shown if shown and shown["status"] == status and not shown["task_state"] else None

        try:
            return until(seen, f"{uid} is {status}", deadline_s)
        except AssertionError as late:
            raise AssertionError(f"{late}\nnow: {self.show(uid)}\n{self.logs()}") from late

    def gone(self, uid):
        until(lambda: self.show(uid) is None, f"{uid} is gone")

    def actions(self, uid):
        return self.request("GET", f"/v1/containers/{uid}/container_actions").json["containerActions"]

    # What really is

    @property
    def full_address(self):
        """The engine's address with the installation in it."""
        lines = (self.state / "higgins.conf").read_text().splitlines()
        return next(line.partition(" = ")[2] for line in lines if line.startswith("address = "))

    def engine(self):
        return open_engine(self.engine_name, self.full_address)

    def on_engine(self):
        """What the engine has of this installation, by uuid."""
        engine = self.engine()
        try:
            return {facts.uuid: facts for facts in engine.list()}
        finally:
            engine.close()

    def running(self):
        return {uid for uid, facts in self.on_engine().items() if facts.state is EngineState.RUNNING}

    def look(self, *, repair=False, stuck_after_s=0.0):
        """The audit of ``higgins-manage``, as lines."""
        database = session.Database(f"sqlite:///{self.state / 'higgins.db'}")
        try:
            sealer = seal.Sealer(seal.load_or_create_key(self.state / "secret.key"))
            services = clouds.open_audits(None, database)
            result = audit.look(database, sealer, services, repair=repair, stuck_after_s=stuck_after_s)
        finally:
            database.close()
        return [f"{one.kind} {one.ident}: {one.text}" for one in result.findings]

    def usage(self):
        """What is counted of demo's project: containers and MiB."""
        users = json.loads((self.state / "users.json").read_text())["users"]
        project = next(user["project_id"] for user in users if user["name"] == "demo")
        found = self.request("GET", f"/v1/quotas/{project}?usages=true").json
        return found["containers"]["in_use"], found["memory"]["in_use"]

    def open_actions(self):
        """Wishes and questions that nobody has ended."""
        database = session.Database(f"sqlite:///{self.state / 'higgins.db'}")
        try:
            with database.read() as tx:
                return [tuple(row) for row in tx.connection.exec_driver_sql(OPEN).fetchall()]
        finally:
            database.close()

    def mended(self):
        """Bring everything up that a test before left down."""
        self.answers(True)
        if self.process.poll() is not None:
            self.start()
        until(self.is_up, "the service answers and its host is up")

    def answers(self, up):
        """Let the fake engine answer, or not."""
        down = pathlib.Path(self.address.removeprefix("fake://")) / "down"
        if self.engine_name == "fake":
            down.parent.mkdir(parents=True, exist_ok=True)
            down.unlink(missing_ok=True) if up else down.touch()

    def settled(self, stuck_after_s=0.0):
        """Wait until no wish is under way and the audit finds nothing."""
        try:
            until(lambda: not self.look(stuck_after_s=stuck_after_s), "the audit finds nothing")
            until(lambda: not self.open_actions(), "every action has ended")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.look()}\n{self.open_actions()}\n{self.logs()}") from late

    def nothing_is_left(self):
        """Delete all containers; then the engine, the host's files, quota and claims must be empty."""
        self.mended()
        for shown in self.stubborn("GET", "/v1/containers").json["containers"]:
            reply = self.stubborn(
                "DELETE", f"/v1/containers/{shown['uuid']}?force=true&all_projects=true", user="admin"
            )
            assert reply.status in (204, 404), reply
        until(lambda: self.stubborn("GET", "/v1/containers").json["containers"] == [], "all are gone")
        self.settled()
        assert self.on_engine() == {}
        assert list((self.state / "agent" / "files").iterdir()) == []
        assert self.usage() == (0, 0)
        engine = self.engine()
        assert list(engine.volumes()) == []
        engine.close()


OPEN = "SELECT pod_uuid, action, generation FROM actions WHERE finished_at IS NULL"


@contextlib.contextmanager
def whole(engine="fake", address=None, options=None, *, started=True):
    """A service that is ended, and whose folders are removed, at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hgw-", dir="/tmp"))  # short: sockets lie in it
    service = Whole(folder / "s", engine, address or f"fake://{folder}/engine", options)
    try:
        if started:
            service.start()
        yield service
    finally:
        try:
            service.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def running_service():
    """One for all tests that need one: whoever breaks it mends it."""
    with whole() as service:
        yield service


@pytest.fixture
def site(running_service):
    """The service, and the promise of every test of it: when all is deleted, nothing is stuck, leaked or counted wrongly."""
    running_service.mended()
    yield running_service
    running_service.nothing_is_left()


def new_key():
    """An Idempotency-Key."""
    return uuid.uuid4().hex
