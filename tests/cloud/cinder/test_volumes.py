"""Volumes of the real Cinder from the request to the mount and back: data stays, what is not blank is never formatted, and nothing is left."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from higgins.agent.hands.block import table
from higgins.control.requests import MountRequest
from higgins.core import errors
from higgins.core.phase import Phase
from tests.cloud.cinder.stored import Stored
from tests.cloud.cloud_world import Cloud, People, until

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def stored(cloud: Cloud, people: People, tmp_path: pathlib.Path) -> Iterator[Stored]:
    world = Stored(tmp_path, cloud, people)
    yield world
    world.clean()
    storage = people.connection("member").block_storage
    for one in storage.volumes():
        for used in world.cinder.volume(one.id).uses:
            world.cinder.detach(used.attachment)
        storage.delete_volume(one)
    until("the volumes to be gone", lambda: not list(storage.volumes()))


def at(source: str, **fields: object) -> MountRequest:
    return MountRequest(destination="/data", source=source, **fields)  # type: ignore[arg-type]


def test_what_one_container_wrote_the_next_one_reads(stored: Stored) -> None:
    volume = stored.volume()
    first, [place] = stored.made(at(volume.name))
    (place / "note").write_text("kept")
    used = stored.people.connection("member").block_storage.get_volume(volume.id)
    assert used.status == "in-use"
    assert [one["server_id"] for one in used.attachments] == [first.uuid]
    stored.delete(first)
    assert stored.shown(volume.id).status == "available"
    assert stored.hands.mounted() == ()
    second, [place] = stored.made(at(volume.id))
    assert (place / "note").read_text() == "kept"
    stored.delete(second)


def test_a_volume_of_a_size_is_the_projects_own_and_goes_with_its_container(stored: Stored) -> None:
    pod, [place] = stored.made(MountRequest(destination="/data", size_gib=1))
    [made] = stored.own_volumes()
    assert (made.size, made.status, made.project_id) == (1, "in-use", pod.project_id)
    (place / "note").write_text("short-lived")
    stored.delete(pod)
    assert stored.own_volumes() == []


@pytest.mark.parametrize("call", ["POST /volumes", "POST /volumes/metadata", "POST /attachments"])
def test_an_answer_that_was_lost_makes_nothing_twice(stored: Stored, call: str) -> None:
    stored.asked.lost = [call]
    stored.in_project.lost = [call]
    pod = stored.create(MountRequest(destination="/data", size_gib=1))
    stored.settle()
    assert stored.grants(pod) == ()
    stored.settle()
    [made] = stored.own_volumes()
    assert len(stored.shown(made.id).uses) == 1
    assert len(stored.grants(pod)) == 1
    stored.delete(pod)


@pytest.mark.parametrize("call", ["POST /volumes", "POST /attachments"])
def test_what_was_asked_for_without_an_answer_is_taken_back(stored: Stored, call: str) -> None:
    stored.asked.lost = [call]
    stored.in_project.lost = [call]
    pod = stored.create(MountRequest(destination="/data", size_gib=1))
    stored.settle()
    stored.delete(pod)
    assert stored.own_volumes() == []


@pytest.mark.parametrize("call", ["DELETE /attachments", "DELETE /volumes"])
def test_an_end_whose_answer_was_lost_is_asked_for_again(stored: Stored, call: str) -> None:
    pod, _ = stored.made(MountRequest(destination="/data", size_gib=1))
    stored.asked.lost = [call]
    with pytest.raises(AssertionError):
        stored.delete(pod)
    stored.take_back()
    assert stored.row(pod) is None
    assert stored.own_volumes() == []


def test_what_a_user_restores_from_a_backup_of_it_stays(stored: Stored) -> None:
    """Restoring copies all metadata of a volume."""
    pod, _ = stored.made(MountRequest(destination="/data", size_gib=1))
    [made] = stored.own_volumes()
    words = stored.shown(made.id).metadata
    assert words["higgins-volume"] == made.id
    copy = stored.volume(metadata=words)
    stored.delete(pod)
    assert [one.id for one in stored.own_volumes()] == [copy.id]


def test_a_volume_of_a_size_with_snapshots_is_left_to_its_user(stored: Stored) -> None:
    storage = stored.people.connection("member").block_storage
    pod, _ = stored.made(MountRequest(destination="/data", size_gib=1))
    [made] = stored.own_volumes()
    snapshot = storage.create_snapshot(volume_id=made.id, force=True)
    until("the snapshot", lambda: storage.get_snapshot(snapshot.id).status == "available")
    stored.delete(pod)
    assert "higgins-installation" not in stored.shown(made.id).metadata
    storage.delete_snapshot(snapshot)
    until("the snapshot to be gone", lambda: not list(storage.snapshots()))


def test_a_volume_that_holds_anything_else_is_refused_and_left_as_it_is(stored: Stored) -> None:
    volume = stored.volume()
    pod, [place] = stored.made(at(volume.id))
    device = table.mounts(place.parent)[volume.id].device
    subprocess.run(["umount", place], check=True)
    subprocess.run(["wipefs", "--all", "--quiet", device], check=True)
    with open(device, "r+b") as file:
        file.seek(8 << 20)
        before = file.read(1 << 20)
    with pytest.raises(errors.Invalid, match="holds data that is no file system"):
        stored.mount(pod)
    subprocess.run(["mkswap", device], check=True, stdout=subprocess.DEVNULL)
    with pytest.raises(errors.Invalid, match="holds swap"):
        stored.mount(pod)
    with open(device, "rb") as file:
        file.seek(8 << 20)
        assert file.read(1 << 20) == before
    stored.delete(pod)


def test_in_use_elsewhere_not_usable_not_ours_not_there(stored: Stored) -> None:
    volume = stored.volume()
    pod, _ = stored.made(at(volume.id))
    with pytest.raises(errors.Invalid, match=f"in use by {pod.uuid}") as refused:
        stored.create(at(volume.id))
    assert refused.value.code == "volume-in-use"
    for persona, source in (("stranger", volume.id), ("stranger", volume.name), ("member", "no-such-volume")):
        with pytest.raises(errors.NotFound) as unknown:
            stored.create(at(source), persona=persona)
        assert unknown.value.code == "volume-not-found"
    stored.delete(pod)


def test_of_two_that_ask_at_the_same_moment_one_gets_the_volume(stored: Stored) -> None:
    volume = stored.volume()
    first, second = stored.create(at(volume.id)), stored.create(at(volume.id))
    stored.settle()
    stored.settle()
    had = [pod for pod in (first, second) if stored.grants(pod)]
    assert len(had) == 1
    [refused] = [pod for pod in (first, second) if pod not in had]
    assert f"The volume {volume.id} is in use by {had[0].uuid}" in (stored.now(refused).provision_reason or "")
    for pod in (first, second):
        stored.delete(pod)


def test_over_quota_says_so(stored: Stored) -> None:
    stored.people.connection("admin")
    pod = stored.create(MountRequest(destination="/data", size_gib=5000))
    stored.settle()
    assert "quota" in (stored.now(pod).provision_reason or "")
    stored.delete(pod)


def test_a_volume_deleted_meanwhile_is_named(stored: Stored) -> None:
    volume = stored.volume()
    pod = stored.create(at(volume.id))
    stored.cinder.delete(volume.id)
    stored.gone(volume.id)
    stored.settle()
    assert f"The volume {volume.id} was deleted" in (stored.now(pod).provision_reason or "")
    stored.delete(pod)


def test_read_only_all_the_way(stored: Stored) -> None:
    volume = stored.volume()
    writer, [place] = stored.made(at(volume.id))
    (place / "note").write_text("kept")
    stored.delete(writer)
    reader, [place] = stored.made(at(volume.id, read_only=True))
    assert (place / "note").read_text() == "kept"
    with pytest.raises(OSError, match="Read-only"):
        (place / "note").write_text("changed")
    [used] = stored.shown(volume.id).uses
    assert stored.cinder.attachment(used.attachment).mode == "ro"
    stored.delete(reader)


def test_a_blank_volume_cannot_be_read_only(stored: Stored) -> None:
    volume = stored.volume()
    pod = stored.create(at(volume.id, read_only=True))
    stored.settle()
    with pytest.raises(errors.Invalid, match="is empty"):
        stored.mount(pod)
    stored.delete(pod)


def test_after_the_hosts_restart_it_is_mounted_again(stored: Stored) -> None:
    volume = stored.volume()
    pod, [place] = stored.made(at(volume.id))
    (place / "note").write_text("kept")
    stored.clean()
    assert not place.exists()
    stored.hands = stored.another_agent()
    assert stored.hands.held(pod.uuid) == frozenset()
    [place] = stored.mount(pod)
    assert (place / "note").read_text() == "kept"
    stored.delete(pod)


def test_after_the_agents_restart_it_is_known_and_let_go_of(stored: Stored) -> None:
    volume = stored.volume()
    pod, _ = stored.made(at(volume.id))
    stored.hands = stored.another_agent()
    assert stored.hands.attached(pod.uuid) == {volume.id}
    stored.delete(pod)
    assert stored.hands.mounted() == ()
    assert stored.shown(volume.id).status == "available"


def test_a_host_without_os_brick_says_so(stored: Stored) -> None:
    volume = stored.volume()
    stored.says("")
    pod = stored.create(at(volume.id))
    stored.settle()
    assert "volumes of Cinder" in (stored.now(pod).schedule_reason or "")
    stored.says(stored.hands.connector())
    stored.delete(pod)


def test_an_attachment_ends_though_its_host_is_gone(stored: Stored) -> None:
    volume = stored.volume()
    pod, [place] = stored.made(at(volume.id))
    stored.control.containers.delete(stored.who(), pod.uuid, stop=True)
    stored.report(pod, Phase.GONE)  # by an operator's hand, in place of the host
    assert stored.row(pod) is None
    assert stored.shown(volume.id).status == "available"
    subprocess.run(["umount", place], check=True)


def test_two_containers_of_a_host_share_a_volume_for_many(stored: Stored, cloud: Cloud) -> None:
    admin = cloud.admin.block_storage
    kind = admin.create_type(name=f"many-{stored.installation[:8]}", extra_specs={"multiattach": "<is> True"})
    try:
        volume = stored.volume(volume_type=kind.name)
        first, [place] = stored.made(at(volume.id))
        (place / "note").write_text("shared")
        second, [same] = stored.made(at(volume.id))
        assert same == place
        assert len(stored.shown(volume.id).uses) == 2
        stored.delete(first)
        assert (place / "note").read_text() == "shared"
        stored.delete(second)
        assert stored.hands.mounted() == ()
        stored.cinder.delete(volume.id)
        stored.gone(volume.id)
    finally:
        admin.delete_type(kind)


def test_mounts_of_a_pod_that_nobody_knows_are_let_go_of(stored: Stored) -> None:
    volume = stored.volume()
    pod, _ = stored.made(at(volume.id))
    assert stored.hands.strangers(lambda known: known == pod.uuid) == ()
    assert stored.hands.strangers(lambda _known: False) == (pod.uuid,)
    stored.hands.leave(pod.uuid)
    assert (stored.hands.mounted(), stored.hands.held(pod.uuid)) == ((), frozenset())
    stored.delete(pod)
