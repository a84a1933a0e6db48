"""Volumes that Cinder fails to make: asked for again where nothing can be in them, and nothing is left over or lost."""

from __future__ import annotations

import pytest

from higgins.core import errors
from higgins.core.phase import Wish
from tests.contract.store_rows import Rows
from tests.contract.volume_world import World


@pytest.fixture
def world(rows: Rows) -> World:
    return World(rows)


def test_what_cinder_finds_no_place_for_is_asked_for_again(world: World) -> None:
    world.double.unplaced = 2
    pod = world.pod()
    told = set()
    for _ in range(5):
        assert world.rows.again(pod).provision_generation == 0
        world.another().make_once()
        told.add(world.rows.again(pod).provision_reason)
    assert "Cinder found no place for a volume of 1 GiB. It is asked for another one." in told
    assert world.rows.again(pod).provision_generation == 1
    assert list(world.double.volumes) == [world.noted(pod)["cinder_volume"]]
    assert world.double.asked.count("POST /volumes") == 3
    world.deleted(pod)
    assert world.double.volumes == {}


def test_what_never_finds_a_place_fails_until_the_next_wish_and_leaves_nothing(world: World) -> None:
    world.double.unplaced = 100
    pod = world.pod()
    for _ in range(40):
        world.another().make_once()
    assert world.rows.again(pod).provision_reason == (
        "Cinder found no place for a volume of 1 GiB, 7 times. Ask for less, or tell the operator."
    )
    assert world.double.asked.count("POST /volumes") == 7
    world.double.unplaced = 0
    world.rows.wish(pod, Wish.START)
    for _ in range(3):
        world.another().make_once()
    assert world.rows.again(pod).provision_generation == 2
    assert len(world.double.volumes) == 1


def test_of_two_controllers_that_find_no_place_none_leaves_a_volume(world: World) -> None:
    """The second one hears nothing of what it asked for, and the third finds that again."""
    world.double.unplaced = 1
    pod = world.pod()
    for _ in range(2):
        world.another().make_once()
    assert world.double.volumes == {}

    def lost(method: str, path: str) -> None:
        if (method, path) == ("POST", "/volumes"):
            world.double.before = lambda *_: None
            world.double.call("POST", path, body=asked[0])
            raise errors.Timeout("Cinder did not answer in time. Try again later.")

    metadata = {"higgins-installation": world.installation, "higgins-pod": pod.uuid}
    key = pod.spec.containers[0].mounts[0].volume
    asked = [{"volume": {"size": 1, "name": "lost", "metadata": metadata | {"higgins-mount": key}}}]
    world.double.before = lost
    for _ in range(3):
        world.another().make_once()
    assert world.rows.again(pod).provision_generation == 1
    assert list(world.double.volumes) == [world.noted(pod)["cinder_volume"]]


def test_a_volume_in_error_that_a_back_end_has_had_is_not_touched(world: World) -> None:
    """Nobody knows what it holds."""
    world.double.slow = True
    pod = world.pod()
    world.loop.make_once()
    [volume] = world.double.volumes
    world.double.volumes[volume]["status"] = "error"
    world.another().make_once()
    assert "it is in the state error" in str(world.rows.again(pod).provision_reason)
    assert list(world.double.volumes) == [volume]
    del world.double.volumes[volume]["os-vol-host-attr:host"]
    world.rows.wish(pod, Wish.START)
    world.another().make_once()
    assert "it is in the state error" in str(world.rows.again(pod).provision_reason), "nor one of which it is unknown"
    assert not [one for one in world.double.asked if one.startswith("DELETE")]
