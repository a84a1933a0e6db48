"""What every engine must do alike: the plain verbs, their errors, and that they may be repeated."""

from __future__ import annotations

import datetime
import os
import pathlib
import subprocess
import threading
import uuid

import pytest

from higgins.core import errors, model
from higgins.core.phase import EngineState, Health
from higgins.engine import api
from tests.engine.conftest import FOREVER, PATIENCE_S, wait_until

ability = pytest.mark.ability


@ability("info")
def test_info_names_the_engine_and_its_runtimes(bench):
    info = bench.engine.info()
    assert info.name == bench.name == bench.engine.name
    assert info.version
    assert info.runtimes


@ability("abilities")
def test_every_optional_ability_is_there_or_explained(bench):
    missing = set(api.ABILITIES) - set(api.abilities(bench.engine))
    assert missing == ({"probe"} if bench.name == "docker" else set())
    assert bench.engine.info().keeps_health_clock or "probe" not in missing


@ability("create and start")
def test_a_container_goes_through_its_life(bench):
    uid = bench.made(("sh", "-c", "echo hello; exit 3"), build=4)
    facts = bench.engine.inspect(uid)
    assert (facts.uuid, facts.pod, facts.state, facts.build) == (uid, f"pod-{uid}", EngineState.CREATED, 4)
    assert facts.exit_code is facts.started_at is facts.finished_at is None
    assert facts.engine_id
    assert facts.image_digest == bench.engine.image("busybox").digest
    bench.engine.start(uid)
    facts = bench.ended(uid)
    assert facts.exit_code == 3
    # In any order: docker notes a start when its call returns, which a short process beats.
    assert facts.started_at is not None
    assert facts.finished_at is not None
    assert facts.started_at.tzinfo is datetime.UTC
    bench.engine.remove(uid)
    with pytest.raises(errors.NotFound):
        bench.engine.inspect(uid)


@ability("idempotence")
def test_verbs_may_be_repeated(bench):
    creation = bench.creation()
    bench.engine.create(creation)
    with pytest.raises(errors.NameTaken):
        bench.engine.create(creation)
    uid = creation.spec.uuid
    bench.engine.start(uid)
    since = bench.engine.inspect(uid).started_at
    bench.engine.start(uid)
    assert bench.engine.inspect(uid).started_at == since
    for _ in range(2):
        bench.engine.stop(uid, timeout_s=0)
    for _ in range(2):
        bench.engine.remove(uid)


@ability("errors")
@pytest.mark.parametrize(
    "verb", ["inspect", "start", "stop", "signal", "pause", "unpause", "exec", "logs", "stats", "top"]
)
def test_a_container_that_is_not_there_is_not_found(bench, verb):
    words = {"stop": {"timeout_s": 1}, "exec": {"command": ("true",), "timeout_s": 5}, "signal": {"signal": "TERM"}}
    with pytest.raises(errors.NotFound):
        getattr(bench.engine, verb)("00000000-0000-0000-0000-000000000000", **words.get(verb, {}))


@ability("errors")
@pytest.mark.parametrize("verb", ["signal", "pause", "exec", "stats", "top"])
def test_what_needs_a_running_container_is_refused_by_a_stopped_one(bench, verb):
    uid = bench.started(("true",))
    bench.ended(uid)
    words = {"exec": {"command": ("true",), "timeout_s": 5}, "signal": {"signal": "TERM"}}
    with pytest.raises(errors.Conflict):
        getattr(bench.engine, verb)(uid, **words.get(verb, {}))


@ability("errors")
def test_an_image_that_is_not_here_is_refused(bench):
    for image in ("no/such", "busybox@sha256:" + "0" * 64):
        with pytest.raises(errors.ImageNotFound):
            bench.engine.create(bench.creation(image=image))
        with pytest.raises(errors.ImageNotFound):
            bench.engine.image(image)


@ability("errors")
def test_a_name_that_no_image_can_have_is_invalid(bench):
    with pytest.raises(errors.Invalid):
        bench.engine.image("Not An Image")


