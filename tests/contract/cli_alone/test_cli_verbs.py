"""Every verb against a real HTTP server that speaks the contract."""

import json

import pytest

from tests.contract.cli_alone.cli_double import LINES
from tests.contract.cli_alone.cli_double_other import PROJECT


def test_ps_hides_the_stopped_and_follows_pages(cloud, run):
    for name, status in (("a", "Running"), ("b", "Stopped"), ("c", "Error"), ("d", "Created"), ("e", "Running")):
        cloud.add(name, status, status_reason="no room" if status == "Error" else None)
    shown = run("ps").stdout.splitlines()
    assert [line.split()[1] for line in shown] == ["NAME", "a", "c", "e"]
    assert "Error: no room" in shown[2]
    assert "10.88.0.5" in shown[1]
    assert [c["name"] for c in json.loads(run("ps", "-a", "--json").stdout)] == ["a", "b", "c", "d", "e"]
    quiet = run("ps", "-q").stdout.split()
    assert quiet == [c["uuid"] for c in cloud.containers.values() if c["status"] not in {"Stopped", "Created"}]


def test_ps_shows_no_control_characters_and_the_health(cloud, run):
    cloud.add("a", "Error", status_reason="bad \x1b[31m reason\nhere")
    cloud.add("b", "Running", health="unhealthy")
    shown = run("ps").stdout
    assert "\x1b" not in shown
    assert "Up 5 mins (unhealthy)" in shown


def test_ps_of_all_projects_asks_for_them(cloud, run):
    cloud.add("a")
    assert PROJECT in run("ps", "--all-projects").stdout
    assert {"all_projects": "true"} in cloud.queries("GET", "/v1/containers")


def test_inspect_is_a_list_and_goes_on_after_one_that_is_missing(cloud, run):
    cloud.add("a")
    result = run("inspect", "nope", "a")
    assert '\n    "name": "a"' in result.stdout
    assert [c["name"] for c in json.loads(result.stdout)] == ["a"]
    assert "There is no container nope." in result.stderr
    assert result.exit_code == 1


def test_a_container_is_found_by_the_beginning_of_its_uuid(cloud, run):
    cloud.add("a", uuid="aaaa0000-0000-4000-8000-000000000001")
    cloud.add("b", uuid="aaaa1111-0000-4000-8000-000000000001")
    assert json.loads(run("inspect", "aaaa1").stdout)[0]["name"] == "b"
    several = run("inspect", "aaaa")
    assert several.exit_code == 1
    assert "Several containers begin with aaaa" in several.stderr


def test_two_containers_of_one_name_are_told_apart(cloud, run):
    first, second = cloud.add("twin"), cloud.add("twin")
    result = run("stop", "twin")
    assert result.exit_code == 1
    assert first["uuid"] in result.stderr
    assert second["uuid"] in result.stderr


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("stop", "Running", "Stopped"),
        ("start", "Stopped", "Running"),
        ("restart", "Running", "Running"),
        ("kill", "Running", "Stopped"),
        ("pause", "Running", "Paused"),
        ("unpause", "Paused", "Running"),
        ("rebuild", "Running", "Running"),
    ],
)
@pytest.mark.parametrize("service", ["cloud", "zun"])
def test_a_wish_is_waited_for(service, verb, before, after, run, request):
    double = request.getfixturevalue(service)
    container = double.add("web", before)
    result = run(verb, "web")
    assert (result.stdout, result.exit_code) == ("web\n", 0), result.output
    assert container["status"] == after
    assert container["task_state"] is None
    assert double.hidden[container["uuid"]]["actions"][0]["finish_time"]


def test_a_wish_can_be_made_without_waiting(cloud, run):
    container = cloud.add("web")
    assert json.loads(run("stop", "--no-wait", "--json", "web").stdout)[0]["task_state"] == "container_stopping"
    assert cloud.hidden[container["uuid"]]["actions"][0]["finish_time"] is None


def test_a_wish_that_fails_tells_the_reason_of_its_step(cloud, run):
    cloud.add("web")
    cloud.fail["stop"] = "the engine did not answer"
    result = run("stop", "web")
    assert result.exit_code == 1
    assert "web could not be stopped: the engine did not answer" in result.stderr


def test_what_is_so_already_is_no_failure(cloud, run):
    cloud.add("web", "Stopped")
    result = run("stop", "web")
    assert (result.stdout, result.exit_code) == ("web\n", 0)
    assert "web is stopped already." in result.stderr


def test_one_of_several_that_fails_leaves_the_others_alone(cloud, run):
    cloud.add("a")
    cloud.add("b")
    result = run("stop", "a", "nope", "b")
    assert (result.stdout, result.exit_code) == ("a\nb\n", 1)


