"""Wishes on containers over the real store: states, sizes, deletes, lists, and whose they are."""

from __future__ import annotations

import dataclasses

import pytest

from higgins.control.requests import ContainerChange, MountRequest
from higgins.core import errors
from higgins.core.phase import Desired, Phase, Wish
from higgins.core.status import Status, TaskState, derive
from higgins.store import hosts, pods, quotas
from higgins.store.page import Page
from tests.contract.control.control_plane import FACTS, HOSTNAME, ControlPlane, at_once, caller

WISHES = {
    "start": (Phase.STOPPED, Desired.RUNNING, 1, 0),
    "stop": (Phase.RUNNING, Desired.STOPPED, 0, 0),
    "reboot": (Phase.RUNNING, Desired.RUNNING, 1, 0),
    "pause": (Phase.RUNNING, Desired.PAUSED, 0, 0),
    "unpause": (Phase.PAUSED, Desired.RUNNING, 0, 0),
    "kill": (Phase.RUNNING, Desired.STOPPED, 0, 0),
    "rebuild": (Phase.RUNNING, Desired.RUNNING, 1, 1),
}


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_is_written_with_its_action_and_the_hosts_version(plane: ControlPlane, wish: str) -> None:
    phase, desired, runs, builds = WISHES[wish]
    pod = plane.made(phase=phase)
    with plane.db.read() as tx:
        version = hosts.get(tx, HOSTNAME).version
    plane.hints.clear()
    who = caller()
    given = getattr(plane.control.containers, wish)(who, pod.name)
    row = plane.row(pod.uuid)
    assert given == row._replace(host_version=given.host_version)
    assert (row.desired, row.wish, row.generation) == (desired, Wish(wish), pod.generation + 1)
    assert (row.run - pod.run, row.build - pod.build) == (runs, builds)
    assert row.request_id == who.request_id
    with plane.db.read() as tx:
        assert row.host_version == hosts.get(tx, HOSTNAME).version > version
    assert plane.hints == [plane.host_id]
    action = plane.control.actions.list(who, pod.uuid)[0]
    assert (action.action, action.request_id, action.finished_at) == (wish, who.request_id, None)
    plane.report(pod, phase)
    action, _ = plane.control.actions.get(who, pod.uuid, who.request_id)
    assert action.finished_at is not None
    assert action.message is None


def test_a_failed_wish_ends_its_action_with_the_reason(plane: ControlPlane) -> None:
    pod, who = plane.made(phase=Phase.STOPPED), caller()
    plane.control.containers.start(who, pod.uuid)
    plane.report(pod, Phase.FAILED, reason="no such program")
    action, _ = plane.control.actions.get(who, pod.uuid, who.request_id)
    assert (action.message, action.reason) == ("Error", "no such program")
    assert derive(plane.row(pod.uuid))[::2] == (Status.ERROR, "no such program")


@pytest.mark.parametrize(
    ("wish", "phase", "state"),
    [
        ("stop", Phase.STOPPED, "Stopped"),
        ("start", Phase.RUNNING, "Running"),
        ("unpause", Phase.RUNNING, "Running"),
        ("pause", Phase.PAUSED, "Paused"),
        ("kill", Phase.STOPPED, "Stopped"),
        ("rebuild", Phase.PAUSED, "Paused"),
    ],
)
def test_a_state_that_forbids_a_wish_is_named(plane: ControlPlane, wish: str, phase: Phase, state: str) -> None:
    pod = plane.made(phase=phase)
    with pytest.raises(errors.IllegalState) as caught:
        getattr(plane.control.containers, wish)(caller(), pod.uuid)
    assert caught.value.message == f"Cannot {wish} container {pod.uuid} in {state} state"
    assert plane.row(pod.uuid) == pod
    assert len(plane.control.actions.list(caller(), pod.uuid)) == 1


def test_stop_waits_as_long_as_asked_and_kill_not_at_all(plane: ControlPlane) -> None:
    pod = plane.made()
    assert plane.control.containers.stop(caller(), pod.uuid, timeout_s=3).stop_timeout_s == 3
    plane.report(pod, Phase.RUNNING)
    killed = plane.control.containers.kill(caller(), pod.uuid, signal="None")
    assert (killed.stop_timeout_s, killed.stop_signal) == (0, "SIGKILL")
    plane.report(pod, Phase.RUNNING)
    stopped = plane.control.containers.stop(caller(), pod.uuid)
    assert (stopped.stop_timeout_s, stopped.stop_signal) == (10, None)


