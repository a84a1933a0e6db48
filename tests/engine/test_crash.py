"""The agent killed -9 at every point before and after every call that leaves it: the same end as without, for every wish.

Counted over all points: containers, volumes, files and journal entries left over (leaked), wishes not met (stuck), and starts that
no wish asked for (wrongly restarted). All must be 0.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable

import msgspec
import pytest

from higgins.core import model
from higgins.core.phase import Desired, Phase, PullPolicy, Wish
from higgins.engine.load import open_engine
from tests.engine import crash_table
from tests.host.controller_double import Controller, assignment, container, serving, until

RUNNER = pathlib.Path(__file__).with_name("crash_runner.py")
DEADLINE_S = 90.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """A wish to be met: what stands before it, the wish itself, and how its end is known."""

    name: str
    want: model.Assignment
    before: Phase | None = None
    wish: dict | None = None
    end: Phase

    @property
    def forgotten(self) -> bool:
        """Whether nothing may be remembered at the end; of a pod that removed itself the run is, until the controller drops it."""
        return self.wish is not None and self.wish["wish"] is Wish.DELETE and self.end is Phase.GONE

    def reached(self, talk: Controller) -> bool:
        status, want = talk.status.get(self.want.uuid), talk.wants.get(self.want.uuid)
        if status is None or status.phase is not self.end:
            return False
        return want is None or status.observed_generation >= want[1].generation


def scenes(image: str, uid: str) -> list[Scene]:
    """Every wish on a container with a volume and an injected file, and on pods that end by themselves."""
    mounts = (
        model.Mount(destination="/data", volume="v1"),
        model.Mount(destination="/motd", kind="file", content=b"hello"),
    )
    grant = model.VolumeGrant(uuid="v1", name=f"hg-{uid}", auto_remove=True)
    stays = container(uid, image=image, command=("sleep", "1000"), mounts=mounts)
    once = container(uid, image=image, command=("true",))
    pulled = dataclasses.replace(stays, pull_policy=PullPolicy.ALWAYS)
    pod = model.PodSpec(
        init_containers=(dataclasses.replace(once, uuid=f"{uid[:-1]}1"),),
        containers=(stays, dataclasses.replace(stays, uuid=f"{uid[:-1]}2", mounts=())),
    )
    base = assignment(uid, stays, volumes=(grant,), stop_timeout_s=0)
    change = dataclasses.replace
    run, stop, gone = Phase.RUNNING, Phase.STOPPED, Phase.GONE
    again = {"desired": Desired.RUNNING, "run": 2}
    ended, away = {"wish": Wish.STOP, "desired": Desired.STOPPED}, {"wish": Wish.DELETE, "desired": Desired.DELETED}
    restart, rebuild = {"wish": Wish.REBOOT} | again, {"wish": Wish.REBUILD, "build": 2} | again
    frozen, start = {"wish": Wish.PAUSE, "desired": Desired.PAUSED}, {"wish": Wish.START} | again
    alone, several = base, change(base, spec=pod)
    short = assignment(uid, once)
    shy = assignment(uid, pod=model.PodSpec(containers=(once,), auto_remove=True))
    return [
        Scene(name="create", want=alone, end=run),
        Scene(name="create, image pulled", want=change(base, spec=model.PodSpec(containers=(pulled,))), end=run),
        Scene(name="create without a start", want=change(base, desired=Desired.CREATED, run=0), end=Phase.CREATED),
        Scene(name="create a pod of three", want=several, end=run),
        Scene(name="run once", want=short, end=stop),
        Scene(name="run once, auto_remove", want=shy, end=gone),
        Scene(name="start", want=alone, before=run, wish=start, end=run),
        Scene(name="start of one that ended", want=short, before=stop, wish=start, end=stop),
        Scene(name="stop", want=alone, before=run, wish=ended, end=stop),
        Scene(name="restart", want=alone, before=run, wish=restart, end=run),
        Scene(name="restart of a pod of three", want=several, before=run, wish=restart, end=run),
        Scene(name="rebuild", want=alone, before=run, wish=rebuild, end=run),
        Scene(name="pause", want=alone, before=run, wish=frozen, end=Phase.PAUSED),
        Scene(name="delete", want=alone, before=run, wish=away, end=gone),
        Scene(name="delete of a pod of three", want=several, before=run, wish=away, end=gone),
    ]


class Runner:
    """The process that forks agents."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(RUNNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()

    def ask(self, **order):
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(DEADLINE_S)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def runner():
    runner = Runner()
    yield runner
    runner.close()


