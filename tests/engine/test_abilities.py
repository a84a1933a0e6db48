"""What engines may do beyond the plain verbs; the same for every engine that says it can."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import io
import tarfile
import threading

import pytest

from higgins.core import errors
from higgins.core.phase import EngineState
from higgins.engine import api
from tests import machine
from tests.engine.conftest import FOREVER, PATIENCE_S, wait_until
from tests.tars import tar_of

ability = pytest.mark.ability


def opened(chunks) -> tarfile.TarFile:
    return tarfile.TarFile(fileobj=io.BytesIO(b"".join(chunks)))


@ability("pause")
def test_a_paused_container_waits(bench):
    uid = bench.started(FOREVER)
    for _ in range(2):
        bench.engine.pause(uid)
        assert bench.engine.inspect(uid).state is EngineState.PAUSED
    with pytest.raises(errors.Conflict):
        bench.engine.exec(uid, ("true",), timeout_s=5)
    for _ in range(2):
        bench.engine.unpause(uid)
        assert bench.engine.inspect(uid).state is EngineState.RUNNING


@ability("pause")
def test_a_paused_container_is_stopped_and_removed(bench):
    uid = bench.started(FOREVER)
    bench.engine.pause(uid)
    bench.engine.stop(uid, timeout_s=0)
    assert bench.engine.inspect(uid).state is EngineState.STOPPED
    other = bench.started(FOREVER)
    bench.engine.pause(other)
    bench.engine.remove(other)


@ability("exec")
def test_exec_gives_output_and_exit_code(bench):
    uid = bench.started(FOREVER, environment={"A": "b"})
    result = bench.engine.exec(uid, ("sh", "-c", "echo $A; echo problem >&2; exit 3"), timeout_s=PATIENCE_S)
    assert sorted(result.output.splitlines()) == [b"b", b"problem"]
    assert result.exit_code == 3


@ability("exec")
def test_exec_of_what_is_not_there_is_invalid(bench):
    uid = bench.started(FOREVER)
    with pytest.raises(errors.Invalid):
        bench.engine.exec(uid, ("no-such-program",), timeout_s=PATIENCE_S)


@ability("exec timeout leaves nothing")
def test_exec_is_killed_with_its_children_at_the_end_of_its_time(bench):
    uid = bench.started(FOREVER)
    with pytest.raises(errors.Timeout):
        bench.engine.exec(uid, ("sh", "-c", "sleep 4321; true"), timeout_s=0.5)
    wait_until(
        lambda: not any("4321" in word for row in bench.engine.top(uid).rows for word in row), "the command is gone"
    )
    assert bench.engine.inspect(uid).state is EngineState.RUNNING


@ability("exec, many at once")
def test_many_commands_at_once(bench):
    uid = bench.started(FOREVER)
    results: list[bytes] = []

    def one(number):
        results.append(bench.inside(uid, "echo", str(number)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [f"{number}\n".encode() for number in range(8)]


@ability("logs")
def test_logs_are_told_apart_and_cut(bench):
    uid = bench.started(("sh", "-c", "echo one; echo two; echo problem >&2"))
    bench.ended(uid)
    read = bench.engine.logs
    assert sorted(b"".join(read(uid)).splitlines()) == [b"one", b"problem", b"two"]
    assert b"".join(read(uid, stderr=False)) == b"one\ntwo\n"
    assert b"".join(read(uid, stdout=False)) == b"problem\n"
    assert b"".join(read(uid, stderr=False, tail=1)) == b"two\n"
    stamp, _, line = b"".join(read(uid, stdout=False, timestamps=True)).decode().partition(" ")
    assert line == "problem\n"
    assert datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).tzinfo is not None


@ability("logs")
def test_logs_since_a_time(bench):
    uid = bench.started(("sh", "-c", "echo early"))
    bench.ended(uid)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    earlier = later - datetime.timedelta(hours=2)
    assert b"".join(bench.engine.logs(uid, since=later)) == b""
    assert b"".join(bench.engine.logs(uid, since=earlier)) == b"early\n"


@ability("logs")
def test_logs_of_a_terminal_have_no_framing(bench):
    uid = bench.started(("sh", "-c", "echo typed"), tty=True, interactive=True)
    bench.ended(uid)
    assert b"".join(bench.engine.logs(uid)).split() == [b"typed"]


@ability("logs, followed")
def test_followed_logs_end_with_the_container(bench):
    uid = bench.started(("sh", "-c", "echo start; sleep 0.5; echo end"))
    if bench.name == "fake":
        pytest.skip("the fake engine writes everything at the start")
    assert b"".join(bench.engine.logs(uid, follow=True)) == b"start\nend\n"


@ability("logs, followed")
def test_followed_logs_can_be_left(bench):
    uid = bench.started(("sh", "-c", "echo first; sleep 1000"))
    chunks = bench.engine.logs(uid, follow=True)
    assert next(chunks) == b"first\n"
    chunks.close()
    assert bench.engine.inspect(uid).state is EngineState.RUNNING


@ability("stats")
def test_stats_count_what_is_used(bench):
    busy = ("sh", "-c", "while true; do :; done")
    uid = bench.started(busy, memory_mib=64, network="bridge")
    first = bench.engine.stats(uid)
    assert first.memory_bytes > 0
    assert first.pids >= 1
    wait_until(lambda: bench.engine.stats(uid).cpu_s > first.cpu_s, "it has used processor time")


@ability("top")
def test_top_shows_the_process(bench):
    table = shown_by_top(bench, bench.started(FOREVER))
    assert "PID" in table.titles
    assert all(len(row) == len(table.titles) for row in table.rows)


@ability("top")
def test_top_with_arguments(bench):
    table = shown_by_top(bench, bench.started(FOREVER), "-o pid,args")
    assert all(len(row) == len(table.titles) for row in table.rows)


def shown_by_top(bench, uid, ps_args=None):
    """The table that shows the command: Podman calls a container started while its runtime still becomes that command."""
    return wait_until(
        lambda: next((table for table in [bench.engine.top(uid, ps_args)] if "sleep 1000" in str(table.rows)), None),
        "the runtime has become the command",
    )


@ability("copy")
def test_files_go_in_and_out(bench):
    uid = bench.started(FOREVER)
    content = b"x" * 300_000
    bench.engine.put_archive(uid, "/tmp", io.BytesIO(tar_of(**{"a.txt": b"hello\n", "big": content})))
    assert bench.inside(uid, "cat", "/tmp/a.txt") == b"hello\n"
    with bench.engine.get_archive(uid, "/tmp/big") as (stat, chunks):
        archive = opened(chunks)
        assert archive.extractfile("big").read() == content
    assert (stat.name, stat.size, stat.link_target) == ("big", len(content), "")
    with bench.engine.get_archive(uid, "/tmp") as (stat, _):
        assert stat.mode >> 31 == 1


@ability("copy")
def test_files_of_a_stopped_container(bench):
    uid = bench.started(("sh", "-c", "echo kept > /root/result"))
    bench.ended(uid)
    with bench.engine.get_archive(uid, "/root/result") as (_, chunks):
        archive = opened(chunks)
    assert archive.extractfile("result").read() == b"kept\n"


@ability("copy")
def test_copying_what_is_not_there(bench):
    uid = bench.started(FOREVER)
    with pytest.raises(errors.NotFound), bench.engine.get_archive(uid, "/no/such/file"):
        pass
    with pytest.raises(errors.NotFound):
        bench.engine.put_archive(uid, "/no/such/dir", io.BytesIO(tar_of(a=b"a")))
    with pytest.raises(errors.NotFound):  # one that is answered before it is read
        bench.engine.put_archive(uid, "/no/such/dir", io.BytesIO(tar_of(a=bytes(8 << 20))))


@ability("commit")
def test_a_container_becomes_an_image(bench):
    uid = bench.started(("sh", "-c", "echo kept > /root/result"))
    bench.ended(uid)
    facts = bench.engine.commit(uid, "mine", "v1")
    assert facts.names == ("docker.io/library/mine:v1",)
    assert bench.engine.image("mine:v1").image_id == facts.image_id
    assert "docker.io/library/mine:v1" in {name for image in bench.engine.images() for name in image.names}
    bench.engine.remove_image("mine:v1")
    with pytest.raises(errors.ImageNotFound):
        bench.engine.image("mine:v1")


@ability("images")
def test_removing_images(bench):
    bench.made()
    bench.engine.remove_image("no/such:image")
    with pytest.raises(errors.Conflict):
        bench.engine.remove_image("busybox")


@ability("images")
def test_a_container_is_created_from_an_id_that_the_host_found(bench):
    facts = bench.engine.image("busybox")
    creation = dataclasses.replace(bench.creation(image="no/such:name"), image_id=facts.image_id)
    bench.engine.create(creation)
    assert bench.engine.inspect(creation.spec.uuid).image_digest == facts.digest


@ability("images")
@pytest.mark.parametrize(
    "form", ["{hex}", "sha256:{hex}", "{hex:.12}", "busybox@sha256:{hex}", "r.example/x@sha256:{hex}"]
)
def test_no_name_is_an_id(bench, form):
    facts = bench.engine.image("busybox")
    for known in {facts.image_id, facts.digest} if "busybox" not in form else {facts.image_id}:
        name = form.format(hex=known.removeprefix("sha256:"))
        with pytest.raises(errors.Invalid):  # of which ImageNotFound is one
            bench.engine.image(name)
        with pytest.raises(errors.Invalid):
            bench.made(image=name)
        with contextlib.suppress(errors.Invalid):
            bench.engine.remove_image(name)
    assert bench.engine.image("busybox") == facts


@ability("resize")
def test_limits_change_in_place(bench):
    uid = bench.started(FOREVER, memory_mib=64, cpus=0.5)
    bench.engine.resize(uid, cpus=1.5, memory_mib=None)
    facts = bench.engine.inspect(uid)
    assert (facts.cpus, facts.memory_mib) == (1.5, 64)
    bench.engine.resize(uid, cpus=None, memory_mib=128)
    facts = bench.engine.inspect(uid)
    assert (facts.cpus, facts.memory_mib, facts.state) == (1.5, 128, EngineState.RUNNING)
    assert bench.engine.stats(uid).memory_limit_bytes == 128 * 1024 * 1024


@ability("resize")
def test_limits_changed_before_a_start_hold_from_it_on(bench):
    uid = bench.started(FOREVER, memory_mib=64, cpus=0.5)
    bench.engine.stop(uid, timeout_s=0)
    if (
        bench.name == "podman"
    ):  # it puts away what ended a little later, and with it a process prepared by then: a fault of Podman 4
        ended = bench.engine.inspect(uid).engine_id
        wait_until(lambda: not machine.at_work_on(ended), "podman has put away what was stopped")
    for _ in range(2):  # a caller that died in between asks again
        bench.engine.resize(uid, cpus=1.5, memory_mib=128)
    bench.engine.start(uid)
    facts = bench.engine.inspect(uid)
    assert (facts.cpus, facts.memory_mib, facts.state) == (1.5, 128, EngineState.RUNNING)
    bench.engine.stop(uid, timeout_s=0)
    bench.engine.start(uid)
    facts = bench.engine.inspect(uid)
    assert (facts.memory_mib == 128) is facts.keeps_limits


@ability("terminal")
def test_a_terminal_gets_its_size(bench):
    uid = bench.started(FOREVER, tty=True, interactive=True)
    bench.engine.resize_terminal(uid, height=40, width=132)
    if bench.name != "fake":
        asked = ("stty", "-a", "-F", "/proc/1/fd/0")
        wait_until(
            lambda: b"rows 40; columns 132" in bench.engine.exec(uid, asked, timeout_s=PATIENCE_S).output,
            "the size arrives",
        )


@ability("binds and volumes")
def test_files_and_volumes_are_mounted(bench, tmp_path):
    (tmp_path / "greeting").write_text("hello\n")
    bench.engine.create_volume("test-volume", {"a": "b"})
    bench.engine.create_volume("test-volume", {"a": "b"})
    assert list(bench.engine.volumes()) == ["test-volume"]
    binds = (
        api.Bind(source=str(tmp_path / "greeting"), destination="/etc/greeting", read_only=True),
        api.Bind(source="test-volume", destination="/data"),
    )
    uid = bench.started(
        ("sh", "-c", "cat /etc/greeting; echo more > /etc/greeting; echo kept > /data/file"), binds=binds
    )
    bench.ended(uid)
    if bench.name != "fake":
        assert b"".join(bench.engine.logs(uid, stderr=False)) == b"hello\n"
        assert (tmp_path / "greeting").read_text() == "hello\n"
    with pytest.raises(errors.Conflict):
        bench.engine.remove_volume("test-volume")
    bench.engine.remove(uid)
    if bench.name != "fake":
        again = bench.started(("cat", "/data/file"), binds=binds[1:])
        bench.ended(again)
        assert b"".join(bench.engine.logs(again)) == b"kept\n"
        bench.engine.remove(again)
    for _ in range(2):
        bench.engine.remove_volume("test-volume")
    assert list(bench.engine.volumes()) == []


@ability("logs")
@pytest.mark.timeout(400)
def test_a_log_without_end_does_not_fill_the_disk_and_its_end_can_be_read(bench):
    """Engines keep a fixed amount; what is newest is never what goes."""
    if bench.name == "fake":
        pytest.skip("the fake engine has no disk that could be filled")
    megabytes = 80
    uid = bench.started(("sh", "-c", f"yes $(printf %0255d 0) | head -c {megabytes << 20}; echo; echo last; sleep 600"))
    wait_until(lambda: b"".join(bench.engine.logs(uid, tail=1)) == b"last\n", "all of it is written", 240)
    kept = sum(len(chunk) for chunk in bench.engine.logs(uid))
    assert 1 << 20 < kept < 70 << 20


@ability("halves")
def test_a_container_is_no_half(bench):
    if not isinstance(bench.engine, api.LeavesHalves):
        pytest.skip("it leaves none that could be taken away")
    creation = bench.creation()
    bench.engine.create(creation)
    store_id = bench.engine.inspect(creation.spec.uuid).engine_id
    assert creation.spec.uuid not in bench.engine.halves()
    bench.engine.remove_half(store_id)
    assert bench.engine.inspect(creation.spec.uuid).state is EngineState.CREATED
    bench.engine.remove(creation.spec.uuid)
    bench.engine.remove_half(store_id)
