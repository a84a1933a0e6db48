"""Actions on a container: wishes, live questions, and the record of both."""

from __future__ import annotations

import base64
import urllib.parse

import pytest

from higgins.core import errors
from higgins.core.phase import Phase
from higgins.wire import contract

WISHES = {
    "start": Phase.STOPPED,
    "stop": Phase.RUNNING,
    "reboot": Phase.RUNNING,
    "pause": Phase.RUNNING,
    "unpause": Phase.PAUSED,
    "kill": Phase.RUNNING,
    "rebuild": Phase.RUNNING,
}


def at(made, action):
    return f"/v1/containers/{made['uuid']}/{action}"


@pytest.mark.parametrize(("action", "phase"), WISHES.items())
@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream", None])
def test_a_wish_with_an_empty_body_of_any_type_is_accepted_with_null(world, action, phase, kind):
    made = world.create(phase=phase)
    headers = {"Content-Length": "0"} | ({"Content-Type": kind} if kind else {})
    answer = world.call("POST", at(made, action), headers=headers)
    assert (answer.status, answer.text) == (202, "null")


@pytest.mark.parametrize("action", WISHES)
def test_the_action_of_a_wish_has_the_id_of_its_request(world, action):
    made = world.create(phase=WISHES[action])
    request_id = world.call("POST", at(made, action)).headers["x-openstack-request-id"]
    shown = world.call("GET", at(made, f"container_actions/{request_id}")).json
    assert (shown["action"], shown["request_id"]) == (action, request_id)
    assert shown["container_uuid"] == made["uuid"]
    assert shown["finish_time"] is None
    assert shown["events"] == []


def test_actions_are_listed_newest_first_and_end_when_the_host_has_dealt_with_them(world):
    made = world.create()
    world.call("POST", at(made, "stop"))
    world.report(made["uuid"], Phase.STOPPED)
    found = world.call("GET", at(made, "container_actions")).json["containerActions"]
    assert [row["action"] for row in found] == ["stop", "create"]
    zuns = {"action", "container_uuid", "request_id", "user_id", "project_id", "start_time", "finish_time", "message"}
    assert set(found[0]) == {*zuns, "reason"}
    assert all(row["finish_time"] and row["message"] is None for row in found)
    assert "T" in found[0]["start_time"]


def test_a_failed_wish_says_error(world):
    made = world.create(phase=None)
    world.report(made["uuid"], Phase.FAILED, reason="There is no image nginx.")
    found = world.call("GET", at(made, "container_actions")).json["containerActions"]
    assert [row["message"] for row in found] == ["Error"]
    path = at(made, "container_actions")
    for one in (path, f"{path}/{found[0]['request_id']}"):
        told = world.call("GET", one, version="1.41").json
        assert (told.get("containerActions") or [told])[0]["reason"] == "There is no image nginx."
        assert '"reason"' not in world.call("GET", one, version="1.40").text
    shown = world.call("GET", f"/v1/containers/{made['uuid']}").json
    assert (shown["status"], shown["status_reason"]) == ("Error", "There is no image nginx.")


def test_an_unknown_action_is_not_found(world):
    refused = world.call("GET", at(world.create(), "container_actions/req-nope"))
    assert (refused.status, refused.error["code"]) == (404, "container.resource-not-found")


def test_readers_do_not_see_what_steps_failed_with(world):
    made = world.create(phase=None)
    request_id = world.call("GET", at(made, "container_actions")).json["containerActions"][0]["request_id"]
    step = world.step(made["uuid"], request_id, result="Error")
    world.report(made["uuid"], Phase.FAILED, events=[step])
    path = at(made, f"container_actions/{request_id}")
    event = world.call("GET", path, persona="reader").json["events"][0]
    assert event == {
        "event": "start",
        "start_time": "2026-01-01T00:00:00.000000",
        "finish_time": "2026-01-01T00:00:00.000000",
        "result": "Error",
        "traceback": None,
    }
    for persona in ("member", "admin"):
        assert world.call("GET", path, persona=persona).json["events"][0]["traceback"] == "words"
    told = {who: world.call("GET", at(made, "events"), persona=who).json["events"][0] for who in ("reader", "member")}
    assert (told["reader"]["result"], told["reader"]["detail"], told["member"]["detail"]) == ("Error", "", "words")


def test_events_tell_each_step_and_why_from_our_own_version_on(world):
    made = world.create(phase=None)
    world.report(made["uuid"], Phase.RUNNING, events=[world.step(made["uuid"], "req-1")])
    assert world.call("GET", at(made, "events")).json["events"] == [
        {
            "key": "1",
            "request_id": "req-1",
            "verb": "start",
            "target": "nginx",
            "why": "it was asked for",
            "started_at": "2026-01-01T00:00:00.000000",
            "finished_at": "2026-01-01T00:00:00.000000",
            "result": "Success",
            "detail": "words",
        }
    ]
    assert world.call("GET", at(made, "events"), version="1.40").status == 406


