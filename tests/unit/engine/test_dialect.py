"""The dialect's translations: bodies of a create, facts of an inspect, refusals, pulls, and control groups of both versions."""

from __future__ import annotations

import base64
import datetime
import json

import pytest

from higgins.core import errors, model
from higgins.core.phase import EngineState, Health
from higgins.engine import api
from higgins.engine.dialect import cgroups, faults, pulls, streams, translate
from higgins.engine.dialect.http import Answer
from higgins.engine.docker import translate as docker_translate
from higgins.engine.podman import translate as podman_translate


def creation(network: str = "bridge", **words) -> api.Creation:
    spec = model.ContainerSpec(uuid="u-1", name="n", image="busybox", **words)
    return api.Creation(
        pod="p-1", build=2, spec=spec, image="busybox", hostname="box", network=network, dns_servers=("192.0.2.1",)
    )


def test_a_user_cannot_forge_our_labels():
    body = translate.creation_body(creation(labels={"higgins.pod": "forged", "a": "b"}), "image", "inst")
    assert body["Labels"] == {
        "a": "b",
        "higgins.uuid": "u-1",
        "higgins.pod": "p-1",
        "higgins.build": "2",
        "higgins.installation": "inst",
    }


def test_limits_are_caps_without_swap():
    host = translate.creation_body(creation(cpus=1.5, memory_mib=64), "image", "")["HostConfig"]
    assert (host["CpuQuota"], host["CpuPeriod"], host["Memory"], host["MemorySwap"]) == (
        150_000,
        100_000,
        64 << 20,
        64 << 20,
    )
    assert not {"CpuQuota", "Memory", "PidsLimit", "CpuShares"} & set(
        translate.creation_body(creation(), "image", "")["HostConfig"]
    )


def test_a_member_of_a_pod_has_no_name_and_resolver_of_its_own():
    body = translate.creation_body(creation("container:u-0"), "image", "")
    assert body["HostConfig"]["NetworkMode"] == "container:higgins-u-0"
    assert "Hostname" not in body
    assert "Dns" not in body["HostConfig"]
    assert translate.creation_body(creation("none"), "image", "")["HostConfig"]["Dns"] == ["192.0.2.1"]


def test_what_is_not_given_is_left_to_the_image():
    body = translate.creation_body(creation(), "image", "")
    assert not {"Cmd", "Entrypoint", "WorkingDir", "Healthcheck"} & set(body)
    assert translate.creation_body(creation(command=()), "image", "")["Cmd"] == []


def inspected(status: str, **state) -> dict:
    labels = {"higgins.uuid": "u-1", "higgins.pod": "p-1", "higgins.build": "3"}
    return {"Id": "abc", "Name": "/higgins-u-1", "State": {"Status": status, **state}, "Config": {"Labels": labels}}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("created", EngineState.CREATED),
        ("running", EngineState.RUNNING),
        ("restarting", EngineState.RUNNING),
        ("paused", EngineState.PAUSED),
        ("exited", EngineState.STOPPED),
        ("removing", EngineState.DEAD),
        ("something new", EngineState.DEAD),
    ],
)
def test_states(status, state):
    facts = translate.facts(inspected(status, ExitCode=3), None)
    assert facts.state is state
    assert facts.exit_code == (3 if state in (EngineState.STOPPED, EngineState.DEAD) else None)
    assert (facts.uuid, facts.pod, facts.build) == ("u-1", "p-1", 3)


def test_health_is_that_of_a_running_container_with_a_check():
    assert translate.facts(inspected("running", Health={"Status": "healthy"}), None).health is Health.HEALTHY
    assert translate.facts(inspected("running", Health={"Status": ""}), None).health is None
    assert translate.facts(inspected("exited", Health={"Status": "healthy"}), None).health is None


def test_times_as_go_writes_them():
    assert translate.when("0001-01-01T00:00:00Z") is None
    assert translate.when("") is translate.when(None) is None
    expected = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.UTC)
    assert translate.when("2024-05-06T07:08:09.123456789Z") == expected
    assert translate.when("2024-05-06T09:08:09.123456789+02:00") == expected


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, "No such container: x", errors.NotFound),
        (404, "No such image: x", errors.ImageNotFound),
        (500, "no container with name or ID found: no such container", errors.NotFound),
        (409, 'Conflict. The container name "/x" is already in use by container', errors.NameTaken),
        (500, "the container name is already in use by", errors.NameTaken),
        (409, "Container x is not running", errors.Conflict),
        (500, "container state improper", errors.Conflict),
        (400, "invalid signal", errors.Invalid),
        (400, "unknown or invalid runtime name: x", errors.Unsupported),
        (500, "the disk of the host is full: no space left on device", errors.OutOfCapacity),
        (500, "something odd", errors.NotReady),
        (500, "open /proc/8613/cgroup: no such file or directory", errors.NotReady),
        (501, "not here", errors.Unsupported),
        (503, "shutting down", errors.Unavailable),
    ],
)
def test_refusals(status, text, kind):
    answer = Answer(status=status, headers={}, body=json.dumps({"message": text}).encode())
    problem = faults.translate(answer, "do it")
    assert type(problem) is kind
    assert problem.message.startswith("The engine could not do it: ")
    assert text.split(":")[0] in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command",
        'OCI runtime create failed: runc create failed: error during container init: exec: "nope": executable file not found',
        'runc create failed: unable to start container process: exec: "nope": stat nope: no such file or directory: unknown',
    ],
)
def test_a_program_that_is_not_there_is_told_by_its_name(text):
    problem = faults.translate(Answer(status=500, headers={}, body=json.dumps({"message": text}).encode()), "start it")
    assert type(problem) is errors.Invalid
    assert problem.message == (
        "The engine could not start it: the image has no program 'nope'. Check the command and the entrypoint."
    )


