"""What people type for an option, and what they are shown; pure."""

import base64
import datetime

import click
import pytest

from higgins.cli import output, parse
from higgins.cli.advice import next_steps, waiting_for
from higgins.cli.progress import share


@pytest.mark.parametrize(
    ("text", "mib"),
    [("512", 512), ("512m", 512), ("1g", 1024), ("1.5G", 1536), ("2048k", 2), ("4MiB", 4), ("1gb", 1024)],
)
def test_memory(text, mib):
    assert parse.memory_mib(text) == mib


@pytest.mark.parametrize("text", ["", "x", "-5", "0", "1t", "12 monkeys", "100b"])
def test_no_memory(text):
    with pytest.raises(click.BadParameter):
        parse.memory_mib(text)


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), ("30s", 30), ("2m", 120), ("1h30m", 5400)])
def test_durations(text, seconds):
    assert parse.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1d", "-1", "soon"])
def test_no_durations(text):
    with pytest.raises(click.BadParameter):
        parse.seconds(text)


def test_restart_policies():
    assert parse.restart_policy("always") == {"Name": "always"}
    assert parse.restart_policy("on-failure:4") == {"Name": "on-failure", "MaximumRetryCount": "4"}
    for text in ("sometimes", "always:3", "on-failure:x", "on-failure:"):
        with pytest.raises(click.BadParameter):
            parse.restart_policy(text)


def test_environment(tmp_path):
    file = tmp_path / "env"
    file.write_text("A=1\n\n# no\nB\nC=x=y\n")
    own = {"B": "from here", "D": "too"}
    assert parse.environment(["A=2", "D", "E", "F="], [str(file)], own) == {
        "A": "2", "B": "from here", "C": "x=y", "D": "too", "F": "",
    }  # fmt: skip
    for words, files in ((["=1"], []), (["A B =1"], [str(tmp_path / "none")]), (["a =1"], [])):
        with pytest.raises(click.BadParameter):
            parse.environment(words, files, {})


def test_mounts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_bytes(b"\x00\xff")
    content = base64.b64encode(b"\x00\xff").decode()
    assert parse.mount("./f:/etc/f") == {"destination": "/etc/f", "type": "bind", "source": content}
    assert parse.mount("data:/var:ro") == {"destination": "/var", "type": "volume", "source": "data", "read_only": True}
    assert parse.mount("size=3G:/v") == {"destination": "/v", "type": "volume", "size": "3"}
    for text in ("f", "f:", ":/x", "f:relative", "f:/x:wo", "./none:/x", "./:/x", f"{tmp_path}:/x"):
        with pytest.raises(click.BadParameter):
            parse.mount(text)


def test_networks():
    assert parse.network("blue") == {"network": "blue"}
    assert parse.network("blue,ip=10.0.0.1,ip6=fd00::1") == {
        "network": "blue",
        "v4-fixed-ip": "10.0.0.1",
        "v6-fixed-ip": "fd00::1",
    }
    assert parse.network("blue,ip=fd00::1") == {"network": "blue", "v6-fixed-ip": "fd00::1"}
    for text in ("port=", "net=blue", "blue,mac=1"):
        with pytest.raises(click.BadParameter):
            parse.network(text)


def test_words_of_a_command():
    assert parse.words("sh -c 'a b'") == ["sh", "-c", "a b"]
    with pytest.raises(click.BadParameter):
        parse.words("it's")
    assert parse.pairs(["a=1", "b"], "label") == {"a": "1", "b": ""}


@pytest.mark.parametrize(
    ("detail", "done"),
    [
        ("3 of 5 layers, 10 of 40 MiB", 0.25),
        ("512K/1M", 0.5),
        ("40 %", 0.4),
        ("1 of 2 layers", 0.5),
        ("0 of 0 MiB", None),
        ("pulling", None),
        ("50 of 40 MiB", 1.0),
    ],
)
def test_how_far_a_pull_is(detail, done):
    assert share(detail) == done


def test_times_and_sizes():
    now = datetime.datetime.now(datetime.UTC)
    assert output.ago((now - datetime.timedelta(minutes=5, seconds=1)).strftime("%Y-%m-%d %H:%M:%S")) == "5 minutes ago"
    assert output.ago((now - datetime.timedelta(days=1, seconds=1)).isoformat()) == "1 day ago"
    assert output.ago(None) == ""
    assert output.ago("yesterday") == ""
    assert (output.size(0), output.size(1536), output.size(5 * 1024**4)) == ("0 B", "1.5 KiB", "5.0 TiB")


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({"status": "Error", "status_reason": "There are not enough hosts available."}, "--cpus"),
        ({"status": "Error", "status_reason": "No such image: x"}, "--image"),
        (
            {"status": "Error", "status_reason": "The registry has no image docker.io/x. Check its name and tag."},
            "--image",
        ),
        ({"status": "Stopped", "exit_code": 143}, "asked to stop"),
        ({"status": "Error", "status_reason": "unauthorized: authentication required"}, "registries add"),
        ({"status": "Error", "status_reason": "?"}, "higgins start web"),
        ({"status": "Stopped", "exit_code": 137}, "memory"),
        ({"status": "Stopped", "exit_code": 1}, "higgins logs -n 20 web"),
        ({"status": "Stopped", "exit_code": 127}, "command"),
        ({"status": "Stopped", "exit_code": 0}, "higgins start web"),
        ({"status": "Running", "health": "unhealthy"}, "health check fails"),
        ({"status": "Running"}, "higgins logs -f web"),
        ({"status": "Paused"}, "higgins unpause web"),
        ({"status": "Creating"}, "higgins events -f web"),
        ({"status": "Unknown"}, "higgins hosts"),
    ],
)
def test_there_is_always_something_to_do(container, told):
    assert told in "\n".join(next_steps({"name": "web", **container}, []))


def test_what_is_waited_for():
    going = {"verb": "pull", "target": "nginx", "why": "it is not here", "finished_at": None, "detail": "1 of 3 layers"}
    busy = {"name": "web", "uuid": "u1", "status": "Creating", "task_state": "container_creating"}
    assert waiting_for(busy, None, [going]) == "pull nginx (1 of 3 layers), because it is not here"
    own = {"verb": "write_files", "target": "u1", "finished_at": None}
    assert waiting_for(busy, None, [going, own]) == "write files web"
    assert waiting_for({**busy, "status_reason": "its host does not answer"}, None, []) == "its host does not answer"
    assert waiting_for(busy, None, []) == "its host to make it"
    assert waiting_for({"status": "Running"}, {"finish_time": None}, []) == "its host to begin"
    assert waiting_for({"status": "Running"}, {"finish_time": "x"}, [going]) == ""