@ability("runtime")
def test_an_unknown_runtime_is_unsupported_and_a_known_one_runs(bench):
    with pytest.raises(errors.Unsupported):
        bench.engine.create(bench.creation(runtime="no-such-runtime"))
    runtime = next(name for name in bench.engine.info().runtimes if name in ("crun", "runc"))
    assert bench.ended(bench.started(("true",), runtime=runtime)).exit_code == 0


@ability("disk quota")
def test_a_disk_limit_works_or_is_unsupported(bench):
    if bench.engine.info().disk_quota:
        assert bench.made(disk_gib=1)
    else:
        with pytest.raises(errors.Unsupported):
            bench.engine.create(bench.creation(disk_gib=1))
        bench.cannot()


@ability("command, entrypoint, env")
def test_the_process_gets_what_the_user_described(bench):
    uid = bench.started(
        ("-c", "echo $GREETING; pwd; hostname"),
        entrypoint=("sh",),
        environment={"GREETING": "good=morning"},
        workdir="/tmp",
        hostname="box-1",
    )
    bench.ended(uid)
    assert b"".join(bench.engine.logs(uid)) == b"good=morning\n/tmp\nbox-1\n"


@ability("command, entrypoint, env")
def test_a_program_that_is_not_there_fails_for_good(bench):
    if bench.name == "fake":
        pytest.skip("the fake engine plays every command")
    uid = bench.made(("no-such-program",))
    with pytest.raises(errors.Invalid):
        bench.engine.start(uid)
    bench.engine.remove(uid)


@ability("labels")
def test_only_containers_of_this_installation_are_listed_and_users_cannot_forge_labels(bench):
    uid = bench.made(labels={"higgins.uuid": "forged", "higgins.installation": "forged", "team": "blue"})
    assert [facts.uuid for facts in bench.engine.list()] == [uid]
    if bench.daemon is not None:
        bench.engine.create_volume("own-volume", {})
        for installation in ("another-installation", ""):
            other = type(bench.engine)(str(bench.daemon.socket), installation)
            assert ([*other.list()], [*other.volumes()]) == ([], [])
            other.close()
        bench.engine.remove_volume("own-volume")


@ability("limits")
def test_limits_are_told_and_in_force(bench):
    uid = bench.started(FOREVER, memory_mib=64, cpus=0.5, cpu_shares=512, pids_limit=64)
    facts = bench.engine.inspect(uid)
    assert (facts.memory_mib, facts.cpus, facts.cpu_shares) == (64, 0.5, 512)
    assert bench.engine.stats(uid).memory_limit_bytes == 64 * 1024 * 1024


ALLOWED = "while read -r name rest; do [ $name = Cpus_allowed_list: ] && echo runs on $rest; done </proc/self/status"


@ability("limits")
@pytest.mark.parametrize("policy", ["shared", "dedicated"])
def test_a_container_runs_on_the_processors_that_were_chosen(bench, policy):
    last = max(os.sched_getaffinity(0))
    quick = {"FAKE_RUN_FOR_S": "0.1"}
    uid = bench.made(("sh", "-c", ALLOWED), processors=str(last), cpus=1, cpu_policy=policy, environment=quick)
    own = str(last) if policy == "dedicated" else ""
    assert bench.engine.inspect(uid).processors == own
    assert [facts.processors for facts in bench.engine.list()] == [own]
    bench.engine.start(uid)
    bench.ended(uid)
    if bench.name != "fake":
        wait_until(lambda: f"runs on {last}\n".encode() in b"".join(bench.engine.logs(uid)), "it says where it runs")
    assert bench.engine.inspect(uid).processors == own


@ability("limits")
def test_a_container_that_takes_too_much_memory_is_killed(bench):
    hungry = ("sh", "-c", "x=aaaaaaaa; while true; do x=$x$x; done")
    facts = bench.ended(bench.started(hungry, memory_mib=16, environment={"FAKE_RUN_FOR_S": "0.1", "FAKE_OOM": "1"}))
    assert facts.exit_code == 137