class Host:
    """One host for one run: its directory, its controller on a socket, and the agents that run on it, one after the other."""

    def __init__(self, runner, place, scene, template=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="hc"))
        self.runner, self.scene, self.named = runner, scene, scene.want.uuid[:-1]
        self.own = self.named
        if not place.copies:  # one engine for all runs at once
            self.own = str(uuid.uuid4())[:-1]
            plain = msgspec.json.encode(scene.want).replace(self.named.encode(), self.own.encode())
            self.scene = dataclasses.replace(scene, want=msgspec.json.decode(plain, type=model.Assignment))
        self.name, self.address = place.name, place.address(self.root)
        self.engine = open_engine(self.name, self.address)
        self.talk = Controller()
        self.talk.drop_gone = scene.end is Phase.GONE
        self.agents = 0
        if template:
            shutil.copytree(template.root, self.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("wire", "live"))
            self.talk.resume(template.talk)
            self.agents = template.agents
        self.stack = contextlib.ExitStack()
        self.wire = self.stack.enter_context(serving(self.talk, self.root / "wire"))

    def start(self, kill_at=None):
        self.agents += 1
        order = {
            "root": str(self.root),
            "log": str(self.log),
            "kill_at": kill_at,
            "engine": self.name,
            "address": self.address,
            "wire": self.wire,
        }
        return self.runner.ask(start=order)

    @property
    def log(self):
        return self.root / f"log{self.agents}"

    def has_asked_again(self):
        """Whether the agent has taken up an answer with all that is wished, and asks for what comes after."""
        asked = [line for line in self.log.read_text().splitlines() if line.startswith("wire.assignments#")]
        answers = [place for place, line in enumerate(asked) if line.endswith(" after")]
        return bool(answers) and answers[0] + 1 < len(asked)

    def starts(self):
        """Containers by how often they were started, counted when a start had succeeded."""
        lines = [line for path in self.root.glob("log*") for line in path.read_text(errors="replace").splitlines()]
        over = [line.split()[-1] for line in lines if line.startswith("engine.start#") and " after " in line]
        return collections.Counter(target for target in over if target != "-")

    def settle(self, end=None) -> str:
        """Run an agent that is not killed until the wish is met; why not, when it is not."""
        scene, talk = dataclasses.replace(self.scene, end=end or self.scene.end), self.talk
        with talk.changed:
            hellos, before = len(talk.hellos), len(talk.history.get(scene.want.uuid, ()))
            there = scene.want.uuid in talk.wants
        pid = self.start()
        try:
            talk.wait(lambda: len(talk.hellos) > hellos, "hello", DEADLINE_S)
            if there:
                talk.wait(lambda: len(talk.history.get(scene.want.uuid, ())) > before, "a report", DEADLINE_S)
            talk.wait(lambda: scene.reached(talk), scene.name, DEADLINE_S)
            if scene.end is Phase.GONE:
                until(lambda: not list(self.engine.list()), "nothing to be left", DEADLINE_S)
            if scene.forgotten:
                # Of an answer that was on its way when the pod went, it is remembered once more, and forgotten again.
                until(lambda: self.has_asked_again() and not self.journal(), "the journal to forget", DEADLINE_S)
        except AssertionError as problem:
            os.kill(pid, signal.SIGUSR1)
            self.runner.ask(wait=pid, for_s=0.5)
            return f"{problem}\n{pathlib.Path(f'{self.log}.err').read_text()[-6000:]}\n{self.log.read_text()[-1500:]}"
        finally:
            self.runner.ask(kill=pid)
        return ""

    def prepare(self) -> str:
        """Bring the host to where the wish is made."""
        self.talk.wish(self.scene.want)
        problem = self.settle(self.scene.before)
        if self.scene.name == "start":
            self.talk.change(self.scene.want.uuid, desired=Desired.STOPPED)
            problem = problem or self.settle(Phase.STOPPED)
        return problem

    def journal(self):
        with contextlib.closing(sqlite3.connect(self.root / "state" / "journal.sqlite")) as journal:
            return sorted(row[0] for row in journal.execute("SELECT uuid FROM pods UNION SELECT pod FROM containers"))

    def look(self) -> Found:
        files = self.root / "state" / "files"
        named = lambda text: text.replace(self.own, self.named)  # noqa: E731
        return Found(
            containers={named(facts.uuid): (str(facts.state), facts.build) for facts in self.engine.list()},
            volumes=sorted(map(named, self.engine.volumes())),
            files=sorted(named(str(path.relative_to(files))) for path in files.rglob("*") if path.is_file()),
            journal=self.journal() if self.scene.forgotten else [],
            starts=collections.Counter({named(uid): count for uid, count in self.starts().items()}),
        )

    def close(self):
        for facts in sorted(self.engine.list(), key=lambda facts: facts.uuid, reverse=True):
            self.engine.remove(facts.uuid)
        for name in list(self.engine.volumes()):
            self.engine.remove_volume(name)
        self.engine.close()
        self.stack.close()
        shutil.rmtree(self.root)


@dataclasses.dataclass
class Found:
    """What a run left, in words that are the same for the same end."""

    containers: dict
    volumes: list
    files: list
    journal: list
    starts: collections.Counter


@dataclasses.dataclass(frozen=True)
class Place:
    """An engine to run on; ``copies`` says that all it keeps lies in the host's own directory."""

    name: str
    address: Callable[[pathlib.Path], str]
    copies: bool = False


