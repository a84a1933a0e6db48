"""Bad days of a whole running Higgins on real podman: pulls that fail, too little memory, an engine killed or away, everything killed -9."""

from __future__ import annotations

import concurrent.futures
import json
import os
import random
import re
import signal
import threading
import uuid

import pytest

from higgins.core.phase import EngineState
from higgins.engine.dialect import translate
from higgins.engine.load import open_engine
from tests.engine import running
from tests.engine.conftest import Bench
from tests.whole import PROCESSES, until, whole

pytestmark = [pytest.mark.timeout(400)]

POLITE = ["sh", "-c", "trap 'exit 0' TERM; echo started; while true; do sleep 0.1; done"]
REGISTRY = "127.0.0.1:5077"
RAW = re.compile(r"dial tcp|initializing source|OCI runtime|crun:|runc|libpod|Error:|Get \"http", re.IGNORECASE)


@pytest.fixture(scope="module")
def podman_service(podman_daemon):
    options = {"agent": {"pull_deadline_s": 2, "wish_deadline_s": 60, "orphan_grace_s": 3600}}
    with whole("podman", f"unix://{podman_daemon.socket}", options) as service:
        yield service


@pytest.fixture
def site(podman_service, podman_daemon):
    podman_service.mended()
    yield podman_service
    start_engine(podman_daemon)
    podman_service.nothing_is_left()


def in_store(daemon):
    """The containers under names of ours that its store has, whatever it knows of them."""
    lists = [
        json.loads(file.read_bytes()) for file in (daemon.state / "podman").glob("storage/*-containers/containers.json")
    ]
    names = [name for rows in lists for row in rows for name in row["names"] if name.startswith(translate.PREFIX)]
    return {name.removeprefix(translate.PREFIX) for name in names}


def broken_off(bench, daemon):
    """Creations that podman was killed in the middle of: what was asked for by uuid, and the uuids of those it has only in its store."""
    for _ in range(40):
        wanted = {one.spec.uuid: one for one in (bench.creation() for _ in range(4))}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(bench.engine.create, one) for one in wanted.values()]
            while not wanted.keys() & in_store(daemon) and not all(one.done() for one in asked):
                pass  # what is between the store and the records is short
            kill_engine(daemon)
        concurrent.futures.wait(asked)
        start_engine(daemon)
        half = wanted.keys() & bench.engine.halves()
        assert half == wanted.keys() & in_store(daemon) - {facts.uuid for facts in bench.engine.list()}
        if half:
            return wanted, half
        for one in wanted:
            bench.engine.remove(one)
    pytest.fail("podman was never killed between its store and its own records")


@pytest.fixture
def half_bench(podman_daemon):
    address = f"unix://{podman_daemon.socket}?installation=half-made"
    bench = Bench("podman", open_engine("podman", address), podman_daemon)
    bench.engine.info()
    yield bench
    bench.engine.close()


def test_what_a_killed_podman_made_only_in_its_store_is_made_whole(half_bench, podman_daemon):
    engine = half_bench.engine
    wanted, half = broken_off(half_bench, podman_daemon)
    ids = engine.halves()
    for one in half:
        engine.create(wanted[one])
        for store_id in (ids[one], engine.inspect(one).engine_id):
            engine.remove_half(store_id)  # which it is no more, or never was
        assert engine.inspect(one).state is EngineState.CREATED
    assert not wanted.keys() & engine.halves()
    for one in wanted:
        engine.remove(one)
    assert not wanted.keys() & in_store(podman_daemon)


def test_what_a_killed_podman_made_only_in_its_store_can_be_removed(half_bench, podman_daemon):
    engine, others = half_bench.engine, f"{translate.PREFIX}{uuid.uuid4()}"
    made = engine.call_json("/containers/create", {"Image": "busybox"}, "make what is not ours", query={"name": others})
    wanted, half = broken_off(half_bench, podman_daemon)
    ids = engine.halves()
    assert others.removeprefix(translate.PREFIX) not in ids
    engine.remove_half(made["Id"])
    for one in half:
        engine.remove_half(ids[one])
        engine.remove_half(ids[one])
    assert half.isdisjoint(in_store(podman_daemon))
    assert half.isdisjoint(engine.halves())
    assert others.removeprefix(translate.PREFIX) in in_store(podman_daemon)
    for one in wanted:
        engine.remove(one)
    engine.call("DELETE", f"/containers/{made['Id']}", "remove what is not ours")


def kill_engine(daemon):
    """kill -9 its service; returns when it has ended."""
    pid = daemon.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{pid}/exe"), "the engine has ended")


def start_engine(daemon):
    """Start it unless it answers."""
    daemon.start()


def starts(site, uid):
    """How often it was started, by what it wrote."""
    return site.request("GET", f"/v1/containers/{uid}/logs").text.count("started")


def started(site, wanted):
    """Each was started so often, and not more; Podman says Running before the command has written."""
    until(lambda: all(starts(site, uid) >= times for uid, times in wanted.items()), "each wrote")
    assert {uid: starts(site, uid) for uid in wanted} == wanted


