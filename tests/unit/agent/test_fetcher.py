"""Images of Glance on their way into an engine: checked while they come, shared, resumed, given up, evicted; over the fake engine."""

import contextlib
import hashlib
import shutil
import threading

import pytest

from higgins.agent.chores.eviction import Eviction
from higgins.agent.hands import glance
from higgins.agent.hands.image import Pulls
from higgins.core import errors, model
from higgins.core.phase import Desired
from higgins.engine.api import PullProgress
from higgins.engine.fake.driver import FakeEngine
from higgins.engine.fake.store import MemoryStore
from tests.host.controller_double import assignment, container, until
from tests.unit.agent.test_archives import docker_of

DATA = docker_of([b"name" * 1000])


class Wire:
    """Gives image data in small chunks; the first ``breaks`` times only ``after`` bytes of it."""

    def __init__(self, data=DATA):
        self.data, self.breaks, self.after, self.offsets = data, 0, 0, []
        self.go_on = threading.Event()
        self.go_on.set()

    @contextlib.contextmanager
    def image(self, uuid, offset):
        self.offsets.append(offset)
        end = len(self.data)
        if self.breaks:
            self.breaks, end = self.breaks - 1, offset + self.after
        yield self._chunks(self.data[offset:end])

    def _chunks(self, data):
        for at in range(0, len(data), 1000):
            assert self.go_on.wait(120)
            yield data[at : at + 1000]


def grant(data=DATA, *, algorithm="sha512", **changes):
    digest = hashlib.new(algorithm, data).hexdigest()
    given = {"uuid": "u-1", "algorithm": algorithm, "checksum": digest, "size_bytes": len(data), "name": "box"}
    return model.ImageGrant(**(given | changes))


@pytest.fixture
def engine():
    return FakeEngine(MemoryStore())


@pytest.fixture
def wire():
    return Wire()


def fetched(engine, wire, folder, asked, *, cancelled=lambda: False, **words):
    fetcher = glance.Fetcher(engine, wire, folder / "images", **words)
    try:
        return fetcher.fetch(asked, lambda seen: None, cancelled)
    finally:
        assert list((folder / "images").iterdir()) == []
        assert fetcher.held() == frozenset()


@pytest.mark.parametrize("algorithm", ["sha512", "sha256", "md5"])
def test_it_is_loaded_under_our_name_whatever_it_calls_itself(engine, wire, tmp_path, algorithm):
    asked = grant(algorithm=algorithm)
    facts = fetched(engine, wire, tmp_path, asked)
    assert facts.names == (f"higgins.local/glance:u-1-{asked.checksum[:16]}",)
    with pytest.raises(errors.ImageNotFound):
        engine.image("nginx")
    fetched(engine, wire, tmp_path, asked)
    assert wire.offsets == [0]


def test_what_breaks_off_goes_on_from_there_as_long_as_something_comes(engine, wire, tmp_path):
    wire.breaks, wire.after = 8, 1500
    fetched(engine, wire, tmp_path, grant())
    assert wire.offsets[:4] == [0, 1500, 3000, 4500]


def test_a_wire_that_gives_nothing_is_given_up_for_now(engine, wire, tmp_path):
    wire.breaks, pauses = 100, []
    with pytest.raises(errors.Unavailable):
        fetched(engine, wire, tmp_path, grant(), pause=pauses.append)
    assert wire.offsets == [0] * glance.RESUMES
    assert sum(pauses) == 31


def test_a_controller_that_restarts_meanwhile_is_waited_for(engine, wire, tmp_path):
    wire.breaks, wire.after, pauses = 1, 1500, []
    whole = wire.image

    def away_for_twenty_seconds(uuid, offset):
        if offset and sum(pauses) < 20:
            raise errors.Unavailable("The connection was refused.")
        return whole(uuid, offset)

    wire.image = away_for_twenty_seconds
    fetched(engine, wire, tmp_path, grant(), pause=pauses.append)
    assert wire.offsets == [0, 1500]


def test_one_that_nobody_needs_any_more_is_not_waited_for(engine, wire, tmp_path):
    wire.breaks, pauses = 100, []
    with pytest.raises(errors.Conflict, match="not needed"):
        fetched(engine, wire, tmp_path, grant(), cancelled=lambda: len(pauses) == 2, pause=pauses.append)
    assert pauses == [1.0, 1.0]


