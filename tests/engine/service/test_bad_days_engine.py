"""Bad days of the engine under the whole running service: away at the start, away during work, an answer that is lost."""

from __future__ import annotations

import pytest

from tests.whole import until

pytestmark = pytest.mark.timeout(300)

STARTED = {"FAKE_LOG": "started"}


def starts(site, uid):
    """How often a container that writes ``started`` was started."""
    engine = site.engine()
    try:
        return b"".join(engine.logs(uid)).count(b"started")
    finally:
        engine.close()


def test_an_engine_that_is_away_when_the_service_starts_is_waited_for(site):
    old = site.create(environment=STARTED)
    site.reached(old, "Running")
    site.stop()
    site.answers(False)
    site.start()
    hosts = site.admin("GET", "/v1/hosts").json["hosts"]
    assert len(hosts) == 1
    shown = until(lambda: (one := site.show(old))["status"] == "Unknown" and one, "it says that the engine is away")
    assert "does not answer" in shown["status_reason"]
    new = site.create(environment=STARTED)
    said = until(lambda: site.show(new)["status_reason"], "it says why nothing happens")
    assert "does not answer" in said
    assert site.show(new)["status"] != "Error"
    site.answers(True)
    for uid in (old, new):
        site.reached(uid, "Running")
        assert starts(site, uid) == 1
    assert site.show(new)["status_reason"] is None


def test_an_engine_that_goes_away_during_work_loses_and_repeats_nothing(site):
    made = [site.create(environment=STARTED | {"FAKE_CREATE_S": "0.05"}) for _ in range(8)]
    going, staying = made[:3], made[3:]
    site.reached(made[0], "Running")
    site.answers(False)
    assert [site.delete(uid).status for uid in going] == [204] * 3
    late = [site.create(environment=STARTED) for _ in range(3)]
    assert site.act(staying[0], "reboot", timeout=0).status in (202, 409)
    restarted = site.actions(staying[0])[0]["action"] == "reboot"
    site.answers(True)
    for uid in going:
        site.gone(uid)
    for uid in staying + late:
        site.reached(uid, "Running")
    expected = dict.fromkeys(staying + late, 1) | ({staying[0]: 2} if restarted else {})
    counted = {uid: starts(site, uid) for uid in expected}
    # A restart wished before the first start makes one start of both.
    assert counted == expected or counted == expected | {staying[0]: 1}
    assert set(site.on_engine()) == set(staying + late)
    site.settled()


def test_a_start_whose_answer_is_lost_happens_once(site):
    uid = site.create(environment=STARTED | {"FAKE_START_LOST": "1"})
    site.reached(uid, "Running")
    assert starts(site, uid) == 1


def test_questions_while_the_engine_is_away_are_answered_with_what_to_do(site):
    uid = site.create()
    site.reached(uid, "Running")
    site.answers(False)
    for reply in (site.act(uid, "execute", command="true"), site.request("GET", f"/v1/containers/{uid}/logs")):
        assert reply.status == 503, reply
        assert "engine does not answer" in reply.fault
    site.answers(True)
    until(lambda: site.act(uid, "execute", command="true").status == 200, "it answers again")