def failed(site, image="busybox", **words):
    """The reason that a container that cannot be had gives."""
    shown = site.reached(site.create(image, **words), "Error")
    reason = shown["status_reason"]
    assert not RAW.search(reason), reason
    assert reason[0].isupper()
    assert reason.endswith(".")
    return reason


def test_images_that_cannot_be_had(site, podman_daemon):
    podman_daemon.registry(REGISTRY, "library/busybox:1", login=False)
    assert failed(site, f"{REGISTRY}/missing:1").startswith(f"The registry {REGISTRY} has no image")
    assert "does not answer (connection refused)" in failed(site, "127.0.0.1:1/image:1")
    assert "does not answer" in failed(site, "registry.invalid/image:1")


def test_programs_that_cannot_be_run(site):
    assert "no program 'nope'" in failed(site, command=["nope"])
    assert "cannot be executed" in failed(site, command=["/etc"])
    uid = site.create(command=POLITE)
    site.reached(uid, "Running")
    refused = site.act(uid, "execute", command="nope")
    assert refused.status == 400
    assert "no program 'nope'" in refused.fault
    assert not RAW.search(refused.fault)


def test_too_little_memory_ends_with_137_and_says_so(site):
    uid = site.create(command=["sh", "-c", "x=aaaaaaaa; while true; do x=$x$x; done"], memory="16")
    shown = site.reached(uid, "Stopped")
    assert "137" in shown["status_detail"], shown
    assert "memory" in shown["status_reason"]
    assert "16 MiB" in shown["status_reason"]


def test_a_delete_while_a_registry_is_silent_does_not_wait_for_it(site, podman_daemon):
    with running.silent_server(podman_daemon, 5078):
        uid = site.create("127.0.0.1:5078/image:1")
        until(lambda: site.show(uid)["status_reason"], "the pull is told")
        assert site.delete(uid).status == 204
        site.gone(uid)


def test_podman_killed_in_the_middle_of_work(site, podman_daemon):
    stays, goes = (site.create(command=POLITE) for _ in range(2))
    for uid in (stays, goes):
        site.reached(uid, "Running")
    before = site.on_engine()[stays].started_at
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = [pool.submit(site.create, command=POLITE) for _ in range(6)]
        kill_engine(podman_daemon)
        made = [one.result() for one in made]
    assert site.delete(goes).status == 204
    late = site.create(command=POLITE)
    told = until(lambda: site.show(late)["status_reason"], "it says why nothing happens")
    assert "engine" in told
    assert "does not answer" in told
    refused = site.act(stays, "execute", command="true")
    assert refused.status in (409, 503)
    assert "engine" in refused.fault
    assert "does not answer" in refused.fault
    start_engine(podman_daemon)
    for uid in (*made, late, stays):
        site.reached(uid, "Running")
    site.gone(goes)
    site.settled()
    assert site.on_engine()[stays].started_at == before
    started(site, dict.fromkeys((*made, late, stays), 1))
    assert set(site.on_engine()) == {*made, late, stays}


def test_podman_that_is_away_when_the_service_starts_is_waited_for_and_nothing_restarts(site, podman_daemon):
    uid = site.create(command=POLITE)
    site.reached(uid, "Running")
    before = site.on_engine()[uid]
    site.stop()
    kill_engine(podman_daemon)
    site.start()
    shown = until(lambda: (one := site.show(uid))["status"] == "Unknown" and one, "it says that the engine is away")
    assert "does not answer" in shown["status_reason"]
    start_engine(podman_daemon)
    site.reached(uid, "Running")
    assert site.on_engine()[uid].started_at == before.started_at
    started(site, {uid: 1})


def test_processes_killed_while_containers_come_change_and_go(site):
    dice = random.Random(7)
    made = [site.create(command=POLITE) for _ in range(5)]
    site.kill("agent")
    made += [site.stubborn("POST", "/v1/containers?run=true", {"image": "busybox", "command": POLITE}).json["uuid"]]
    for uid in made:
        site.reached(uid, "Running")
    rebooted, stopped, gone = made[:2], made[2:4], made[4:5]
    for number, (uids, path) in enumerate([(rebooted, "reboot"), (stopped, "stop"), (gone, "delete")]):
        for uid in uids:
            reply = site.delete(uid) if path == "delete" else site.act(uid, path, timeout=5)
            assert reply.status in (202, 204), reply
        threading.Event().wait(dice.uniform(0, 0.2))
        site.kill(PROCESSES[(number + 2) % 3])
        site.mended()
    for uid in gone:
        site.gone(uid)
    for uid in stopped:
        site.reached(uid, "Stopped")
    for uid in (*rebooted, made[5]):
        site.reached(uid, "Running")
    site.settled()
    kept = set(made) - set(gone)
    started(site, {uid: 2 if uid in rebooted else 1 for uid in kept})
    assert set(site.on_engine()) == kept
