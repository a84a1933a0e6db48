"""run and create: what is asked for, what is shown, and how they end."""

import pytest

from tests.contract.cli_alone.cli_double import LINES


def test_run_detached_waits_until_it_runs_and_prints_the_uuid(cloud, run):
    result = run("run", "-d", "--name", "web", "busybox", "sleep", "100")
    assert result.exit_code == 0, result.output
    (made,) = cloud.containers.values()
    assert result.stdout == made["uuid"] + "\n"
    assert made["status"] == "Running"
    assert cloud.bodies("POST", "/v1/containers") == [{"image": "busybox", "command": ["sleep", "100"], "name": "web"}]
    assert cloud.queries("POST", "/v1/containers") == [{"run": "true"}]


def test_create_has_a_key_against_being_made_twice(cloud, run):
    assert run("create", "busybox").exit_code == 0
    (headers,) = [h for m, p, _, _, h in cloud.seen if (m, p) == ("POST", "/v1/containers")]
    assert len(headers["Idempotency-Key"]) == 36
    assert next(iter(cloud.containers.values()))["status"] == "Created"


def test_a_create_whose_answer_is_lost_makes_one_container(cloud, run):
    cloud.drop_next_posts = 1
    assert run("run", "-d", "busybox").exit_code == 0
    assert len(cloud.containers) == 1


def test_zun_knows_no_keys_so_a_lost_answer_is_told(zun, run):
    zun.drop_next_posts = 1
    result = run("run", "-d", "busybox")
    assert result.exit_code == 125
    assert "broke off" in result.stderr
    assert len(zun.containers) == 1


def test_run_sends_every_option_in_the_words_of_the_api(cloud, run, tmp_path):
    (tmp_path / "env").write_text("# a comment\nA=1\nB=two words\n")
    (tmp_path / "index.html").write_bytes(b"hello")
    options = [
        *("--name", "web", "-e", "C=3", "--env-file", str(tmp_path / "env"), "-l", "tier=front", "--cpus", "0.5"),
        *("-m", "1g", "-w", "/srv", "--hostname", "h1", "--restart", "on-failure:3", "--entrypoint", "sh -c"),
        *("-v", f"{tmp_path}/index.html:/srv/index.html:ro", "-v", "data:/data", "-v", "size=2:/new"),
        *("--network", "blue,ip=10.0.0.9", "--network", "port=p1", "--security-group", "web"),
        *("--health-cmd", "true", "--health-interval", "1m", "--health-timeout", "5", "--health-retries", "2"),
        *("--pull", "missing", "--registry", "ours", "--runtime", "kata", "--privileged", "-t", "-i"),
        *("--pids-limit", "50", "--cpu-shares", "512", "--cpu-policy", "dedicated", "--disk", "3", "--rm", "-d"),
    ]
    result = run("run", *options, "nginx", "echo", "-n", "hi")
    assert result.exit_code == 0, result.output
    (body,) = cloud.bodies("POST", "/v1/containers")
    assert body == {
        "image": "nginx", "name": "web", "command": ["echo", "-n", "hi"], "entrypoint": ["sh", "-c"],
        "environment": {"A": "1", "B": "two words", "C": "3"}, "labels": {"tier": "front"}, "cpu": 0.5, "memory": "1024",
        "workdir": "/srv", "hostname": "h1", "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "3"},
        "mounts": [
            {"destination": "/srv/index.html", "type": "bind", "source": "aGVsbG8=", "read_only": True},
            {"destination": "/data", "type": "volume", "source": "data"},
            {"destination": "/new", "type": "volume", "size": "2"},
        ],
        "nets": [{"network": "blue", "v4-fixed-ip": "10.0.0.9"}, {"port": "p1"}], "security_groups": ["web"],
        "healthcheck": {"cmd": "true", "interval": 60, "timeout": 5, "retries": 2}, "image_pull_policy": "ifnotpresent",
        "registry": "ours", "runtime": "kata", "privileged": True, "tty": True, "interactive": True, "pids_limit": 50,
        "cpu_shares": 512, "cpu_policy": "dedicated", "disk": 3, "auto_remove": True,
    }  # fmt: skip


def test_run_attached_prints_what_it_writes_and_ends_with_its_code(cloud, run):
    cloud.scripts["noisy"] = (LINES, 7)
    result = run("run", "--name", "talk", "noisy")
    assert result.stdout == "one\nthree\nfour"
    assert result.stderr == "two\n"
    assert result.exit_code == 7


def test_run_attached_with_rm_reads_the_end_before_it_removes(cloud, run):
    cloud.scripts["noisy"] = (LINES[:1], 0)
    result = run("run", "--rm", "noisy")
    assert (result.stdout, result.exit_code) == ("one\n", 0)
    assert cloud.containers == {}
    assert "auto_remove" not in cloud.bodies("POST", "/v1/containers")[0]


def test_run_that_fails_tells_why_and_ends_with_125(cloud, run):
    result = run("run", "--name", "bad", "broken")
    assert result.exit_code == 125
    assert "bad could not be started: No such image: broken" in result.stderr
    assert "higgins why bad" in result.stderr


def test_run_with_rm_that_fails_leaves_nothing(cloud, run):
    result = run("run", "--rm", "--name", "bad", "broken")
    assert result.exit_code == 125
    assert "removed again" in result.stderr
    assert {container["status"] for container in cloud.containers.values()} <= {"Deleting"}


@pytest.mark.parametrize(
    ("why", "code"),
    [("executable file `x` not found in $PATH", 127), ("exec: permission denied", 126), ("no room", 125)],
)
def test_run_ends_as_a_shell_does_when_there_is_no_such_program(why, code, cloud, run):
    cloud.fail["create"] = why
    result = run("run", "-d", "busybox", "x")
    assert result.exit_code == code
    assert why in result.stderr


def test_run_on_zun_takes_the_exit_code_from_the_status_text(zun, run):
    zun.scripts["noisy"] = (LINES[:1], 9)
    result = run("run", "noisy")
    assert (result.stdout, result.exit_code) == ("one\n", 9)
