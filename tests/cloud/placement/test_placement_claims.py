"""Pods as consumers at the real Placement: never more than there is, found again after lost answers, given back."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
import uuid

import pytest

from higgins.cloud.placement import Allocation, Full, Inventory
from higgins.core import errors
from higgins.core.phase import Desired, Phase, Wish
from higgins.scheduler.loop import Scheduler
from higgins.store.loops.holds import Holder
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire import hints
from tests.cloud.placement.placement_world import RATIOS, World, host_uuid, lost
from tests.contract.store_rows import status


def test_a_pod_is_a_consumer_of_its_own_for_two_calls_and_one(ours: World) -> None:
    host_id = ours.rows.host()
    ours.publish()
    loop, prov = ours.scheduler(), ours.provisioner()
    ours.watched.calls.clear()
    pod = ours.rows.pod("web", cpu_milli=1500, memory_mib=512, disk_gib=3)
    loop.run_once()
    prov.make_once()
    assert ours.watched.calls == ["GET /allocation_candidates", "PUT /allocations"]
    given = ours.placement.allocation(pod.uuid)
    assert given is not None
    assert given.amounts == {host_uuid(ours): {"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 3}}
    assert (given.project_id, given.user_id, given.consumer_type) == ("project", "user", "CONTAINER")
    [entry] = ours.entries(pod)
    assert (entry.kind, entry.key, entry.external_id, entry.host_id) == ("allocation", pod.uuid, pod.uuid, host_id)
    assert (entry.made_at is not None, entry.shape) == (True, "DISK_GB:3,MEMORY_MB:512,VCPU:2")
    assert ours.rows.again(pod).provision_generation == 1
    ours.watched.calls.clear()
    deleted = ours.rows.delete(ours.rows.again(pod))
    ours.rows.report(host_id, 1, (deleted, status(Phase.GONE, 2)))
    prov.take_back_once()
    assert ours.watched.calls == ["DELETE /allocations"]
    assert not ours.rows.exists(pod)
    assert ours.taken() == {}
    assert ours.rows.host_row().cpu_milli_claimed == 0


def test_processors_for_one_pod_alone_are_pinned_ones(ours: World) -> None:
    ours.rows.host(cpus=4, dedicated_cpus=3)
    ours.publish()
    inventories = ours.placement.inventories(host_uuid(ours))[1]
    assert inventories["PCPU"] == Inventory(total=3, reserved=0, allocation_ratio=1.0)
    assert inventories["VCPU"] == Inventory(total=1, reserved=0, allocation_ratio=2.0)
    pod = ours.placed(cpu_milli=2000, memory_mib=64, dedicated_cpus=2)
    assert ours.taken()[pod.uuid] == {"PCPU": 2, "MEMORY_MB": 64}
    second = ours.placed("second", cpu_milli=2000, memory_mib=64, dedicated_cpus=2)
    assert second.host_id is None
    assert "without enough dedicated processors" in str(second.schedule_reason)
    shared = ours.placed("shared", cpu_milli=1500, memory_mib=64)
    assert ours.taken() == {pod.uuid: {"PCPU": 2, "MEMORY_MB": 64}, shared.uuid: {"VCPU": 2, "MEMORY_MB": 64}}


def test_pods_that_are_alike_are_asked_for_once(ours: World) -> None:
    ours.rows.host(cpus=64)
    ours.publish()
    made = [ours.rows.pod(f"pod-{number}", memory_mib=100) for number in range(20)]
    loop = ours.scheduler()
    ours.watched.calls.clear()
    loop.run_once()
    assert ours.watched.calls == ["GET /allocation_candidates", "POST /allocations"]
    assert all(ours.rows.again(pod).host_id for pod in made)
    assert len(ours.taken()) == 20


def test_racing_controllers_never_take_more_than_there_is(ours: World) -> None:
    ours.rows.host(memory_mib=800)  # 100 of it reserved: room for 7
    ours.publish()
    made = [ours.rows.pod(f"pod-{number}", memory_mib=100, cpu_milli=100) for number in range(20)]
    replicas = [Database(ours.url, durable=False) for _ in range(4)]
    gate = threading.Barrier(len(replicas), timeout=60)

    def run(replica: Database) -> None:
        holder = Holder()
        keeper = ours.keeper(replica, holder)
        loop = Scheduler(replica, hints.LocalHints(), ratios=RATIOS, keeper=keeper, holder=holder)
        gate.wait()
        while loop.run_once() is not None:
            pass

    with concurrent.futures.ThreadPoolExecutor(len(replicas)) as threads:
        list(threads.map(run, replicas))
    for replica in replicas:
        replica.close()
    placed = [one for one in map(ours.rows.again, made) if one.host_id is not None]
    assert len(placed) == 7
    assert set(ours.taken()) == {pod.uuid for pod in placed}
    assert all(action.finished_at is None for pod in placed for action in ours.rows.actions(pod))
    refused = [one for one in map(ours.rows.again, made) if one.host_id is None]
    assert {pod.schedule_reason for pod in refused} == {
        "There are not enough hosts available. Of 1 host: 1 without enough memory at Placement."
    }
    assert [ours.entries(pod) for pod in refused] == [[]] * 13
    assert ours.rows.host_row().memory_mib_claimed == 700
    with ours.db.read() as tx:
        assert audit.findings(tx) == []


def test_beside_a_provider_that_is_called_like_the_host(ours: World) -> None:
    name = f"nova-{uuid.uuid4().hex[:8]}"
    theirs = ours.foreign(name, VCPU=Inventory(total=64), MEMORY_MB=Inventory(total=99999))
    before = ours.placement.provider(theirs)
    ours.rows.host(name, memory_mib=612)
    ours.publish()
    pod = ours.placed(memory_mib=512)
    assert set(ours.taken()) == {pod.uuid}
    full = ours.placed("second", memory_mib=512)
    assert full.host_id is None
    assert "without enough memory" in str(full.schedule_reason)
    assert ours.placement.provider(theirs) == before
    assert ours.placement.taken_of(theirs) == {}


def test_what_others_take_of_our_host_counts(ours: World) -> None:
    ours.rows.host(cpus=4)
    ours.publish()
    other = Allocation(
        consumer=str(uuid.uuid4()),
        amounts={host_uuid(ours): {"VCPU": 8}},
        project_id="p",
        user_id="u",
        consumer_type="INSTANCE",
    )
    ours.placement.allocate(other)
    pod = ours.placed()
    assert pod.schedule_reason == (
        "There are not enough hosts available. Of 1 host: 1 without enough processors at Placement."
    )


@pytest.mark.parametrize("call", ["PUT /allocations", "GET /allocation_candidates", "POST /allocations"])
def test_a_claim_whose_answer_was_lost_is_found_again(ours: World, call: str) -> None:
    ours.rows.host()
    ours.publish()
    made = [ours.rows.pod(f"pod-{number}") for number in range(2 if call.startswith("POST") else 1)]
    ours.watched.cut = lost(call)
    assert ours.scheduler().run_once() is not None
    assert {ours.rows.again(pod).host_id for pod in made} == {None}
    assert "Higgins keeps trying" in str(ours.rows.again(made[0]).schedule_reason)
    ours.scheduler().run_once()
    assert all(ours.rows.again(pod).hostname == "host1" for pod in made)
    assert all(entry.made_at is not None for pod in made for entry in ours.entries(pod))
    assert set(ours.taken()) == {pod.uuid for pod in made}


@pytest.mark.parametrize("alone", [True, False])
def test_a_claim_whose_answer_was_lost_does_not_stand_in_its_own_way(ours: World, alone: bool) -> None:
    ours.rows.host(memory_mib=612)  # 100 of it reserved: room for one
    ours.publish()
    pod = ours.rows.pod("web", memory_mib=512)
    late = None if alone else ours.rows.pod("late", memory_mib=512)
    ours.watched.cut = lost("PUT /allocations")
    assert ours.scheduler().run_once() is not None
    assert set(ours.taken()) == {pod.uuid}
    ours.scheduler().run_once()
    assert ours.rows.again(pod).hostname == "host1"
    assert set(ours.taken()) == {pod.uuid}
    assert [entry.made_at is not None for entry in ours.entries(pod)] == [True]
    if late is not None:
        assert "without enough memory" in str(ours.rows.again(late).schedule_reason)
        assert ours.entries(late) == []


def test_a_pod_that_is_given_up_gives_back_what_a_lost_answer_left_it(ours: World) -> None:
    ours.rows.host(memory_mib=612)
    ours.publish()
    pod = ours.rows.pod("web", memory_mib=512)
    ours.watched.cut = lost("PUT /allocations", times=99)
    assert ours.scheduler(first_host_s=0).run_once() is None
    assert "No host can be chosen" in str(ours.rows.again(pod).schedule_reason)
    assert set(ours.taken()) == {pod.uuid}
    ours.watched.cut = lambda _call, _done: None
    ours.provisioner().take_back_once()
    assert (ours.taken(), ours.entries(pod)) == ({}, [])
    ours.rows.wish(ours.rows.again(pod), Wish.START, desired=Desired.RUNNING, new_run=True)
    ours.scheduler().run_once()
    assert ours.rows.again(pod).hostname == "host1"


def test_a_pod_is_not_refused_while_its_room_cannot_be_given_back(ours: World) -> None:
    ours.rows.host(memory_mib=612)
    ours.publish()
    pod = ours.rows.pod("web", memory_mib=512)
    ours.watched.cut = lost("PUT /allocations")
    ours.scheduler().run_once()
    ours.watched.cut = lost("DELETE /allocations")
    assert ours.scheduler().run_once() is not None
    waits = ours.rows.again(pod)
    assert (waits.schedule_generation, "not given back yet" in str(waits.schedule_reason)) == (0, True)
    ours.scheduler().run_once()
    assert ours.rows.again(pod).hostname == "host1"


def test_a_placement_that_is_away_fails_the_wish_at_its_deadline(ours: World) -> None:
    ours.rows.host()
    ours.publish()
    pod = ours.rows.pod("web")
    ours.watched.cut = lost("GET /allocation_candidates", times=99)
    assert ours.scheduler(first_host_s=0).run_once() is None
    assert ours.rows.again(pod).schedule_reason == (
        "No host can be chosen: The connection to Placement broke off. Try again later."
    )


def test_a_host_that_placement_does_not_know_yet_is_waited_for(ours: World) -> None:
    ours.rows.host()
    pod = ours.rows.pod("web")
    assert ours.scheduler().run_once() is not None
    assert "1 that Placement does not know yet" in str(ours.rows.again(pod).schedule_reason)
    ours.publish()
    ours.scheduler().run_once()
    assert ours.rows.again(pod).hostname == "host1"


def test_a_pod_that_is_deleted_while_it_is_claimed_for_leaves_nothing(ours: World) -> None:
    ours.rows.host()
    ours.publish()
    pod = ours.rows.pod("web")
    prov = ours.provisioner()

    def cut(call: str, done: bool) -> None:
        if call == "PUT /allocations" and not done:
            ours.rows.delete(pod)
            prov.take_back_once()

    ours.watched.cut = cut
    ours.scheduler().run_once()
    assert ours.taken() == {}
    prov.take_back_once()
    assert not ours.rows.exists(pod)
    assert ours.entries(pod) == []
    assert ours.rows.host_row().pods_claimed == 0


def test_a_pod_that_was_claimed_for_and_then_deleted_leaves_nothing(ours: World) -> None:
    ours.rows.host()
    ours.publish()
    pod = ours.rows.pod("web")
    ours.watched.cut = lost("PUT /allocations")
    ours.scheduler().run_once()
    assert set(ours.taken()) == {pod.uuid}
    ours.rows.delete(pod)
    ours.provisioner().take_back_once()
    assert not ours.rows.exists(pod)
    assert ours.taken() == {}


def test_a_consumer_left_without_anything_by_a_broken_request_is_no_hindrance(ours: World) -> None:
    ours.rows.host()
    ours.publish()
    ident = host_uuid(ours)
    wanted = Allocation(consumer=str(uuid.uuid4()), amounts={}, project_id="p", user_id="u", consumer_type="CONTAINER")
    with pytest.raises(errors.Invalid):  # Placement leaves the consumer behind when the provider is not there
        ours.placement.allocate(dataclasses.replace(wanted, amounts={str(uuid.uuid4()): {"VCPU": 1}}))
    wanted = dataclasses.replace(wanted, amounts={ident: {"VCPU": 1}})
    ours.placement.allocate(wanted)
    found = ours.placement.allocation(wanted.consumer)
    assert found is not None
    assert found.same_amounts(wanted)
    with pytest.raises(Full) as caught:
        ours.placement.allocate(dataclasses.replace(found, amounts={ident: {"VCPU": 99}}))
    assert caught.value.resource_class == "VCPU"
    assert ours.placement.allocation(wanted.consumer) == found