@ability("limits")
def test_no_more_processes_than_allowed(bench):
    if bench.name == "fake":
        pytest.skip("the fake engine has no processes")
    uid = bench.started(("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 30 & done; wait"), pids_limit=4)
    wait_until(lambda: b"fork" in b"".join(bench.engine.logs(uid)), "a fork is refused")


@ability("stop and signals")
def test_stop_lets_a_polite_process_end(bench):
    uid = bench.polite()
    bench.engine.stop(uid, timeout_s=PATIENCE_S)
    assert bench.engine.inspect(uid).exit_code == 0


@ability("stop and signals")
def test_stop_kills_a_stubborn_process_at_the_end_of_its_time(bench):
    uid = bench.started(("sh", "-c", "while true; do sleep 0.1; done"), environment={"FAKE_IGNORE_TERM": "1"})
    bench.engine.stop(uid, timeout_s=1)
    assert bench.engine.inspect(uid).exit_code == 137


@ability("stop and signals")
def test_stop_with_another_signal(bench):
    uid = bench.polite()
    bench.engine.stop(uid, timeout_s=PATIENCE_S, signal="USR1")
    assert bench.engine.inspect(uid).exit_code == 7


@ability("stop and signals")
def test_stop_by_kill_is_prompt(bench):
    uid = bench.started(FOREVER)
    bench.engine.stop(uid, timeout_s=0, signal="KILL")
    assert bench.engine.inspect(uid).exit_code == 137


@ability("stop and signals")
def test_a_signal_reaches_the_first_process(bench):
    uid = bench.polite()
    bench.engine.signal(uid, "SIGUSR1")
    assert bench.ended(uid).exit_code == 7


@ability("stop and signals")
def test_an_unknown_signal_is_invalid(bench):
    uid = bench.started(FOREVER)
    with pytest.raises(errors.Invalid):
        bench.engine.signal(uid, "NOSUCH")


@ability("restart policy")
def test_a_failed_container_is_started_again_as_often_as_asked(bench):
    policy = model.RestartPolicy(name="on-failure", maximum_retry_count=2)
    uid = bench.started(("sh", "-c", "echo again; exit 1"), restart_policy=policy)
    wait_until(lambda: b"".join(bench.engine.logs(uid)).count(b"again") == 3, "it ran three times")
    bench.ended(uid)


@ability("restart policy")
@pytest.mark.parametrize("signal", [None, "KILL"])
def test_a_stopped_container_stays_stopped_whatever_its_policy(bench, signal):
    uid = bench.started(FOREVER, restart_policy=model.RestartPolicy(name="always"))
    bench.engine.stop(uid, timeout_s=0, signal=signal)
    marker = bench.started(("sh", "-c", "sleep 0.5; exit 0"))
    bench.ended(marker)
    assert bench.engine.inspect(uid).state is EngineState.STOPPED


@ability("remove")
def test_a_running_container_is_removed(bench):
    uid = bench.started(FOREVER)
    bench.engine.remove(uid)
    with pytest.raises(errors.NotFound):
        bench.engine.inspect(uid)


@ability("bridge network")
def test_the_address_on_the_bridge_is_told(bench):
    uid = bench.started(FOREVER, network="bridge", exposed_ports=("8080", "53/udp"))
    facts = bench.engine.inspect(uid)
    assert [(address.network, address.version) for address in facts.addresses] == [("bridge", 4)]
    assert facts.exposed_ports == (53, 8080)
    if bench.name != "fake":
        shown = bench.inside(uid, "ip", "addr", "show", "eth0").decode()
        assert f"inet {facts.addresses[0].addr}/" in shown