def test_stop_and_kill_send_their_options(cloud, run):
    container = cloud.add("web")
    run("stop", "-t", "3", "web")
    assert cloud.queries("POST", f"/v1/containers/{container['uuid']}/stop") == [{"timeout": "3"}]
    container["status"] = "Running"
    run("kill", "-s", "HUP", "web")
    assert cloud.queries("POST", f"/v1/containers/{container['uuid']}/kill") == [{"signal": "HUP"}]


def test_rename_update_and_rebuild(cloud, run):
    container = cloud.add("web")
    path = f"/v1/containers/{container['uuid']}"
    assert run("rename", "web", "site").stdout == "site\n"
    assert run("update", "--cpus", "2", "-m", "256m", "site").exit_code == 0
    assert cloud.bodies("PATCH", path) == [{"name": "site"}, {"cpu": 2.0, "memory": "256"}]
    assert run("rebuild", "--image", "nginx", "site").exit_code == 0
    assert container["image"] == "nginx"
    assert run("update", "site").exit_code == 2


def test_rm_waits_until_it_is_gone(cloud, run):
    cloud.add("old", "Stopped")
    assert (run("rm", "old").stdout, cloud.containers) == ("old\n", {})


def test_rm_of_a_running_one_says_how(cloud, run):
    cloud.add("web")
    result = run("rm", "web")
    assert result.exit_code == 1
    assert "in Running state" in result.stderr
    assert "higgins rm -f" in result.stderr
    assert run("rm", "-f", "--json", "web").exit_code == 0
    assert cloud.containers == {}


def test_rm_force_kills_and_stops_what_cannot_be_killed(cloud, run):
    cloud.add("web")
    assert run("rm", "-f", "web").exit_code == 0
    assert [path.rpartition("/")[2] for method, path in cloud.paths() if method == "POST"] == ["kill"]
    stubborn = cloud.add("stubborn")
    cloud.fail["kill"] = "the engine does not answer"
    stubborn["auto_remove"] = True
    assert run("rm", "-f", "stubborn").exit_code == 0
    assert cloud.containers == {}


def test_rm_force_lets_a_paused_one_go_on_first_where_it_must(zun, run):
    zun.add("web", "Paused")
    assert run("rm", "-f", "web").exit_code == 0
    assert zun.containers == {}


def test_rm_force_of_one_that_may_not_be_removed_tells_the_first_reason(cloud, run):
    cloud.add("web", "Creating")
    result = run("rm", "-f", "web")
    assert result.exit_code == 1
    assert "in Creating state" in result.stderr


def test_logs(cloud, run):
    container = cloud.add("web")
    cloud.hidden[container["uuid"]]["logs"] = list(LINES)
    result = run("logs", "web")
    assert (result.stdout, result.stderr) == ("one\nthree\nfour", "two\n")
    assert run("logs", "-n", "2", "web").stdout == "three\nfour"
    assert run("logs", "-n", "0", "web").output == ""
    assert run("logs", "-t", "-n", "1", "web").stdout == "2026-01-02T03:04:07.000000000Z four"
    assert run("logs", "--since", "2026-01-02T03:04:06Z", "web").output == "four"
    assert [line["stream"] for line in json.loads(run("logs", "--json", "web").stdout)] == [
        "stdout",
        "stderr",
        "stdout",
        "stdout",
    ]


def test_logs_follow_gives_each_line_once(cloud, run):
    container = cloud.add("web")
    cloud.hidden[container["uuid"]]["logs"] = LINES[:1]
    same = ("stdout", "2026-01-02T03:04:05.000000001Z", "one\n")
    cloud.hidden[container["uuid"]]["script"] = [*LINES[1:3], same, LINES[3], 0]
    result = run("logs", "-f", "web")
    assert result.stdout == "one\nthree\none\nfour"
    assert result.stderr == "two\n"


def test_exec_prints_the_output_and_ends_with_the_code(cloud, run):
    container = cloud.add("web")
    result = run("exec", "web", "ls", "-l", "a file")
    assert (result.stdout, result.exit_code) == ("ran ls -l 'a file'\n", 0)
    assert run("exec", "web", "fail").exit_code == 3
    assert json.loads(run("exec", "--json", "web", "fail").stdout) == {"output": "ran fail\n", "exit_code": 3}
    assert cloud.queries("POST", f"/v1/containers/{container['uuid']}/execute") == [
        {},
        {},
        {},
    ]  # no command in an address


def test_exec_in_a_stopped_one_is_our_own_failure(cloud, run):
    cloud.add("web", "Stopped")
    result = run("exec", "web", "ls")
    assert result.exit_code == 125
    assert "higgins start web" in result.stderr
    assert run("exec", "-it", "web", "sh").exit_code == 2