@pytest.mark.parametrize(
    ("action", "phase"),
    [
        ("start", Phase.RUNNING),
        ("stop", Phase.STOPPED),
        ("pause", Phase.PAUSED),
        ("unpause", Phase.RUNNING),
        ("kill", Phase.CREATED),
        ("reboot", Phase.PAUSED),
        ("rebuild", Phase.PAUSED),
        ("execute?command=ls", Phase.STOPPED),
        ("commit?repository=ab", Phase.CREATED),
        ("resize?h=1&w=1", Phase.STOPPED),
    ],
)
def test_an_action_that_the_status_forbids_is_a_409_that_says_so(world, action, phase):
    made = world.create(phase=phase, interactive=True, tty=True)
    refused = world.call("POST", at(made, action))
    assert (refused.status, refused.error["code"]) == (409, "container.invalid-state-exception")
    name = action.partition("?")[0]
    assert refused.error["title"] == f"Cannot {name} container {made['uuid']} in {phase.value.title()} state"


@pytest.mark.parametrize("where", ["query", "body"])
@pytest.mark.parametrize(
    ("action", "args", "status"),
    [
        ("stop", {"timeout": "5"}, 202),
        ("stop", {"timeout": "None"}, 202),
        ("stop", {"timeout": "soon"}, 400),
        ("stop", {"timeout": "-1"}, 400),
        ("stop", {"wait": "5"}, 400),
        ("kill", {"signal": "None"}, 202),
        ("kill", {"signal": "sigterm"}, 202),
        ("kill", {"signal": "9"}, 202),
        ("kill", {"signal": "SIGNOTHING"}, 400),
        ("execute", {"command": "ls -l"}, 200),
        ("execute", {"command": "ls", "run": "True", "interactive": "False"}, 200),
        ("execute", {"command": "ls", "run": "False"}, 400),
        ("execute", {"command": "ls", "interactive": "True", "run": "False"}, 400),
        ("execute", {}, 400),
        ("execute", {"command": "ls '"}, 400),
        ("execute_resize", {"exec_id": "a" * 64, "h": "1", "w": "1"}, 400),
        ("execute_resize", {"exec_id": "short", "h": "1", "w": "1"}, 400),
        ("resize", {"h": "10", "w": "20"}, 200),
        ("resize", {"h": "0", "w": "20"}, 400),
        ("rebuild", {"image": "nginx:2"}, 202),
        ("rebuild", {"image": "NO image"}, 400),
        ("commit", {"repository": "mine", "tag": "v1"}, 202),
        ("commit", {}, 400),
        ("put_archive", {"path": "/etc", "data": "AAAA"}, 200),
        ("network_attach", {"network": "nowhere"}, 404),
        ("network_attach", {}, 400),
        ("network_detach", {"network": "nowhere"}, 400),
    ],
)
def test_arguments_come_in_the_query_or_in_the_body(world, where, action, args, status):
    made = world.create(interactive=True, tty=True)
    if where == "query":
        answer = world.call("POST", f"{at(made, action)}?{urllib.parse.urlencode(args)}")
    else:
        answer = world.call("POST", at(made, action), args)
    assert answer.status == status, answer.text


def test_the_query_wins_over_the_body(world):
    made = world.create()
    world.call("POST", at(made, "execute?command=from-query"), {"command": "from body"})
    assert world.agent.asked[-1][1].command == ("from-query",)


def test_execute_answers_output_and_exit_code(world):
    made = world.create()
    answer = world.call("POST", at(made, "execute"), {"command": "sh -c 'exit 3'"})
    assert answer.json == {"output": "out\n", "exit_code": 3, "exec_id": None, "proxy_url": None}
    assert world.agent.asked[-1][1].command == ("sh", "-c", "exit 3")


def test_attach_says_that_terminals_are_not_here_yet(world):
    refused = world.call("GET", at(world.create(interactive=True), "attach"))
    assert refused.status == 400
    assert "Terminals are not here yet" in refused.error["title"]


def test_logs_are_a_json_string_and_take_zuns_words(world):
    made = world.create()
    answer = world.call("GET", at(made, "logs?stdout=True&stderr=False&timestamps=1&tail=5&since=1700000000"))
    assert answer.json == "hello\nworld\n"
    asked = world.agent.asked[-1][1]
    assert asked == contract.LogsQuestion(stdout=True, stderr=False, timestamps=True, tail=5, since_s=1700000000.0)
    world.call("GET", at(made, "logs?tail=all&since=2026-01-31%2012:00:00,500"))
    assert world.agent.asked[-1][1] == contract.LogsQuestion(since_s=1769860800.5)
    world.call("GET", at(made, "logs?tail=None&since=None"))
    assert world.agent.asked[-1][1] == contract.LogsQuestion()
    assert world.call("GET", at(made, "logs?since=yesterday")).status == 400