def test_a_rebuild_takes_another_image_and_starts_only_what_ran(plane: ControlPlane) -> None:
    pod = plane.made(environment={"A": "b"})
    rebuilt = plane.control.containers.rebuild(caller(), pod.uuid, image="debian:12")
    assert (rebuilt.image, rebuilt.spec.containers[0].image, rebuilt.desired) == (
        "debian:12",
        "debian:12",
        Desired.RUNNING,
    )
    assert pods.open_spec(plane.row(pod.uuid), plane.sealer).containers[0].environment == {"A": "b"}
    assert derive(rebuilt)[:2] == (Status.REBUILDING, TaskState.REBUILDING)
    plane.report(pod, Phase.STOPPED)
    again = plane.control.containers.rebuild(caller(), pod.uuid)
    assert (again.desired, again.run, again.build, again.image) == (Desired.CREATED, rebuilt.run, 3, "debian:12")
    plane.report(pod, Phase.STOPPED)
    for image, driver in (("Not An Image", None), (None, "glance")):
        with pytest.raises(errors.Invalid):
            plane.control.containers.rebuild(caller(), pod.uuid, image=image, image_driver=driver)


@pytest.mark.parametrize("phase", [None, Phase.PREPARING, Phase.CREATED, Phase.STOPPED, Phase.FAILED, Phase.UNKNOWN])
def test_a_delete_is_possible_in_every_state_that_does_not_run(plane: ControlPlane, phase: Phase | None) -> None:
    pod = plane.create()
    plane.place()
    if phase is not None:
        plane.report(pod, phase, settled=phase is not Phase.PREPARING)
    plane.control.containers.delete(caller(), pod.uuid)
    assert derive(plane.row(pod.uuid))[:2] == (Status.DELETING, TaskState.DELETING)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED])
def test_what_runs_is_deleted_only_with_stop_or_force(plane: ControlPlane, phase: Phase) -> None:
    pod = plane.made(phase=phase)
    with pytest.raises(errors.IllegalState, match=f"Cannot delete container {pod.uuid} in"):
        plane.control.containers.delete(caller(), pod.uuid)
    with pytest.raises(errors.Forbidden, match="delete_force"):
        plane.control.containers.delete(caller(), pod.uuid, force=True)
    plane.control.containers.delete(caller(), pod.uuid, stop=True)
    assert plane.row(pod.uuid).stop_timeout_s == 10
    plane.control.containers.delete(caller("manager"), pod.uuid, force=True)
    row = plane.row(pod.uuid)
    assert (row.desired, row.stop_timeout_s, row.stop_signal) == (Desired.DELETED, 0, "SIGKILL")


def test_a_second_delete_changes_nothing_until_the_first_has_failed(plane: ControlPlane) -> None:
    pod = plane.made(phase=Phase.STOPPED)
    for _ in range(2):
        plane.control.containers.delete(caller(), pod.uuid)
    row = plane.row(pod.uuid)
    assert row.generation == pod.generation + 1
    plane.report(pod, Phase.FAILED, reason="busy")
    assert derive(plane.row(pod.uuid)).status is Status.ERROR
    plane.control.containers.delete(caller(), pod.uuid)
    assert plane.row(pod.uuid).generation == row.generation + 1


def test_nothing_else_is_wished_of_what_is_deleted(plane: ControlPlane) -> None:
    pod = plane.made(phase=Phase.STOPPED)
    plane.control.containers.delete(caller(), pod.uuid)
    with pytest.raises(errors.IllegalState, match="in Deleting state"):
        plane.control.containers.start(caller(), pod.uuid)


def test_a_deleted_container_is_gone_but_its_actions_are_not(plane: ControlPlane) -> None:
    pod = plane.made(phase=Phase.STOPPED)
    plane.control.containers.delete(caller(), pod.uuid)
    plane.report(pod, Phase.GONE)
    plane.sweep()
    with pytest.raises(errors.NotFound) as caught:
        plane.control.containers.get(caller(), pod.uuid)
    assert caught.value.code == "container-not-found"
    assert [action.action for action in plane.control.actions.list(caller(), pod.uuid)] == ["delete", "create"]
    with pytest.raises(errors.NotFound):
        plane.control.actions.list(caller(project="project-2"), pod.uuid)
    with pytest.raises(errors.NotFound) as caught:
        plane.control.actions.get(caller(), pod.uuid, "req-unknown")
    assert caught.value.code == "resource-not-found"


def test_two_wishes_at_once_both_count_or_are_refused_by_state(plane: ControlPlane) -> None:
    pod = plane.made()
    results = at_once(*[lambda: plane.control.containers.stop(caller(), pod.uuid)] * 6)
    written = [result for result in results if not isinstance(result, errors.HigginsError)]
    row = plane.row(pod.uuid)
    assert row.generation == pod.generation + len(written) == len(plane.control.actions.list(caller(), pod.uuid))
    assert len({result.generation for result in written}) == len(written)


def usage(plane: ControlPlane) -> tuple[int, int]:
    with plane.db.read() as tx:
        found = quotas.usage(tx, "project-1")
    return found.cpu_milli, found.memory_mib


