"""Volumes that Cinder fails to make: asked for again where nothing can be in them, and nothing is left over or lost."""

from __future__ import annotations

import datetime

import pytest

from higgins.core.phase import Wish
from higgins.store.loops import ledger
from tests.contract.store_rows import Rows
from tests.contract.volume_world import World

NO_BACK_END = "Cinder found no back end that could make a volume of 1 GiB. "


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
    assert NO_BACK_END + "It is asked for another one." in told
    assert world.rows.again(pod).provision_generation == 1
    assert list(world.double.volumes) == [world.noted(pod)["cinder_volume"]]
    assert world.double.asked.count("POST /volumes") == 3
    world.deleted(pod)
    assert world.double.volumes == {}


def test_what_never_finds_a_place_fails_until_the_next_wish_and_leaves_nothing(world: World) -> None:
    world.double.unplaced, world.double.between = 100, datetime.timedelta(seconds=10)
    pod = world.pod()
    for _ in range(40):
        world.another().make_once()
    assert world.rows.again(pod).provision_reason == NO_BACK_END + "Ask for less, or tell the operator."
    assert world.double.asked.count("POST /volumes") == 7, "in the first minute"
    world.double.unplaced = 1
    world.rows.wish(pod, Wish.START)
    for _ in range(4):
        world.another().make_once()
    assert world.rows.again(pod).provision_generation == 2
    assert len(world.double.volumes) == 1


@pytest.mark.parametrize("lost", [("POST",), ("DELETE",), ("DELETE", "POST"), ("DELETE", "POST", "GET")])
def test_answers_that_are_lost_meanwhile_leave_no_volume(world: World, lost: tuple[str, ...]) -> None:
    world.double.unplaced = 1
    pod = world.pod()
    world.another().make_once()
    world.double.lost = list(lost)
    for _ in range(8):
        world.another().make_once()
    assert world.double.lost == []
    assert world.rows.again(pod).provision_generation == 1
    assert list(world.double.volumes) == [world.noted(pod)["cinder_volume"]]


def test_what_was_written_over_by_another_controller_is_not_forgotten(world: World) -> None:
    """One that stood still for so long that its hold ran out, between Cinder's answer and its note."""
    world.double.unplaced = 1
    pod = world.pod()
    world.another().make_once()

    def before(method: str, path: str) -> None:
        if method == "DELETE":
            world.double.before = lambda *_: None
            world.double.call(method, path)
            with world.db.write() as tx:
                ledger.begun(tx, pod.uuid, {("cinder_volume", key): "another"})

    key = pod.spec.containers[0].mounts[0].volume
    world.double.before = before
    world.another().make_once()
    assert world.noted(pod)["cinder_volume"] == "another"


def test_one_that_its_user_deletes_while_it_is_made_is_made_anew(world: World) -> None:
    world.double.slow = True
    pod = world.pod()
    world.another().make_once()
    world.double.volumes.clear()
    world.double.slow = False
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