def test_top_and_stats(cloud, run):
    cloud.add("web")
    cloud.add("old", "Stopped")
    assert run("top", "web", "-o", "pid").stdout.split() == ["PID", "CMD", "1", "sh", "-o", "pid"]
    assert json.loads(run("top", "--json", "web").stdout)["Titles"] == ["PID", "CMD"]
    shown = run("stats").stdout.splitlines()
    assert len(shown) == 2
    for text in ("web", "12.3 %", "20.0 MiB", "512.0 MiB", "3.9 %", "2.0 KiB / 0 B", "10 B / 1.0 MiB"):
        assert text in shown[1]
    assert json.loads(run("stats", "--json", "web").stdout)[0]["CPU %"] == 12.34


def test_events_and_why(cloud, run):
    container = cloud.add("web", "Stopped")
    run("start", "web")
    assert "start busybox  done" in run("events", "web").stdout
    assert json.loads(run("events", "--json", "web").stdout)[0]["why"] == "start was asked for"
    told = run("why", "web").stdout
    assert container["uuid"] in told
    assert "It runs." in told
    run("stop", "--no-wait", "web")
    cloud.hidden[container["uuid"]]["looks"] = 9
    assert "waits for   stop busybox, because stop was asked for" in run("why", "web").stdout


def test_why_of_a_failed_one_says_what_to_do(cloud, run):
    run("run", "-d", "--name", "bad", "broken")
    told = run("why", "bad").stdout
    assert "Error: No such image: broken" in told
    assert "higgins rebuild bad --image IMAGE" in told
    whole = json.loads(run("why", "--json", "bad").stdout)
    assert whole["status"] == "Error"
    assert whole["waiting_for"] is None
    assert whole["events"][-1]["result"] == "Error"


def test_events_on_zun_come_from_its_actions_and_say_so(zun, run):
    zun.add("web")
    run("stop", "web")
    result = run("events", "web")
    assert [line.split()[2:4] for line in result.stdout.splitlines()[1:]] == [["stop", "done"]]
    assert "This service is Zun" in result.stderr
    assert "stop was asked for" in run("why", "web").stdout


def test_zun_has_no_options_of_ours(zun, run):
    result = run("run", "--pids-limit", "5", "busybox")
    assert result.exit_code == 125
    assert "has no --pids-limit" in result.stderr
    assert zun.containers == {}


def test_images_and_pull(cloud, run):
    assert run("pull", "localhost:5000/nginx:1.2").stdout == "localhost:5000/nginx:1.2 is there on node-1.\n"
    assert cloud.bodies("POST", "/v1/images") == [{"repo": "localhost:5000/nginx", "tag": "1.2", "host": "node-1"}]
    shown = run("images").stdout
    assert "4.0 MiB" in shown
    assert json.loads(run("images", "--json").stdout)[0]["host"] == "node-1"
    failed = run("pull", "nowhere")
    assert failed.exit_code == 1
    assert "node-1 could not pull nowhere" in failed.stderr
    assert "could not pull refused: the registry says no" in run("pull", "refused").stderr
    assert json.loads(run("pull", "--json", "--no-wait", "--host", "node-1", "x").stdout)[0]["repo"] == "x"


def test_registries(cloud, run):
    made = run("registries", "add", "ours", "registry.example.org", "-u", "me", "--password-stdin", input="pa55\n")
    assert made.exit_code == 0, made.output
    assert cloud.bodies("POST", "/v1/registries")[0]["registry"]["password"] == "pa55"
    shown = run("registries").output
    assert "registry.example.org" in shown
    assert "pa55" not in shown
    assert json.loads(run("registries", "--json").stdout)[0]["password"] == "***"
    assert run("registries", "rm", "ours").stdout == "ours\n"
    assert "There is no registry named ours" in run("registries", "rm", "ours").stderr


def test_hosts_and_quota(cloud, run):
    assert "2.5 of 8" in run("hosts").stdout
    assert json.loads(run("hosts", "--json").stdout)[0]["hostname"] == "node-1"
    shown = run("quota").stdout
    assert "51200 MiB" in shown
    assert "no limit" in shown
    assert json.loads(run("quota", "--json", PROJECT).stdout)["cpu"] == {"limit": 20, "in_use": 1}


def test_a_plain_zun_tells_the_project_by_a_container(zun, run):
    unknown = run("quota")
    assert unknown.exit_code == 1
    assert "higgins quota PROJECT" in unknown.stderr
    zun.add("web")
    assert "51200 MiB" in run("quota").stdout
