"""The service stopped and started again under containers that go on, and an audit that finds and repairs what stands alone."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import uuid

import pytest
import sqlalchemy as sa

from higgins.core import model
from higgins.engine import api
from higgins.store import actions, session
from higgins.store.records import volumes
from tests.whole import REPOSITORY, until

pytestmark = pytest.mark.timeout(300)


def manage(site, *words):
    """The operator's command, as a process of its own."""
    command = [sys.executable, "-m", "higgins.cmd.manage", "--state", str(site.state), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)


def audit(site, *words):
    """The exit status of an audit, its findings by kind, and how many were put right."""
    done = manage(site, "audit", "--json", *words)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    return done.returncode, {one["kind"]: one for one in told["findings"]}, told["repaired"]


def test_a_restart_of_the_service_restarts_no_container_and_misses_nothing(site):
    names = ("runs", "ended", "paused", "ends meanwhile", "vanishes meanwhile")
    runs, ended, paused, ends, vanishes = made = [site.create(name=name.replace(" ", "-")) for name in names]
    for uid in made:
        site.reached(uid, "Running")
    assert site.act(ended, "stop", timeout=0).status == 202
    assert site.act(paused, "pause").status == 202
    shown = {
        uid: site.reached(uid, status) for uid, status in ((runs, "Running"), (ended, "Stopped"), (paused, "Paused"))
    }
    before = site.on_engine()
    site.stop()
    assert site.on_engine() == before
    engine = site.engine()
    engine.stop(ends, timeout_s=0, signal="TERM")
    engine.remove(vanishes)
    engine.close()
    site.start()
    for uid, old in shown.items():
        now = site.reached(uid, old["status"])
        same = ("addresses", "created_at", "name")
        assert {key: now[key] for key in same} == {key: old[key] for key in same}
    site.reached(ends, "Stopped")
    until(lambda: site.show(vanishes)["status"] != "Running", "what is no more is told")
    after = site.on_engine()
    assert set(after) == set(made) - {vanishes}
    assert {uid: after[uid] for uid in shown} == {uid: before[uid] for uid in shown}
    assert site.act(runs, "execute", command="echo hello").json["output"] == "hello\n"


def plant(site):
    """One thing of each kind that stands alone."""
    lost = str(uuid.uuid4())
    engine = site.engine()
    spec = model.ContainerSpec(uuid=lost, name="lost", image="busybox")
    engine.pull("busybox")
    engine.create(api.Creation(pod=lost, build=1, spec=spec, image="busybox"))
    engine.start(lost)
    engine.create_volume("higgins-nobodys", {})
    engine.close()
    folder = site.state / "agent" / "files" / str(uuid.uuid4())
    folder.mkdir()
    (folder / "0").write_text("left")
    database = session.Database(f"sqlite:///{site.state / 'higgins.db'}")
    with contextlib.closing(database), database.write() as tx:
        tx.change(sa.text("UPDATE usages SET containers = containers + 7"))
        tx.change(sa.text("UPDATE hosts SET memory_mib_claimed = memory_mib_claimed + 1"))
        volumes.insert(tx, project_id="project", pod_uuid=str(uuid.uuid4()))
        actions.start(tx, str(uuid.uuid4()), "project", "user", "req-1", "stop", 2)
    return lost, folder


def test_the_audit_finds_and_repairs_what_stands_alone_and_leaves_the_rest(site):
    stays = site.create()
    site.reached(stays, "Running")
    before = site.on_engine()[stays]
    site.settled()
    assert audit(site) == (0, {}, 0)
    lost, folder = plant(site)
    status, found, repaired = audit(site)
    assert (status, repaired) == (1, 0)
    assert set(found) == {"container", "files", "usage", "claim", "volume", "action"}
    assert found["container"]["ident"] == lost
    assert found["files"]["ident"] == folder.name
    assert set(site.on_engine()) == {stays, lost}
    status, found, repaired = audit(site, "--repair")
    assert status == 1, "a volume that may hold data is left to a person"
    assert repaired == 6
    status, found, _ = audit(site)
    assert (status, set(found)) == (1, {"volume"})
    assert found["volume"]["ident"] == "higgins-nobodys"
    assert "remove it by hand" in found["volume"]["text"]
    assert site.on_engine() == {stays: before}
    assert not folder.exists()
    assert site.usage() == (1, 512)
    engine = site.engine()
    engine.remove_volume("higgins-nobodys")
    engine.close()
    assert audit(site) == (0, {}, 0)


def test_a_service_that_runs_already_says_so_and_changes_nothing(site):
    pids = site.processes()
    done = subprocess.run(site.command(), capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0
    assert "already runs" in done.stdout
    assert site.processes() == pids
