"""kill -9 of API, controller, agent and supervisor, at random while users work and at chosen moments: what was accepted happens once."""

from __future__ import annotations

import os
import random
import signal
import threading

import pytest

from tests import machine
from tests.crowd import STARTED, Users, check, starts
from tests.whole import PROCESSES, until

pytestmark = pytest.mark.timeout(600)

KILLS = 6


@pytest.mark.parametrize("seed", range(10, 14))
def test_any_process_at_any_moment(site, seed, capsys):
    dice = random.Random(seed)
    killed = []
    with Users(site, seed) as users:
        for name in dice.choices((*PROCESSES, "up"), k=KILLS):
            threading.Event().wait(dice.uniform(0.05, 1.5))
            site.kill(name)
            killed.append(name)
            if name == "up":
                site.start()
    check(site, users)
    with capsys.disabled():
        accepted = sum(users.accepted.values())
        print(
            f"\nseed {seed}: killed {', '.join(killed)}; {len(users.accepted)} creates, {accepted} starts accepted,"
            f" {len(users.uncertain)} answers lost; 0 lost, 0 stuck, 0 leaked, 0 wrongly restarted"
        )


def test_everything_at_once_in_the_middle_of_work(site):
    with Users(site, 3) as users:
        threading.Event().wait(0.8)
        site.kill_all()
        site.start()
    check(site, users)


@pytest.mark.parametrize("name", PROCESSES)
def test_at_once_after_a_wish_was_accepted(site, name):
    stays, ends, goes = (site.create(environment=STARTED) for _ in range(3))
    for uid in (stays, ends, goes):
        site.reached(uid, "Running")
    assert site.act(stays, "reboot", timeout=0).status == 202
    assert site.act(ends, "stop", timeout=0).status == 202
    assert site.delete(goes).status == 204
    new = site.create(environment=STARTED)
    site.kill(name)
    site.gone(goes)
    site.reached(ends, "Stopped")
    for uid in (stays, new):
        site.reached(uid, "Running")
    site.settled()
    assert {uid: starts(site, uid) for uid in (stays, ends, new)} == {stays: 2, ends: 1, new: 1}
    assert set(site.on_engine()) == {stays, ends, new}


def test_a_killed_supervisor_leaves_nothing_behind_that_holds_the_port(site):
    uid = site.create(environment=STARTED)
    site.reached(uid, "Running")
    before = site.on_engine()[uid].started_at
    children = [pid for pid in site.processes() if pid != site.process.pid]
    server = site.pid("api")
    assert len(machine.family(server)) > 1, "a server without a worker proves nothing"
    site.process.send_signal(signal.SIGSTOP)  # so that it does not tidy up after its server
    os.kill(server, signal.SIGKILL)
    site.kill("up")
    until(lambda: not any(machine.lives(pid) for pid in children), "its processes end")
    site.start()
    site.reached(uid, "Running")
    assert site.on_engine()[uid].started_at == before
