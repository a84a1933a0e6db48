"""The command line against the real service: every verb, through the API, the controller, the agent and the fake engine."""

import signal


def test_a_container_lives_and_goes(service, name):
    made = service("run", "-d", "--name", name, "busybox")
    assert made.code == 0, made.err
    uuid = made.out.strip()
    assert name in service("ps").out
    assert service("inspect", name).json[0]["uuid"] == uuid
    for verb, status in (("stop", "Stopped"), ("start", "Running"), ("pause", "Paused"), ("unpause", "Running"),
                         ("restart", "Running"), ("rebuild", "Running"), ("kill", "Stopped")):  # fmt: skip
        done = service(verb, name)
        assert (done.code, done.out) == (0, f"{name}\n"), (verb, done.err)
        assert service("inspect", uuid[:8]).json[0]["status"] == status, verb
    assert service("rm", name).code == 0
    gone = service("inspect", name)
    assert gone.code == 1
    assert f"There is no container {name}." in gone.err


def test_run_shows_the_output_and_ends_with_the_code(service, name):
    done = service(
        "run", "--name", name, "-e", "FAKE_LOG_STDERR=oops", "-e", "FAKE_EXIT_CODE=7", "busybox", "echo", "hello"
    )
    assert (done.code, done.out, done.err) == (7, "hello\n", "oops\n")
    again = service("logs", name)
    assert (again.out, again.err) == ("hello\n", "oops\n")
    assert service("inspect", name).json[0]["exit_code"] == 7


def test_run_with_rm_leaves_nothing(service, name):
    done = service("run", "--rm", "--name", name, "busybox", "echo", "hello")
    assert (done.code, done.out) == (0, "hello\n"), done.err
    assert name not in service("ps", "-a").out


def test_a_detached_one_that_removes_itself(service, name):
    made = service("run", "-d", "--rm", "--name", name, "busybox")
    assert made.code == 0, made.err
    assert service("stop", name).code == 0


def test_ctrl_c_detaches(service, name):
    child = service.start("run", "--name", name, "-e", "FAKE_LOG=first", "busybox")
    assert child.stdout.readline() == "first\n"
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=240)
    assert child.returncode == 130
    assert f"higgins logs -f {name}" in told
    assert service("inspect", name).json[0]["status"] == "Running"


def test_what_fails_is_told_with_its_reason(service, name):
    done = service("run", "--name", name, "missing/image")
    assert done.code == 125
    assert "missing/image" in done.err
    assert f"higgins why {name}" in done.err
    told = service("why", name)
    assert told.code == 0
    assert "What to do next:" in told.out
    assert service("why", "--json", name).json["status"] == "Error"


def test_every_option_is_taken_by_the_api(service, name, tmp_path):
    (tmp_path / "f").write_text("content")
    done = service(
        *("create", "--name", name, "-e", "A=1", "-l", "k=v", "--cpus", "0.5", "-m", "64m", "-w", "/tmp", "--hostname", "h"),
        *("--restart", "on-failure:2", "-v", f"{tmp_path}/f:/etc/f:ro", "--entrypoint", "sh", "--health-cmd", "true"),
        *("--health-interval", "5s", "--health-retries", "2", "--health-timeout", "3s", "--pids-limit", "50", "--cpu-shares", "512"),
        *("-t", "-i", "--expose", "80", "busybox", "-c", "true"),
    )  # fmt: skip
    assert done.code == 0, done.err
    (shown,) = service("inspect", name).json
    wanted = {
        "status": "Created", "environment": {"A": "1"}, "labels": {"k": "v"}, "cpu": 0.5, "memory": "64", "workdir": "/tmp",
        "hostname": "h", "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "2"}, "entrypoint": ["sh"],
        "command": ["-c", "true"], "tty": True, "interactive": True, "pids_limit": 50, "cpu_shares": 512, "ports": [80],
    }  # fmt: skip
    assert {key: shown[key] for key in wanted} == wanted
    assert shown["healthcheck"]["test"] == "true"


def test_files_go_in_and_come_out(service, name, tmp_path):
    assert service("run", "-d", "--name", name, "busybox").code == 0
    (tmp_path / "f").write_text("content")
    into = service("cp", str(tmp_path / "f"), f"{name}:/tmp/")
    assert into.code == 0, into.err
    out = service("cp", f"{name}:/tmp/f", str(tmp_path / "g"))
    assert out.code == 0, out.err
    assert (tmp_path / "g").read_text() == "content"
    assert "There is no /nowhere" in service("cp", f"{name}:/nowhere", str(tmp_path / "h")).err


def test_live_questions(service, name):
    assert service("run", "-d", "--name", name, "busybox").code == 0
    done = service("exec", name, "echo", "a  b")
    assert (done.code, done.out) == (0, "a  b\n")
    assert service("exec", name, "false").code == 1
    assert "COMMAND" in service("top", name).out
    assert name in service("stats").out
    service("stop", name)
    refused = service("exec", name, "true")
    assert refused.code == 125
    assert f"higgins start {name}" in refused.err


def test_changes(service, name):
    assert service("create", "--name", name, "busybox").code == 0
    assert service("update", "--cpus", "0.25", "-m", "96", name).code == 0
    shown = service("inspect", name).json[0]
    assert (shown["cpu"], shown["memory"]) == (0.25, "96")
    assert service("rename", name, f"{name}-new").code == 0
    assert service("inspect", f"{name}-new").json[0]["uuid"] == shown["uuid"]


def test_events_tell_steps_and_reasons(service, name):
    assert service("run", "-d", "--name", name, f"localhost/{name}").code == 0
    events = service("events", "--json", name).json
    verbs = [event["verb"] for event in events]
    assert {"pull", "create", "start"} <= set(verbs)
    assert all(event["why"] and event["result"] == "Success" for event in events)
    assert f"start {name}" in service("events", name).out


def test_what_administrators_see(service, name):
    assert service("run", "-d", "--name", name, "busybox").code == 0
    refused = service("hosts")
    assert refused.code == 1
    assert "--os-cloud" in refused.err
    assert "of" in service.admin("hosts").out
    assert name in service.admin("ps", "--all-projects").out
    pulled = service.admin("pull", "localhost/library/busybox:1.36")
    assert pulled.code == 0, pulled.err
    assert "localhost/library/busybox" in service.admin("images").out
    assert name in service("ps").out
    assert "containers" in service("quota").out


def test_registries(service, name):
    made = service("registries", "add", name, "registry.example.org")
    assert made.code == 0, made.err
    assert name in service("registries").out
    assert service("registries", "rm", name).code == 0