def one_run(runner, place, scene, kill_at, template=None):
    """One life with one death: whether the point was reached, what went wrong, what was left, and the points passed."""
    host = Host(runner, place, scene, template)
    try:
        problem = "" if scene.before is None or template else host.prepare()
        if scene.before is None:
            host.talk.wish(host.scene.want)
        else:
            host.talk.change(host.scene.want.uuid, **scene.wish)
        pid = host.start(kill_at)
        ended = _until_dead_or_met(host, pid, 3.0 if kill_at else 0.15)
        runner.ask(kill=pid)
        lines = host.log.read_text().splitlines()
        points = [" ".join(line.split(" ")[:2]) for line in lines if " call" not in line]
        problem = problem or host.settle()
        return ended, problem, host.look(), list(dict.fromkeys(points))
    finally:
        host.close()


def _until_dead_or_met(host, pid, after_s):
    """True once the agent died, false when the wish was met and it lived on for so long."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if host.runner.ask(wait=pid, for_s=0.0):
            return True
        with host.talk.changed:
            if host.talk.changed.wait_for(lambda: host.scene.reached(host.talk), 0.02):
                end = min(end, time.monotonic() + after_s)
                host.talk.changed.wait(0.02)
    return False


def crash_everywhere(runner, place, scene, record_property, *, chosen=lambda names: names, at_once=4):
    """Kill at the ``chosen`` points of a scene, all of them unless told; each is named in the table at the end of the run."""
    with contextlib.ExitStack() as stack:
        template = None
        if place.copies and scene.before is not None:
            template = Host(runner, place, scene)
            stack.callback(template.close)
            assert not (problem := template.prepare()), problem
        _, problem, wanted, names = one_run(runner, place, scene, None, template)
        assert not problem, problem
        names = chosen(names)
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            results = list(pool.map(lambda name: one_run(runner, place, scene, name, template), names))
    told, counts = _judge(names, results, wanted)
    print("\n".join(told))
    record_property(crash_table.PROPERTY, crash_table.row(place.name, scene.name, names, counts))
    assert {what: n for what, n in counts.items() if what != "not reached"} == {
        "leaked": 0,
        "stuck": 0,
        "wrongly restarted": 0,
    }
    assert counts["not reached"] <= len(names) // 3


def _judge(names, results, wanted):
    counts = {"leaked": 0, "stuck": 0, "wrongly restarted": 0, "not reached": 0}
    told = []
    for name, (ended, problem, found, _) in zip(names, results, strict=True):
        leaked = any(
            set(getattr(found, kind)) - set(getattr(wanted, kind))
            for kind in ("containers", "volumes", "files", "journal")
        )
        same = dataclasses.replace(found, starts=wanted.starts) == wanted
        restarted = bool(found.starts - wanted.starts)
        counts["leaked"] += leaked
        counts["stuck"] += bool(problem) or (not same and not leaked)
        counts["wrongly restarted"] += restarted
        counts["not reached"] += not ended
        wrong = problem or (f"{found} instead of {wanted}" if restarted or not same else "")
        told.append(f"  {name:<34} {'killed' if ended else 'met before'}  {wrong or 'same end'}")
    return told, counts


FAKE_SCENES = scenes("busybox", "00000000-0000-4000-8000-000000000000")


FAKE = Place("fake", lambda root: f"fake://{root}/engine", copies=True)


@pytest.mark.parametrize("scene", FAKE_SCENES, ids=[scene.name for scene in FAKE_SCENES])
def test_fake(scene, runner, record_property):
    crash_everywhere(runner, FAKE, scene, record_property)


WISHES = ("create", "run once, auto_remove", "start", "stop", "restart", "rebuild", "delete")
REAL_SCENES = [scene for scene in FAKE_SCENES if scene.name in WISHES]
CHANGES = ("engine.create#", "engine.start#", "engine.stop#", "engine.remove#")


def _real(name, daemon):
    return Place(name, lambda root: f"unix://{daemon.socket}?installation={root.name}")


def _since_the_wish(names):
    """All points but those of an agent's own start, which are the same in every scene."""
    return names[names.index("wire.assignments#1 after") :]


def _changes(names):
    """The points around the calls that change something in the engine."""
    return [name for name in names if name.startswith(CHANGES)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scene", REAL_SCENES, ids=[scene.name for scene in REAL_SCENES])
def test_podman(scene, runner, podman_daemon, record_property):
    chosen = _since_the_wish if scene.name != "create" else (lambda names: names)
    crash_everywhere(runner, _real("podman", podman_daemon), scene, record_property, chosen=chosen)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scene", REAL_SCENES, ids=[scene.name for scene in REAL_SCENES])
def test_docker(scene, runner, docker_daemon, record_property):
    crash_everywhere(runner, _real("docker", docker_daemon), scene, record_property, chosen=_changes)


PODS = [scene for scene in FAKE_SCENES if "of three" in scene.name]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["podman", "docker"])
@pytest.mark.parametrize("scene", PODS, ids=[scene.name for scene in PODS])
def test_pods_of_several_on_real_engines(engine, scene, runner, request, record_property):
    place = _real(engine, request.getfixturevalue(f"{engine}_daemon"))
    crash_everywhere(runner, place, scene, record_property, chosen=lambda names: _changes(names)[1::4])