def test_silences():
    assert type(faults.translate(TimeoutError(), "do it")) is errors.Timeout
    assert type(faults.translate(ConnectionRefusedError(), "do it")) is errors.Unavailable


REFUSED = "The registry docker.io does not let us pull the image x:y."
LOOKUP = 'initializing source docker://x:y: pinging container registry: Get "https://x/v2/": dial tcp: lookup x: no such host'
DIAL = "dial tcp 127.0.0.1:1: connect: connection refused"


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        (
            "manifest for x:y not found: manifest unknown",
            errors.ImageNotFound,
            "The registry docker.io has no image x:y.",
        ),
        (
            "pull access denied for x, repository does not exist or may require 'docker login'",
            errors.ImageNotFound,
            REFUSED,
        ),
        ("unauthorized: authentication required", errors.ImageNotFound, REFUSED),
        (LOOKUP, errors.Unavailable, "The registry docker.io does not answer (no such host)."),
        (DIAL, errors.Unavailable, "The registry docker.io does not answer (connection refused)."),
        ("toomanyrequests: too many requests", errors.Unavailable, "The registry docker.io does not answer (too many"),
        ("server gave HTTP response to HTTPS client", errors.Invalid, "The registry docker.io speaks plain HTTP"),
        (
            "tls: failed to verify certificate: x509: unknown authority",
            errors.Invalid,
            "The registry docker.io has a cert",
        ),
        ("write /var/tmp/x: no space left on device", errors.OutOfCapacity, "The disk of the host is full"),
        ("something odd", errors.NotReady, "The image x:y could not be pulled: something odd."),
    ],
)
def test_failed_pulls(text, kind, told):
    problem = faults.pull_failure(text, "x:y")
    assert type(problem) is kind
    assert problem.message.startswith(told)
    assert problem.message.endswith(".")


def test_an_engine_that_is_away_is_told_in_words():
    problem = faults.translate(ConnectionRefusedError(111, "Connection refused"), "start the container")
    assert type(problem) is errors.Unavailable
    assert problem.message == "The container engine does not answer (Connection refused). Start it on that host."


def test_the_sum_of_a_pull_by_states_of_layers():
    count = pulls.Count()
    count.add({"status": "Pulling from library/x", "id": "latest"})
    count.add({"status": "Pulling fs layer", "id": "a"})
    count.add({"status": "Already exists", "id": "b"})
    told = count.add({"status": "Downloading", "id": "a", "progressDetail": {"current": 5, "total": 10}})
    assert (told.layers_done, told.layers, told.done_bytes, told.total_bytes) == (1, 2, 5, 10)
    told = count.add({"status": "Pull complete", "id": "a"})
    assert (told.layers_done, told.done_bytes) == (2, 10)
    assert count.add({"status": "Digest: sha256:x"}).layers == 2


def test_the_sum_of_a_pull_by_sentences():
    count = pulls.Count()
    assert count.add({"stream": "Copying blob sha256:a\n"}).layers == 1
    assert count.add({"stream": "Writing manifest to image destination\n"}).layers_done == 1


class Frames:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def exactly(self, size: int) -> bytes:
        part, self._content = self._content[:size], self._content[size:]
        return part


def test_frames_are_taken_off_and_a_cut_one_ends_the_stream():
    whole = b"\x01\0\0\0\0\0\0\x03abc" + b"\x02\0\0\0\0\0\0\x02de"
    assert b"".join(streams.unframed(Frames(whole))) == b"abcde"
    assert b"".join(streams.unframed(Frames(whole[:-1]))) == b"abcd"
    assert b"".join(streams.unframed(Frames(whole[:15]))) == b"abc"


def test_lines_across_chunks():
    assert list(streams.lines(iter([b"a", b"b\nc", b"\n", b"d"]))) == [b"ab\n", b"c\n", b"d"]


