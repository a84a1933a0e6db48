"""Bad days that users have or make, against the whole running service with the fake engine: a clear answer, and nothing left of it.

Each bad day, and where it is tested (here, in ``engine`` with a real engine, or in ``contract``):

================================  =====================================================================================
unknown image                     here; ``test_bad_days_podman``, ``test_pull``, ``test_bad_days_agent``
unreachable registry              here; ``test_bad_days_podman``, ``test_pull``, ``test_bad_days_agent``
no memory on the host             here; ``contract/loops/test_scheduler_loop``; too little inside: ``test_bad_days_podman``
illegal names, broken JSON,       here; every field in ``contract/api/test_containers``, ``contract/api/test_requests``
wrong types
two creates with one name         here; races in ``contract/control/test_control_create``
delete while pulling              here; ``test_bad_days_podman``, ``contract/agent/test_loop``
stop of a stopped container       here; every action in every state in ``contract/api/test_actions``
disk full                         ``test_bad_days_disk`` (database, journal, injected files, podman's own store),
                                  ``test_bad_days_agent``
engine not running at start       ``test_bad_days_engine``, ``test_bad_days_podman``, ``test_bad_days_agent``
engine killed during work         ``test_bad_days_engine``, ``test_bad_days_podman``, ``test_bad_days_agent``
API, controller, agent, supervisor ``test_bad_days_killed``; the agent at every point:
killed -9                         ``test_crash``; a writer inside its transaction: ``contract/store/test_store_tables``
the service stopped and started   ``test_bad_days_restart``, ``test_bad_days_podman``
clock going back                  ``contract/test_bad_days_clock``, ``test_bad_days_agent``
secrets seen by others            ``test_bad_days_secrets``; the journal in ``test_bad_days_agent``
what stands alone                 ``test_bad_days_restart`` (planted, found, repaired), ``contract/store/test_store_upkeep``
================================  =====================================================================================
"""

from __future__ import annotations

import concurrent.futures
import re

import pytest

from tests.whole import new_key, until

pytestmark = pytest.mark.timeout(300)

RAW = re.compile(r"Traceback|Error\(|Exception|dial tcp|errno|0x[0-9a-f]{6}|\bNone\b|<[a-z]+ object", re.IGNORECASE)


FIELD = re.compile(r"'[^']+' |[a-z_.]+: '")


def assert_is_for_people(text):
    """A sentence, not the words of a program."""
    assert text
    assert text[0].isupper() or FIELD.match(text), text
    assert len(text.split()) >= 4, text
    assert not RAW.search(text), text


REFUSED = {
    "broken JSON": (400, b'{"image": "busybox"'),
    "no object": (400, b"[1, 2]"),
    "no image": (400, {"name": "web"}),
    "an image of a wrong type": (400, {"image": 17}),
    "an image that nobody can have": (400, {"image": "Not:A:Name"}),
    "a name with a slash": (400, {"image": "busybox", "name": "a/b"}),
    "a name of one letter": (400, {"image": "busybox", "name": "a"}),
    "a name that is too long": (400, {"image": "busybox", "name": "a" * 256}),
    "memory in words": (400, {"image": "busybox", "memory": "much"}),
    "memory below the least": (400, {"image": "busybox", "memory": "1"}),
    "more processors than any host may give": (400, {"image": "busybox", "cpu": 1e9}),
    "a command of a wrong type": (400, {"image": "busybox", "command": {"a": 1}}),
    "an environment of a wrong type": (400, {"image": "busybox", "environment": ["A=1"]}),
    "a restart policy that is none": (400, {"image": "busybox", "restart_policy": {"Name": "sometimes"}}),
    "a field that is none": (400, {"image": "busybox", "imagination": 1}),
    "a network that is not there": (404, {"image": "busybox", "nets": [{"network": "mars"}]}),
    "a registry that is not there": (404, {"image": "busybox", "registry": "nobody"}),
    "privileges": (403, {"image": "busybox", "privileged": True}),
    "a host of one's choice": (403, {"image": "busybox", "host": "other"}),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_refused_with_a_sentence_and_leaves_nothing(site, mistake):
    status, body = REFUSED[mistake]
    words = {"raw": body} if isinstance(body, bytes) else {"body": body}
    reply = site.request("POST", "/v1/containers", **words)
    assert reply.status == status, reply
    assert_is_for_people(reply.fault)
    assert site.usage() == (0, 0)
    assert site.request("GET", "/v1/containers").json["containers"] == []


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("missing/image:1", "has no image"),
        ("unreachable/image:1", "does not answer"),
        ("forbidden/image:1", "user name and a password"),
    ],
)
def test_an_image_that_cannot_be_had(site, image, told):
    uid = site.create(image)
    shown = site.reached(uid, "Error")
    assert told in shown["status_reason"]
    assert_is_for_people(shown["status_reason"])
    assert [(row["action"], row["message"]) for row in site.actions(uid)] == [("create", "Error")]
    assert site.delete(uid, stop=False).status == 204
    site.gone(uid)