def claimed(plane: ControlPlane) -> tuple[int, int]:
    with plane.db.read() as tx:
        host = hosts.get(tx, HOSTNAME)
    return host.cpu_milli_claimed, host.memory_mib_claimed


@pytest.mark.parametrize("verb", ["update", "resize"])
def test_a_new_size_moves_quota_and_claim_by_the_difference(plane: ControlPlane, verb: str) -> None:
    pod = plane.made(cpu=1.0, memory_mib=512, environment={"A": "b"})
    change = getattr(plane.control.containers, verb)
    bigger = change(caller(), pod.uuid, ContainerChange(cpu=2.5, memory_mib=1024))
    assert (bigger.spec.containers[0].cpus, bigger.spec.containers[0].memory_mib) == (2.5, 1024)
    assert usage(plane) == claimed(plane) == (2500, 1024)
    change(caller(), pod.uuid, ContainerChange(memory_mib=256))
    assert usage(plane) == claimed(plane) == (2500, 256)
    assert pods.open_spec(plane.row(pod.uuid), plane.sealer).containers[0].environment == {"A": "b"}


def test_processors_of_its_own_are_claimed_stay_those_and_go_with_the_container(plane: ControlPlane) -> None:
    plane.add_host("pinned", dataclasses.replace(FACTS, dedicated_cpus=2))
    pod = plane.made(cpu=2.0, memory_mib=512, cpu_policy="dedicated")
    assert pod.hostname == "pinned"

    def has() -> tuple[int, int, int]:
        with plane.db.read() as tx:
            host = hosts.get(tx, "pinned")
        return host.cpu_milli_claimed, host.dedicated_cpus_claimed, host.memory_mib_claimed

    assert has() == (2000, 2, 512)
    with pytest.raises(errors.Unsupported, match="processors for itself"):
        plane.control.containers.update(caller(), pod.uuid, ContainerChange(cpu=1.0))
    plane.control.containers.update(caller(), pod.uuid, ContainerChange(cpu=2.0, memory_mib=1024))
    assert has() == (2000, 2, 1024)
    refused = plane.create(cpu=1.0, cpu_policy="dedicated")
    plane.place()
    assert "2 without enough dedicated processors" in str(plane.row(refused.uuid).schedule_reason)
    plane.report(pod, Phase.STOPPED)
    plane.control.containers.delete(caller(), pod.uuid)
    plane.report(pod, Phase.GONE)
    plane.sweep()
    assert has() == (0, 0, 0)


def test_a_size_is_refused_by_quota_host_limits_and_engine(plane: ControlPlane) -> None:
    pod = plane.made()
    containers = plane.control.containers
    plane.control.quotas.update(caller("admin"), "project-1", {"memory": 1000})
    with pytest.raises(errors.OverQuota, match="memory"):
        containers.update(caller(), pod.uuid, ContainerChange(memory_mib=1024))
    plane.control.quotas.update(caller("admin"), "project-1", {"memory": -1})
    with pytest.raises(errors.Invalid, match="8192"):
        containers.update(caller(), pod.uuid, ContainerChange(memory_mib=10000))
    plane.made(memory_mib=8000)
    with pytest.raises(errors.OutOfCapacity, match="host has no room"):
        containers.update(caller(), pod.uuid, ContainerChange(memory_mib=8000))
    plane.add_host("plain", dataclasses.replace(FACTS, abilities=()))
    other = plane.made(caller("admin", project="project-1"), host="plain")
    with pytest.raises(errors.Unsupported, match="cannot change cpu or memory"):
        containers.resize(caller(), other.uuid, ContainerChange(cpu=2.0))
    assert usage(plane) == (3000, 512 + 8000 + 512)


def test_parallel_resizes_never_go_over_the_quota(plane: ControlPlane) -> None:
    made = [plane.made() for _ in range(4)]
    plane.control.quotas.update(caller("admin"), "project-1", {"memory": 4 * 512 + 1000})
    results = at_once(
        *[
            lambda pod=pod: plane.control.containers.update(caller(), pod.uuid, ContainerChange(memory_mib=1000))
            for pod in made
        ]
    )
    assert sum(isinstance(result, errors.OverQuota) for result in results) == 2
    assert usage(plane)[1] == claimed(plane)[1] == 2 * 512 + 2 * 1000


def test_names_and_auto_heal_change(plane: ControlPlane) -> None:
    pod = plane.made(name="old")
    containers = plane.control.containers
    assert containers.update(caller(), "old", ContainerChange(name="new", auto_heal=True)).name == "new"
    row = plane.row(pod.uuid)
    assert (row.spec.containers[0].name, row.spec.auto_heal) == ("new", True)
    assert containers.rename(caller(), "new", "newer").name == "newer"
    with pytest.raises(errors.Conflict, match="newer"):
        containers.rename(caller(), "newer", "newer")
    with pytest.raises(errors.Invalid):
        containers.rename(caller(), "newer", "no good")
    with pytest.raises(errors.NotFound):
        containers.get(caller(), "old")