def test_a_login_is_a_header_and_never_shown():
    login = model.RegistryLogin(domain="r", username="u", password="p/w?")
    words = json.loads(base64.urlsafe_b64decode(translate.login_header(login)["X-Registry-Auth"]))
    assert words == {"username": "u", "password": "p/w?", "serveraddress": "r"}
    assert "p/w?" not in repr(login)
    assert translate.login_header(None) == {}


V2 = {
    "proc/7/cgroup": "0::/machine.slice/libpod-abc.scope/container/init",
    "proc/7/net/dev": "h\nh\n lo: 9 0 0 0 0 0 0 0 9 0\neth0: 100 1 0 0 0 0 0 0 200 2 0\n",
    "cg/machine.slice/libpod-abc.scope/memory.current": "5000",
    "cg/machine.slice/libpod-abc.scope/memory.max": str(64 << 20),
    "cg/machine.slice/libpod-abc.scope/memory.stat": "anon 1\ninactive_file 1000",
    "cg/machine.slice/libpod-abc.scope/cpu.max": "50000 100000",
    "cg/machine.slice/libpod-abc.scope/cpu.stat": "usage_usec 2500000\nuser_usec 1",
    "cg/machine.slice/libpod-abc.scope/io.stat": "8:0 rbytes=10 wbytes=20 rios=1",
    "cg/machine.slice/libpod-abc.scope/pids.current": "3",
}
V1 = {
    "proc/7/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:pids:/docker/abc\n2:blkio:/docker/abc\n0::/",
    "proc/7/net/dev": V2["proc/7/net/dev"],
    "cg/memory/docker/abc/memory.usage_in_bytes": "5000",
    "cg/memory/docker/abc/memory.limit_in_bytes": str(64 << 20),
    "cg/memory/docker/abc/memory.stat": "total_inactive_file 1000",
    "cg/cpu/docker/abc/cpu.cfs_quota_us": "50000",
    "cg/cpu/docker/abc/cpu.cfs_period_us": "100000",
    "cg/cpuacct/docker/abc/cpuacct.usage": "2500000000",
    "cg/blkio/docker/abc/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\nTotal 30",
    "cg/pids/docker/abc/pids.current": "3",
    "cg/unified/x": "",
}


@pytest.mark.parametrize("tree", [V1, V2])
def test_control_groups_of_both_versions_say_the_same(tree, tmp_path, monkeypatch):
    for name, content in tree.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content + "\n")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "cg")
    monkeypatch.setattr(cgroups, "PROC", tmp_path / "proc")
    groups = cgroups.Groups(7, "abc")
    assert groups.seen()
    assert groups.limits() == (0.5, 64 << 20)
    assert groups.sample() == api.Stats(
        cpu_s=2.5,
        memory_bytes=4000,
        memory_limit_bytes=64 << 20,
        block_read_bytes=10,
        block_write_bytes=20,
        net_rx_bytes=100,
        net_tx_bytes=200,
        pids=3,
    )


def test_control_groups_that_are_not_to_be_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "PROC", tmp_path)
    assert not cgroups.Groups(7, "abc").seen()
    assert cgroups.Groups(7, "abc").limits() == (None, None)


def test_a_group_that_a_container_shares_with_the_engine_is_not_taken_for_its_own(tmp_path, monkeypatch):
    for name, content in {"7/cgroup": "5:memory:/user\n0::/\n", "memory/user/memory.usage_in_bytes": "5000\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "PROC", tmp_path)
    assert not cgroups.Groups(7, "abc").seen()


def test_logs_have_a_size_in_both_engines():
    body = translate.creation_body(creation(), "image", "")
    of_podman = podman_translate.creation_body(body, keeps_clock=True)["HostConfig"]["LogConfig"]
    assert of_podman == {"Config": {"max-size": "64m"}}, "of whichever driver is configured"
    of_docker = docker_translate.with_log_limit(body)["HostConfig"]["LogConfig"]
    assert of_docker == {"Type": "json-file", "Config": {"max-size": "32m", "max-file": "2"}}
    assert docker_translate.info({"LoggingDriver": "json-file"}).keeps_log_files
    assert not docker_translate.info({"LoggingDriver": "journald"}).keeps_log_files


def test_the_last_lines_are_held_up_to_a_size():
    chunks = [b"one\ntw", b"o\nthree\n", b"four"]
    assert list(streams.last_lines(iter(chunks), 2, 100)) == [b"three\n", b"four"]
    assert list(streams.last_lines(iter(chunks), 9, 5)) == [b"three\n", b"four"]
    endless = [b"x" * streams.LONGEST_LINE_BYTES] * 5
    assert sum(map(len, streams.last_lines(iter(endless), 9, 1))) <= 2 * streams.LONGEST_LINE_BYTES