def test_a_step_that_fails_for_now_is_tried_again_until_it_works(site):
    words = {"FAKE_CREATE_ERROR": "OutOfCapacity: The disk of the host is full.", "FAKE_CREATE_ERROR_TIMES": "4"}
    uid = site.create(environment=words)
    said = "The disk of the host is full. It is tried again."
    until(lambda: (site.show(uid) or {}).get("status_reason") == said, "the reason is said")
    site.reached(uid, "Running")


def test_more_memory_than_any_host_has(site):
    project = site.show(site.create(run=False))["project_id"]
    assert site.admin("PUT", f"/v1/quotas/{project}", {"memory": -1, "cpu": -1, "containers": -1}).status == 200
    room_mib = site.admin("GET", "/v1/hosts").json["hosts"][0]["mem_total"] * 1.5
    made = [site.create(memory="8192", cpu=0.1, run=False) for _ in range(int(room_mib / 8192) + 1)]
    refused = until(lambda: [shown for uid in made if (shown := site.show(uid))["status"] == "Error"], "one is refused")
    assert len(refused) == 1
    assert refused[0]["status_reason"].startswith("There are not enough hosts available")
    assert "memory" in refused[0]["status_reason"]
    assert site.admin("DELETE", f"/v1/quotas/{project}").status in (200, 204)


def test_two_creates_with_one_name_are_two_and_the_name_is_then_no_answer(site):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _: site.create(name="twin"), range(4)))
    assert len(made) == 4
    reply = site.request("GET", "/v1/containers/twin")
    assert reply.status == 409
    assert "uuid" in reply.fault
    assert_is_for_people(reply.fault)
    for uid in made:
        site.reached(uid, "Running")


def test_one_create_sent_by_many_at_once_is_one(site):
    key = new_key()
    body = {"image": "busybox", "name": "once"}

    def send(_):
        return site.request("POST", "/v1/containers?run=true", body, headers={"Idempotency-Key": key})

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(send, range(6)))
    made = {reply.json["uuid"] for reply in replies if reply.status == 202}
    assert {reply.status for reply in replies} <= {202, 409}
    assert len(made) == 1
    site.reached(made.pop(), "Running")
    assert len(site.on_engine()) == 1


def test_a_delete_while_the_image_is_pulled_does_not_wait_for_it(site):
    uid = site.create("slow-600s/image:1")
    until(lambda: "pulled" in (site.show(uid)["status_reason"] or ""), "the pull is told")
    assert site.delete(uid).status == 204
    site.gone(uid)
    assert site.on_engine() == {}


def test_what_the_state_forbids_is_refused_with_a_sentence_and_nothing_happens(site):
    uid = site.create()
    started = site.reached(uid, "Running") and site.on_engine()[uid].started_at
    refused = [site.act(uid, "start"), site.act(uid, "unpause"), site.delete(uid, stop=False)]
    assert site.act(uid, "stop", timeout=0).status == 202
    site.reached(uid, "Stopped")
    refused += [site.act(uid, verb) for verb in ("stop", "pause", "unpause", "kill")]
    refused += [site.act(uid, "execute", command="true"), site.request("GET", f"/v1/containers/{uid}/top")]
    for reply in refused:
        assert reply.status == 409, reply
        assert_is_for_people(reply.fault)
        assert uid in reply.fault
    assert site.on_engine()[uid].started_at == started
    assert [row["action"] for row in site.actions(uid)] == ["stop", "create"]
