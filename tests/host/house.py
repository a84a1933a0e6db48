"""A host for tests: its fake engine, its state directory, its controller over the real wire, and agents that come and go."""

import pathlib
import shutil
import tempfile
import threading

import pytest

from higgins.agent.loop import Timings
from higgins.agent.service import Agent
from higgins.engine.fake.driver import FakeEngine
from higgins.engine.fake.store import MemoryStore
from higgins.wire.client import WireClient
from tests.host.controller_double import TOKEN, Controller, serving

QUICK = Timings(
    backoff_first_s=0.02,
    backoff_most_s=0.1,
    orphan_grace_s=0.2,
    unknown_after_s=60.0,
    reconnect_most_s=0.05,
    tick_s=0.02,
    preparing_after_s=0.05,
)
VERBS = ("create", "start", "stop", "remove", "inspect", "list", "image", "pull", "pause", "unpause", "resize")


class CountingEngine(FakeEngine):
    """The fake engine that remembers what it was asked."""

    def __init__(self, store, options=None):
        super().__init__(store, options)
        self.calls = []
        self.calls_lock = threading.Lock()

    def count(self, verb, uuid=""):
        with self.calls_lock:
            self.calls.append((verb, uuid))

    def asked(self, uuid=None):
        with self.calls_lock:
            return [verb for verb, of in self.calls if uuid is None or of == uuid]


def _counted(verb):
    inner = getattr(FakeEngine, verb)

    def call(self, *args, **kwargs):
        first = args[0] if args else ""
        self.count(verb, first.spec.uuid if verb == "create" else first)
        return inner(self, *args, **kwargs)

    return call


for _verb in VERBS:
    setattr(CountingEngine, _verb, _counted(_verb))


class House:
    """One host: its engine, its state directory, its controller, and agents that come and go."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self.controller = Controller()
        self.store = MemoryStore()
        self.engine = self.new_engine()
        self.engine._keep_image("busybox", "b" * 64)
        self.address = f"unix:{root}/wire"
        self.live = f"unix:{root}/live"
        self.serve = None
        self.agent = None
        self.open_wire()

    def new_engine(self, **options):
        return CountingEngine(self.store, options)

    def open_wire(self):
        self.serve = serving(self.controller, self.root / "wire")
        self.serve.__enter__()

    def close_wire(self):
        self.serve.__exit__(None, None, None)
        self.serve = None

    def start(self, *, engine=None, timings=QUICK, boot="boot-1", hostname="host-1", **more):
        self.engine = engine or self.engine
        self.agent = Agent(
            self.engine,
            WireClient(self.address, TOKEN),
            hostname=hostname,
            state_dir=self.root / "state",
            live_address=self.live,
            live_token="live-token",
            timings=timings,
            boot=boot,
            **more,
        )
        self.agent.start()
        return self.agent

    def stop(self):
        if self.agent:
            self.agent.stop()
            self.agent = None
            self.engine = self.new_engine()


@pytest.fixture
def house():
    root = pathlib.Path(tempfile.mkdtemp(prefix="hg"))
    house = House(root)
    yield house
    house.stop()
    if house.serve:
        house.close_wire()
    shutil.rmtree(root)