def test_a_change_of_nothing_is_no_wish(plane: ControlPlane) -> None:
    pod = plane.made()
    assert plane.control.containers.update(caller(), pod.uuid, ContainerChange()) == pod
    assert len(plane.control.actions.list(caller(), pod.uuid)) == 1


def test_a_rename_does_not_start_what_ended(plane: ControlPlane) -> None:
    pod = plane.made(phase=Phase.STOPPED)
    renamed = plane.control.containers.rename(caller(), pod.uuid, "other")
    assert (renamed.run, renamed.build) == (pod.run, pod.build)
    assert derive(renamed).status is Status.STOPPED


def test_networks_and_security_groups_are_answered_honestly(plane: ControlPlane) -> None:
    pod, containers = plane.made(), plane.control.containers
    with pytest.raises(errors.Invalid, match="already"):
        containers.network_attach(caller(), pod.uuid, network="bridge")
    with pytest.raises(errors.NotFound, match="one network, 'bridge'"):
        containers.network_attach(caller(), pod.uuid, network="blue")
    with pytest.raises(errors.Unsupported):
        containers.network_detach(caller(), pod.uuid, network="bridge")
    for asked in ({"network": "blue"}, {"port": "p"}, {}):
        with pytest.raises(errors.Invalid):
            containers.network_detach(caller(), pod.uuid, **asked)
    with pytest.raises(errors.Invalid):
        containers.add_security_group(caller(), pod.uuid, "web")
    with pytest.raises(errors.Invalid):
        containers.remove_security_group(caller(), pod.uuid, "web")
    assert containers.network_list(caller("reader"), pod.uuid).uuid == pod.uuid
    assert plane.row(pod.uuid) == pod


def test_lists_filter_by_columns_and_by_derived_words(plane: ControlPlane) -> None:
    running = [plane.made(name=f"run-{n}") for n in range(3)]
    stopped = plane.made(phase=Phase.STOPPED, memory_mib=128, mounts=(MountRequest(destination="/a", source="v"),))
    creating = plane.create(name="late")
    plane.made(caller(project="project-2"))
    containers = plane.control.containers

    def names(who=None, page=None, *, all_projects=False, **filters):
        found = containers.list(
            who or caller("reader"), filters=filters, page=page or Page(), all_projects=all_projects
        )
        return [pod.name for pod in found]

    assert names() == [*(pod.name for pod in running), stopped.name, "late"]
    assert names(status="Running") == ["run-0", "run-1", "run-2"]
    assert names(status="Running", page=Page(limit=2)) == ["run-0", "run-1"]
    assert names(status="Running", page=Page(limit=2, marker=running[1].uuid)) == ["run-2"]
    assert names(status="Creating") == ["late"] == names(task_state="container_creating")
    assert names(status="Nonsense") == []
    assert names(memory="128") == [stopped.name] == names(memory="128M", status="Stopped")
    assert names(name="run-1", image="busybox") == ["run-1"]
    assert names(page=Page(sort_key="name", sort_dir="desc", limit=1)) == [
        max([*(p.name for p in running), stopped.name, "late"])
    ]
    assert names(caller("admin"), host=HOSTNAME, status="Stopped") == [stopped.name]
    assert len(names(caller("admin"), all_projects=True)) == 6
    assert creating.uuid in {pod.uuid for pod in containers.list(caller(), filters={"status": "Creating"}, page=Page())}
    with pytest.raises(errors.Forbidden):
        names(host=HOSTNAME)
    with pytest.raises(errors.Forbidden):
        names(all_projects=True)
    for wrong in ({"colour": "red"}, {"memory": "much"}):
        with pytest.raises(errors.Invalid):
            names(**wrong)


def test_other_projects_see_nothing_and_admin_reaches_by_uuid(plane: ControlPlane) -> None:
    pod = plane.made(name="web")
    stranger = caller("member", "manager", project="project-2")
    for verb in (*WISHES, "get", "delete"):
        with pytest.raises(errors.NotFound):
            getattr(plane.control.containers, verb)(stranger, pod.uuid)
    admin = caller("admin", project="admin")
    assert plane.control.containers.get(admin, pod.uuid).uuid == pod.uuid
    assert plane.control.containers.get(admin, "web", all_projects=True).uuid == pod.uuid
    with pytest.raises(errors.NotFound):
        plane.control.containers.get(admin, "web")
    plane.control.containers.stop(admin, pod.uuid)
    assert plane.control.actions.list(caller(), pod.uuid)[0].action == "stop"
    with pytest.raises(errors.Forbidden):
        plane.control.containers.stop(caller("service"), pod.uuid)
