"""Volumes of Cinder made, attached and taken back: nothing of a user's own is ever deleted, no two write what they share, and no thread waits."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from higgins.core import errors
from higgins.core.status import derive
from higgins.provision.attachments import mark
from higgins.provision.audits import cinder as audit
from higgins.provision.audits.stray import Audit, known
from higgins.provision.audits.sweep import Sweep
from higgins.provision.volumes import FOR_INSTALLATION, ITSELF
from higgins.store import actions
from higgins.store.loops import ledger, provisioning
from higgins.store.pods import Pod
from tests.contract.store_rows import Rows
from tests.contract.volume_world import World


@pytest.fixture
def world(rows: Rows) -> World:
    return World(rows)


def rounds(sweep: Sweep) -> None:
    for _ in range(3):
        sweep.run_once()


# What goes with its container, and what does not


def test_a_volume_of_a_size_goes_with_its_container(world: World) -> None:
    pod, volume = world.made()
    assert world.double.volumes[volume]["metadata"][ITSELF] == volume
    world.deleted(pod)
    assert world.double.volumes == {}


def test_what_a_user_restores_from_a_backup_is_his(world: World) -> None:
    pod, volume = world.made()
    copy = world.double.restored(volume)
    rounds(world.sweep())
    assert set(world.double.volumes) == {volume, copy}
    world.deleted(pod)
    rounds(world.sweep())
    assert set(world.double.volumes) == {copy}


def test_a_take_back_that_is_repeated_takes_no_copy(world: World) -> None:
    """Neither when it knows what it is to take back, nor when it never heard."""
    pod, volume = world.made()
    copy = world.double.restored(volume)
    del world.double.volumes[volume]
    world.double.uses.clear()
    world.deleted(pod)
    assert set(world.double.volumes) == {copy}
    pod, volume = world.made(name="second")
    copies = {copy, world.double.restored(volume)}
    world.double.uses.clear()
    del world.double.volumes[volume]
    with world.db.write() as tx:
        ledger.doubt(tx, pod.uuid, [("cinder_volume", key) for key in keys(world, pod)], forget=True)
    world.deleted(pod)
    assert set(world.double.volumes) == copies


def keys(world: World, pod: Pod) -> list[str]:
    with world.db.read() as tx:
        return [one.key for one in ledger.of(tx, [pod.uuid])[pod.uuid] if one.kind == "cinder_volume"]


def test_a_copy_that_another_container_uses_stays_attached(world: World) -> None:
    first, volume = world.made()
    copy = world.double.restored(volume)
    world.deleted(first)
    second = world.pod("second", volume=copy)
    world.another().make_once()
    use = world.noted(second)["attachment"]
    rounds(world.sweep())
    assert use in world.double.uses
    assert copy in world.double.volumes


def test_not_even_a_volume_of_ours_goes_while_the_ledger_knows_that_it_is_attached(world: World) -> None:
    volume = world.double.volume(metadata={FOR_INSTALLATION: world.installation, "higgins-pod": str(uuid.uuid4())})
    second = world.pod("second", volume=volume)
    world.another().make_once()
    now = known(world.db, Audit("Cinder", world.kinds, lambda now: []))
    [found] = [one for one in audit.strays(now, world.double.port(), world.db) if one.finding.ident == volume]
    assert found.left_by is None
    assert found.put_right is not None
    found.put_right()
    assert world.noted(second)["attachment"] in world.double.uses
    assert FOR_INSTALLATION not in world.double.volumes[volume]["metadata"]


def test_what_was_made_after_it_was_given_up_goes(world: World) -> None:
    """Nobody has heard its id, so the mark of it is missing; what a user restored from it is younger."""
    pod = str(uuid.uuid4())
    with world.db.write() as tx:
        actions.start(tx, pod, "project", "user", "req-1", "delete", 2)
        actions.finish(tx, pod, "req-1")
    words = {"higgins-installation": world.installation, "higgins-pod": pod, "higgins-mount": str(uuid.uuid4())}
    late = world.double.volume(metadata=words)
    copy = world.double.restored(late)
    sweep = world.sweep()
    sweep.run_once()
    sweep.run_once()
    assert set(world.double.volumes) == {copy}


def test_a_creation_without_an_answer_is_found_again_and_marked(world: World) -> None:
    pod = world.pod()
    world.double.before = fails("POST", r"/metadata")
    world.another().make_once()
    [volume] = world.double.volumes
    assert ITSELF not in world.double.volumes[volume]["metadata"]
    world.double.before = lambda method, path: None
    world.another().make_once()
    assert world.rows.again(pod).provision_generation == 1
    assert [one["metadata"][ITSELF] for one in world.double.volumes.values()] == [volume]


def fails(method: str, end: str) -> Callable[[str, str], None]:
    def before(asked: str, path: str) -> None:
        if asked == method and path.endswith(end):
            raise errors.Timeout("Cinder did not answer in time. Try again later.")

    return before


def test_a_volume_with_snapshots_is_left_to_its_user(world: World) -> None:
    pod, volume = world.made()
    world.double.snapshots.add(volume)
    world.deleted(pod)
    assert FOR_INSTALLATION not in world.double.volumes[volume]["metadata"]
    rounds(world.sweep())
    world.double.snapshots.clear()
    rounds(world.sweep())
    assert volume in world.double.volumes


def test_a_volume_that_cinder_keeps_holds_its_container_up_and_says_why(world: World) -> None:
    pod, volume = world.made()
    world.gone(pod)
    world.double.volumes[volume] |= {"status": "awaiting-transfer"}
    world.double.uses.clear()
    world.loop.take_back_once()
    assert "Volume status must be available" in str(derive(world.rows.again(pod)).reason)


# No thread waits


def test_what_cinder_is_slow_at_is_looked_at_again_soon(world: World) -> None:
    world.double.slow = True
    pod = world.pod()
    again_s = world.loop.make_once()
    assert again_s is not None
    assert again_s < 0.5
    [volume] = world.double.volumes
    assert world.noted(pod)["cinder_volume"] == volume
    assert "has not made the volume" in str(world.rows.again(pod).provision_reason)
    assert world.double.asked.count("POST /volumes") == 1
    world.double.go_on()
    world.another().make_once()
    assert world.double.asked.count("POST /volumes") == 1
    assert world.rows.again(pod).provision_generation == 1
    world.gone(pod)
    again_s = world.loop.take_back_once()
    assert again_s is not None
    assert again_s < 0.5
    assert world.rows.exists(pod)
    world.double.go_on()
    world.another().take_back_once()
    assert not world.rows.exists(pod)


def test_one_deleted_while_it_is_made_leaves_nothing(world: World) -> None:
    world.double.slow = True
    pod = world.pod()
    world.loop.make_once()
    world.gone(pod)
    for _ in range(3):
        world.another().take_back_once()
        world.double.go_on()
    world.another().take_back_once()
    assert (world.double.volumes, world.rows.exists(pod)) == ({}, False)


# Who may have what beside whom


@pytest.mark.parametrize(("mine", "theirs"), [("rw", "rw"), ("rw", "ro"), ("ro", "rw")])
def test_of_two_who_come_at_once_from_two_hosts_none_gets_what_one_writes(world: World, mine: str, theirs: str) -> None:
    """The other one comes between the look and the attachment, and does not see ours either."""
    volume = world.double.volume(multiattach=True)
    pod = world.pod(volume=volume, read_only=mine == "ro")
    other = []

    def before(method: str, path: str) -> None:
        if (method, path) == ("POST", "/attachments"):
            other.append(world.double.attach(volume, host="host2", mode=theirs, device=mark(world.installation)))

    world.double.before = before
    world.another().make_once()
    assert "is in use by" in str(world.rows.again(pod).provision_reason)
    assert set(world.double.uses) == set(other)


def test_one_that_was_attached_without_an_answer_is_looked_at_too(world: World) -> None:
    volume = world.double.volume(multiattach=True)
    pod = world.pod(volume=volume)
    world.double.attach(volume, host="host1", device=mark(world.installation), server=pod.uuid)
    world.double.attach(volume, host="host2", device=mark(world.installation))
    world.another().make_once()
    assert "is in use by" in str(world.rows.again(pod).provision_reason)
    assert pod.uuid not in {one["instance"] for one in world.double.uses.values()}


def test_an_attachment_that_somebody_else_has_made_for_the_container_is_not_taken_for_ours(world: World) -> None:
    volume = world.double.volume(multiattach=True)
    pod = world.pod(volume=volume, read_only=True)
    theirs = world.double.attach(volume, host="elsewhere", mode="ro", device="/dev/vdb", server=pod.uuid)
    world.another().make_once()
    assert world.rows.again(pod).provision_generation == 1
    assert world.noted(pod)["attachment"] != theirs
    with world.db.write() as tx:
        ledger.doubt(tx, pod.uuid, [("attachment", volume)], forget=True)
    world.deleted(pod)
    assert set(world.double.uses) == {theirs}


def test_an_attachment_that_was_never_completed_leads_to_our_host(world: World) -> None:
    volume = world.double.volume()
    pod = world.pod(volume=volume)
    use = world.double.attach(volume, host="elsewhere", device="/dev/vdb", server=pod.uuid)
    world.double.uses[use]["status"] = "attaching"
    world.another().make_once()
    assert world.noted(pod)["attachment"] == use
    to = world.double.uses[use]["to"]
    assert (to["host"], to["mountpoint"]) == ("host1", mark(world.installation))


def test_what_a_host_has_been_granted_is_not_taken_from_it(world: World) -> None:
    volume = world.double.volume(multiattach=True)
    pod = world.pod(volume=volume)
    world.another().make_once()
    use = world.noted(pod)["attachment"]
    world.double.attach(volume, host="host2", device=mark(world.installation))
    with world.db.write() as tx:
        ledger.doubt(tx, pod.uuid, [("attachment", volume)], forget=False)
        provisioning.again(tx, pod.uuid)
    world.another().make_once()
    assert use in world.double.uses


def test_all_may_read(world: World) -> None:
    volume = world.double.volume(multiattach=True)
    world.double.attach(volume, host="host2", mode="ro", device=mark(world.installation))
    pod = world.pod(volume=volume, read_only=True)
    world.another().make_once()
    assert world.rows.again(pod).provision_generation == 1


def test_an_answer_of_cinder_that_lacks_something_is_no_end(world: World) -> None:
    pod, volume = world.made()
    world.gone(pod)
    del world.double.volumes[volume]["status"]
    world.double.uses.clear()
    assert world.loop.take_back_once() is not None
    assert "KeyError" in str(derive(world.rows.again(pod)).reason)