@pytest.mark.parametrize("wrong", [{"checksum": "0" * 128}, {"size_bytes": len(DATA) - 1}])
def test_other_data_than_granted_are_refused(engine, wire, tmp_path, wrong):
    with pytest.raises(errors.Invalid, match="checksum"):
        fetched(engine, wire, tmp_path, grant(**wrong))
    assert not list(engine.images())


def test_an_unknown_checksum_is_refused(engine, wire, tmp_path):
    with pytest.raises(errors.Invalid, match="does not know"):
        fetched(engine, wire, tmp_path, model.ImageGrant(uuid="u", algorithm="crc32", checksum="0", size_bytes=1))
    assert wire.offsets == []


def test_too_big_and_no_room_are_said_before_anything_is_fetched(engine, wire, tmp_path):
    with pytest.raises(errors.Invalid, match="no more than"):
        fetched(engine, wire, tmp_path, grant(), most_bytes=1000)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(errors.OutOfCapacity, match="no room"):
        fetched(engine, wire, tmp_path, grant(size_bytes=2 * free), most_bytes=4 * free)
    assert wire.offsets == []


def test_one_that_nobody_needs_any_more_is_given_up(engine, wire, tmp_path):
    with pytest.raises(errors.Conflict):
        fetched(engine, wire, tmp_path, grant(), cancelled=lambda: True)


def test_all_who_ask_share_one_fetch_whatever_they_call_the_image(engine, wire, tmp_path):
    fetcher = glance.Fetcher(engine, wire, tmp_path / "images")
    ended = {key: threading.Event() for key in ("a", "b", "c")}
    pulls = Pulls(engine, lambda key: ended[key].set(), silence_s=60, fetch=fetcher.fetch)
    wire.go_on.clear()
    asked = {key: grant(name=f"box:{key}") for key in ended}
    for key in ended:
        assert pulls.ask(key, glance.local_name(asked[key]), asked[key], lambda text: None) is None
    wire.go_on.set()
    for key, event in ended.items():
        assert event.wait(120)
        assert pulls.ask(key, glance.local_name(asked[key]), asked[key], lambda text: None).names
    assert wire.offsets == [0]


def test_what_is_given_up_is_called_as_its_user_calls_it(engine):
    def fetch(_grant, _progress, cancelled):
        until(cancelled, "it is given up")
        raise errors.Conflict("It is not needed any more.")

    ended = threading.Event()
    pulls = Pulls(engine, lambda _key: ended.set(), silence_s=0, fetch=fetch)
    asked = grant(name="my box")
    assert pulls.ask("a", glance.local_name(asked), asked, lambda text: None) is None
    assert ended.wait(120)
    with pytest.raises(errors.Invalid, match="my box got no further"):
        pulls.ask("a", glance.local_name(asked), asked, lambda text: None)


def test_one_that_seemed_silent_since_the_host_stood_still_goes_on(engine):
    def fetch(_grant, progress, cancelled):
        pause = threading.Event()
        for done in range(3):
            pause.wait(0.6)
            looks.append(cancelled())  # before what was said meanwhile is read
            progress(PullProgress(done_bytes=done + 1))
            looks.append(cancelled())
        raise errors.Conflict("It has ended.")

    looks, ended = [], threading.Event()
    pulls = Pulls(engine, lambda _key: ended.set(), silence_s=0.5, fetch=fetch)
    assert pulls.ask("a", glance.local_name(grant()), grant(), lambda text: None) is None
    assert ended.wait(120)
    assert looks == [False] * 6


def test_what_no_assignment_names_and_no_container_uses_is_evicted(engine, wire, tmp_path):
    asked = grant()
    name = fetched(engine, wire, tmp_path, asked).names[0]
    engine.pull("busybox")
    engine._keep_image("higgins.local/project/whose/web:v1", "c" * 64)
    spec = container("c-1", image="box", image_driver="glance")
    want = assignment("c-1", spec, images={"box": asked})
    wants, held = [want], set()
    eviction = Eviction(engine, lambda: wants, lambda: frozenset(held), unused_s=0)
    assert eviction.sweep() == ()
    wants[:] = [assignment("c-1", spec, images={"box": asked}, desired=Desired.DELETED)]
    held.add(name)
    assert eviction.sweep() == ()
    held.clear()
    assert eviction.sweep() == (name,)
    left = ["docker.io/library/busybox:latest", "higgins.local/project/whose/web:v1"]
    assert [facts.names[0] for facts in engine.images()] == left
    fetched(engine, wire, tmp_path, asked)
    assert Eviction(engine, list, frozenset, unused_s=3600).sweep() == ()
