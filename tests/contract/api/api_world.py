"""A whole control plane in one process: the app over WSGI, real use cases, a real SQLite file; only the host's agent is a double."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import pathlib
import secrets

import sqlalchemy as sa
from falcon import testing

from higgins.api.app import make_app
from higgins.api.identity.noauth import NoAuth
from higgins.control.means import Means
from higgins.control.service import build
from higgins.control.settings import Settings
from higgins.core import model
from higgins.core.caller import Scope
from higgins.core.phase import EngineState, Phase
from higgins.policy.enforce import Policy
from higgins.store import hosts, pods, session, tables
from higgins.store.agents import reports
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.wire import contract

PERSONAS = {
    "reader": {"X-User-Id": "u-reader", "X-Project-Id": "p1", "X-Roles": "reader"},
    "member": {"X-User-Id": "u-member", "X-Project-Id": "p1", "X-Roles": "member,reader"},
    "manager": {"X-User-Id": "u-manager", "X-Project-Id": "p1", "X-Roles": "manager,member,reader"},
    "admin": {"X-User-Id": "u-admin", "X-Project-Id": "p0", "X-Roles": "admin,manager,member,reader"},
    "service": {"X-User-Id": "u-service", "X-Project-Id": "services", "X-Roles": "service"},
    "stranger": {"X-User-Id": "u-stranger", "X-Project-Id": "p2", "X-Roles": "member,reader"},
    "nobody": {},
    "roleless": {"X-User-Id": "u-none", "X-Project-Id": "p1", "X-Roles": "custom"},
}
STAT = contract.PathStatAnswer(name="etc", size=4096, mode=0o755, mtime="2026-01-01T00:00:00Z")


class AgentDouble:
    """Answers live questions as an agent would, and keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.unpacked = []
        self.tar = b"\x00tar bytes \xff"
        self.open = 0
        self.fails = None

    def ask(self, address, token, *, pod, container, question, body, answer, timeout_s):
        self.asked.append((question, body))
        answers = {
            contract.TextAnswer: contract.TextAnswer(text="hello\nworld\n"),
            contract.ExecAnswer: contract.ExecAnswer(output="out\n", exit_code=3),
            contract.TopAnswer: contract.TopAnswer(titles=("PID", "CMD"), rows=(("1", "sleep"),)),
            contract.StatsAnswer: contract.StatsAnswer(
                cpu_percent=12.345,
                memory_bytes=3 * 2**20,
                memory_limit_bytes=512 * 2**20,
                block_read_bytes=1,
                block_write_bytes=2,
                net_rx_bytes=3,
                net_tx_bytes=4,
                pids=1,
            ),
            contract.CommitAnswer: contract.CommitAnswer(image_id="sha256:ab", digest="sha256:cd", size_bytes=5),
            contract.Nothing: contract.Nothing(),
        }
        return answers[answer]

    @contextlib.contextmanager
    def get_archive(self, address, token, *, pod, container, path, timeout_s):
        self.asked.append(("get_archive", path))
        self.open += 1
        try:
            yield STAT, self._chunks()
        finally:
            self.open -= 1

    def _chunks(self):
        if self.fails is not None:
            raise self.fails
        yield from (self.tar[:4], self.tar[4:])

    def put_archive(self, address, token, *, pod, container, path, tar, timeout_s):
        self.unpacked.append((path, b"".join(tar)))


@dataclasses.dataclass
class Answer:
    """A reply with its JSON read."""

    status: int
    headers: dict
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def error(self):
        return self.json["errors"][0]


_POLICY = Policy()


class World:
    """The control plane, a host, and ways to call the one and to speak for the other. The folder holds a migrated database."""

    def __init__(self, folder: pathlib.Path, policy_file=None, **settings):
        self.db = session.Database(f"sqlite:///{folder}/higgins.db", durable=False)
        self.sealer = Sealer(secrets.token_bytes(32))
        self.agent = AgentDouble()
        self.policy = Policy(policy_file) if policy_file else _POLICY
        with self.db.write() as tx:
            uuid = installation.ensure(tx, self.sealer)
        means = Means(
            db=self.db,
            sealer=self.sealer,
            policy=self.policy,
            hint=lambda host_id, *, straight=False: None,
            installation=uuid,
            settings=Settings(**({"host_down_after_s": 3600} | settings)),
        )
        self.control = build(means, self.agent)
        self.numbers = itertools.count(1)
        self.host_id = self._add_host("h1")
        self.app = make_app(self.control, NoAuth())
        self.client = testing.TestClient(self.app)

    def close(self):
        self.db.close()

    def _add_host(self, name):
        facts = model.HostFacts(
            hostname=name,
            engine="fake",
            engine_version="1",
            engine_up=True,
            cpus=64,
            memory_mib=2**20,
            disk_gib=1000,
            architecture="x86_64",
            abilities=("commit", "copy", "exec", "logs", "pause", "probe", "resize", "stats", "terminal", "volumes"),
        )
        with self.db.write() as tx:
            uuid = hosts.enroll(tx, name, secrets.token_hex(32))
            host = hosts.get(tx, uuid)
            hosts.hello(tx, host.id, facts, "unix:/nowhere", "token", self.sealer)
        return host.id

    def call(self, method, path, body=None, *, persona="member", version="1.41", headers=None, raw=None):
        """One request; ``body`` is sent as JSON, ``raw`` as it is."""
        path, _, query = path.partition("?")
        sent = {**PERSONAS[persona], "OpenStack-API-Version": f"container {version}", **(headers or {})}
        if body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        found = self.client.simulate_request(method, path, query_string=query, headers=sent, body=raw)
        return Answer(found.status_code, dict(found.headers), found.text)

    def create(self, *, persona="member", run=True, version="1.41", phase=Phase.RUNNING, **fields):
        """A container that its host reports in a phase (``None``: not yet); gives its body at create."""
        made = self.call(
            "POST", f"/v1/containers?run={run}", {"image": "nginx", **fields}, persona=persona, version=version
        )
        assert made.status == 202, made.text
        if phase is not None:
            self.report(made.json["uuid"], phase)
        return made.json

    def report(self, uuid, phase, *, events=(), **found):
        """The host says what is; everything wished is dealt with."""
        with self.db.write() as tx:
            pod = pods.get(tx, uuid, Scope(None))
            tx.change(sa.update(tables.pods).where(tables.pods.c.uuid == uuid).values(host_id=self.host_id))
            status = model.PodStatus(
                phase=phase,
                observed_generation=pod.generation,
                observed_run=pod.run,
                reason=found.pop("reason", ""),
                containers=(model.ContainerStatus(uuid=uuid, state=EngineState.RUNNING, **found),),
                addresses=(model.Address(network="net-1", addr="10.0.0.5", port="port-1", subnet="sub-1"),),
            )
            report = contract.Report(
                number=next(self.numbers), pods=(contract.PodReport(uuid=uuid, status=status),), events=tuple(events)
            )
            assert reports.take(tx, self.host_id, report)

    def report_image(self, uuid, **found):
        """The host says how far it is with an image."""
        with self.db.write() as tx:
            told = contract.ImageReport(uuid=uuid, generation=1, **found)
            assert reports.take(tx, self.host_id, contract.Report(number=next(self.numbers), images=(told,)))

    def step(self, uuid, request_id, key="1", result="Success"):
        """One step done for a container."""
        at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        return model.StepEvent(
            key=key, pod=uuid, request_id=request_id, verb="start", target="nginx", why="it was asked for",
            started_at=at, finished_at=at, result=result, detail="words",
        )  # fmt: skip