@ability("shared network (pod)")
def test_a_member_of_a_pod_shares_the_network(bench):
    first = bench.started(FOREVER, network="bridge")
    second = bench.started(FOREVER, network=f"container:{first}", hostname="not-possible-here")
    assert bench.engine.inspect(second).state is EngineState.RUNNING
    if bench.name != "fake":
        ours = [bench.inside(uid, "readlink", "/proc/self/ns/net") for uid in (first, second)]
        assert ours[0] == ours[1] != b""


@ability("network namespace by path")
def test_a_namespace_that_is_not_there_is_refused(bench):
    if bench.name == "fake":
        pytest.skip("the fake engine joins whatever it is told")
    with pytest.raises(errors.Unsupported if bench.name == "docker" else errors.Invalid):
        bench.engine.create(bench.creation(network="ns:/run/netns/no-such-namespace"))
    if bench.name == "docker":
        bench.cannot()


@ability("network namespace by path")
def test_a_namespace_made_beforehand_is_joined(bench):
    if bench.name != "podman":
        pytest.skip("only Podman joins a namespace by its path")
    name = f"higgins-test-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        uid = bench.started(FOREVER, network=f"ns:/run/netns/{name}", hostname="in-it", dns_servers=("192.0.2.53",))
        shown = bench.inside(uid, "readlink", "/proc/self/ns/net").decode()
        assert shown.strip() == f"net:[{pathlib.Path('/run/netns', name).stat().st_ino}]"
        assert b"192.0.2.53" in bench.inside(uid, "cat", "/etc/resolv.conf")
        bench.engine.remove(uid)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@ability("health check")
def test_a_health_check_finds_a_healthy_container(bench):
    uid = bench.started(FOREVER, healthcheck=model.Healthcheck(command="exit 0", interval_s=1))

    def healthy():
        if not bench.engine.info().keeps_health_clock:
            assert bench.engine.probe(uid) is Health.HEALTHY
        return bench.engine.inspect(uid).health is Health.HEALTHY

    wait_until(healthy, "it is healthy")


@ability("health check")
def test_a_health_check_finds_a_sick_container(bench):
    check = model.Healthcheck(command="exit 1", interval_s=1, retries=2)
    uid = bench.started(FOREVER, healthcheck=check, environment={"FAKE_HEALTH": "unhealthy"})

    def unhealthy():
        if not bench.engine.info().keeps_health_clock:
            bench.engine.probe(uid)
        return bench.engine.inspect(uid).health is Health.UNHEALTHY

    wait_until(unhealthy, "it is unhealthy")


@ability("privileged")
def test_privileged_is_passed_on(bench):
    if bench.name == "fake":
        pytest.skip("the fake engine has no privileges to give")
    try:
        uid = bench.started(FOREVER, privileged=True)
    except errors.Invalid as problem:
        if "apply caps" in problem.message:
            pytest.skip("root of this machine lacks a capability that Docker wants to give")
        raise
    plain = bench.started(FOREVER)
    caps = [bench.inside(each, "grep", "CapEff", "/proc/1/status") for each in (uid, plain)]
    assert caps[0] != caps[1]


@ability("events")
def test_the_end_of_a_container_is_noticed_and_anew_after_a_close(bench):
    for _ in range(2):
        notices_an_end(bench)


def notices_an_end(bench):
    connected, seen, problems = threading.Event(), [], []

    def follow():
        try:
            seen.extend(iter_until_end(bench.engine, connected, seen))
        except errors.Unavailable as problem:
            problems.append(problem)

    thread = threading.Thread(target=follow)
    thread.start()
    assert connected.wait(PATIENCE_S)
    uid = bench.started(("sh", "-c", "sleep 0.3; exit 0"))
    bench.ended(uid)
    before = len(seen)
    wait_until(
        lambda: any(event.container == uid and event.what in ("die", "died", "stopped") for event in seen),
        f"an event after {before}",
    )
    assert {event.pod for event in seen if event.container == uid} == {f"pod-{uid}"}
    bench.engine.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert len(problems) == 1


def iter_until_end(engine, connected, seen):
    for event in engine.events(connected.set):
        seen.append(event)
    return ()
