"""Bad days of an engine: not there, killed, frozen, full, and asked by many at once."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import uuid

import pytest

from higgins.core import errors
from higgins.core.phase import EngineState
from higgins.engine import load
from higgins.engine.dialect import translate
from tests.engine import running
from tests.engine.conftest import FOREVER, PATIENCE_S, Bench, remove_all, wait_until


@pytest.fixture(params=["podman", "docker"])
def own(request) -> Bench:
    """An engine that a test may ill-treat."""
    why = running.missing(request.param)
    if why:
        pytest.skip(why)
    with running.daemon(request.param) as private, _driver(private) as bench:
        yield bench


@contextlib.contextmanager
def _driver(private: running.Daemon):
    engine = load.open_engine(private.name, f"unix://{private.socket}?installation={uuid.uuid4()}")
    yield Bench(private.name, engine, private)
    with contextlib.suppress(errors.HigginsError):
        remove_all(engine)
    engine.close()


@pytest.mark.parametrize("name", ["podman", "docker"])
def test_an_engine_that_is_not_there_is_unavailable_at_once(name, tmp_path):
    engine = load.open_engine(name, f"unix://{tmp_path}/none.sock")
    for call in (engine.info, engine.list, lambda: next(engine.events(lambda: None))):
        with pytest.raises(errors.Unavailable):
            call()


def test_containers_outlive_an_engine_that_is_killed(own):
    uid = own.started(FOREVER)
    since = own.engine.inspect(uid).started_at
    connected, seen, broken = threading.Event(), set(), []

    def follow():
        try:
            for event in own.engine.events(connected.set):
                seen.add(event.what)
        except errors.HigginsError as problem:
            broken.append(problem)

    def wait_for_its_end():
        try:
            own.engine.stop(uid, timeout_s=600)
        except errors.HigginsError as problem:
            broken.append(problem)

    def is_asked_to_end():
        if own.name == "docker":
            return "kill" in seen
        path = f"/libpod/containers/{translate.name_of(uid)}/json"
        return own.engine.call("GET", path, "look at the container").json()["State"]["Status"] == "stopping"

    threads = [threading.Thread(target=follow), threading.Thread(target=wait_for_its_end)]
    threads[0].start()
    assert connected.wait(PATIENCE_S)
    threads[1].start()
    wait_until(is_asked_to_end, "it is asked to end")
    _kill(own)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert [type(problem) for problem in broken] == [errors.Unavailable, errors.Unavailable]
    with pytest.raises(errors.Unavailable):
        own.engine.inspect(uid)
    own.daemon.start()
    facts = own.engine.inspect(uid)
    assert (facts.state, facts.started_at) == (EngineState.RUNNING, since)
    assert [found.uuid for found in own.engine.list()] == [uid]
    own.engine.stop(uid, timeout_s=0)
    assert own.engine.inspect(uid).state is EngineState.STOPPED


def _kill(bench: Bench) -> None:
    pid = bench.daemon.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: (
            not pathlib.Path(f"/proc/{pid}/cmdline").exists() or not pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        ),
        "it is dead",
    )


def test_many_threads_share_one_driver(own):
    made, problems = [], []

    def one():
        try:
            for _ in range(3):
                uid = own.started(("sh", "-c", "exit 5"))
                facts = own.ended(uid)
                made.append(facts.exit_code)
                own.engine.remove(uid)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert made == [5] * 24
    assert list(own.engine.list()) == []


def test_an_image_for_which_the_disk_has_no_room(own, tmp_path):
    graph = pathlib.Path(own.engine.info().data_path)
    own.engine.close()
    running.shell("stop_engine", str(own.daemon.state / f"{own.name}.pid"))
    full = graph.parent / "full"
    full.mkdir()
    running.shell("cp -a", f"{graph}/.", str(full))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "higgins-test", str(graph)], check=True)
    try:
        running.shell("cp -a", f"{full}/.", str(graph))
        own.daemon.start()
        filler = graph / "filler"
        running.shell("dd if=/dev/zero bs=4k", f"of={filler}", check=False)
        own.daemon.registry("127.0.0.1:5000", "team/box:1", login=False)
        with pytest.raises(errors.OutOfCapacity):
            own.engine.pull("127.0.0.1:5000/team/box:1")
        filler.unlink()
        assert own.engine.pull("127.0.0.1:5000/team/box:1").names
    finally:
        running.shell("stop_engine", str(own.daemon.state / f"{own.name}.pid"))
        subprocess.run(["umount", "-l", str(graph)], check=False)