def test_top_and_stats_have_the_shapes_clients_know(world):
    made = world.create(name="web")
    assert world.call("GET", at(made, "top?ps_args=None")).json == {
        "Titles": ["PID", "CMD"],
        "Processes": [["1", "sleep"]],
    }
    assert world.call("GET", at(made, "stats")).json == {
        "CONTAINER": "web",
        "CPU %": 12.35,
        "MEM USAGE(MiB)": 3.0,
        "MEM LIMIT(MiB)": 512,
        "MEM %": 0.59,
        "BLOCK I/O(B)": "1/2",
        "NET I/O(B)": "3/4",
    }


def test_archives_are_base64_from_1_25_and_text_before(world):
    made = world.create()
    new = world.call("GET", at(made, "get_archive?path=/etc"), version="1.25").json
    assert base64.b64decode(new["data"]) == world.agent.tar
    assert new["stat"] == {
        "name": "etc",
        "size": 4096,
        "mode": 0o755,
        "mtime": "2026-01-01T00:00:00Z",
        "linkTarget": "",
    }
    old = world.call("GET", at(made, "get_archive?path=/etc"), version="1.24").json
    assert old["data"] == world.agent.tar.decode("utf-8", "replace")
    data = base64.encodebytes(b"\x00tar").decode()
    assert world.call("POST", at(made, "put_archive?path=/srv"), {"data": data}, version="1.25").text == "null"
    assert world.call("POST", at(made, "put_archive?path=/srv"), {"data": "text\0"}, version="1.24").text == "null"
    assert world.agent.unpacked == [("/srv", b"\x00tar"), ("/srv", b"text\0")]
    for body in ({"data": "#"}, {}):
        assert world.call("POST", at(made, "put_archive?path=/srv"), body).status == 400
    assert world.call("POST", at(made, "put_archive"), {"data": data}).status == 400


@pytest.mark.parametrize("version", ["1.24", "1.25"])
@pytest.mark.parametrize("fails", [None, errors.NotFound("There is no /etc in the container.")])
def test_an_archive_gives_its_connection_back_and_fails_as_an_error(world, version, fails):
    world.agent.fails = fails
    answer = world.call("GET", at(world.create(), "get_archive?path=/etc"), version=version)
    assert answer.status == (200 if fails is None else 404)
    assert world.agent.open == 0


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1000])
def test_an_archive_of_any_size_is_whole(world, size):
    world.agent.tar = bytes(range(256)) * 4
    world.agent.tar = world.agent.tar[:size]
    found = world.call("GET", at(world.create(), "get_archive?path=/etc")).json
    assert base64.b64decode(found["data"], validate=True) == world.agent.tar


def test_networks_are_listed_flat_until_1_17_and_by_port_after(world):
    made = world.create()
    flat = {"net_id": "net-1", "subnet_id": "sub-1", "port_id": "port-1", "version": 4, "ip_address": "10.0.0.5"}
    fixed = [{"ip_address": "10.0.0.5", "version": 4, "subnet_id": "sub-1"}]
    assert world.call("GET", at(made, "network_list"), version="1.17").json == {"networks": [flat]}
    by_port = {"net_id": "net-1", "port_id": "port-1", "fixed_ips": fixed}
    assert world.call("GET", at(made, "network_list"), version="1.18").json == {"networks": [by_port]}


def test_resize_container_and_rename_answer_with_the_container(world):
    made = world.create()
    resized = world.call("POST", at(made, "resize_container"), {"cpu": 2, "memory": "256"})
    assert (resized.status, resized.json["uuid"]) == (202, made["uuid"])
    renamed = world.call("POST", at(made, "rename?name=other"), version="1.13")
    assert (renamed.status, renamed.json["name"]) == (200, "other")
    assert world.call("POST", at(made, "rename"), {"name": "other"}, version="1.13").status == 409


def test_security_groups_by_name_in_the_query_or_the_body(world):
    made = world.create()
    for action in ("add_security_group", "remove_security_group"):
        for answer in (
            world.call("POST", at(made, f"{action}?name=web"), version="1.14"),
            world.call("POST", at(made, action), {"name": "web"}, version="1.14"),
        ):
            assert answer.status == 400
            assert "web" in answer.error["title"]


@pytest.mark.parametrize("action", ["start", "execute?command=ls", "commit?repository=ab", "rebuild"])
def test_nothing_is_done_to_what_is_not_there(world, action):
    refused = world.call("POST", f"/v1/containers/nowhere/{action}")
    assert (refused.status, refused.error["code"]) == (404, "container.container-not-found")
    assert refused.error["title"] == "Container nowhere could not be found."
