"""Hosts as providers and pods as consumers at the real Placement: told once, never over, found again after lost answers, given back."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import threading
import uuid
from collections.abc import Iterator

import pytest
from cloud_world import Cloud
from placement_world import RATIOS, SEALER, World, host_uuid, logged_in, lost, migrated, world

from higgins.cloud.placement import Allocation, Full, Inventory
from higgins.cloud.services import Services
from higgins.cloud.session import Session
from higgins.cmd import parts
from higgins.control.containers import Containers
from higgins.control.means import Means
from higgins.control.requests import ContainerChange
from higgins.control.service import build
from higgins.core import errors, resources
from higgins.core.caller import Caller
from higgins.core.phase import Phase, Wish
from higgins.core.status import derive
from higgins.policy.enforce import Policy
from higgins.provision.allocations import Allocations
from higgins.provision.loop import Provisioner
from higgins.scheduler.loop import Scheduler
from higgins.store import hosts, pods, quotas
from higgins.store.loops.holds import Holder
from higgins.store.session import Database
from higgins.store.upkeep import audit
from higgins.wire import hints
from tests.contract.store_rows import status


@pytest.fixture(scope="module")
def session(cloud: Cloud) -> Session:
    return logged_in((cloud.place / "secret" / "higgins").read_text().strip())


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def ours(session: Session, empty: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[World]:
    shutil.copyfile(empty, tmp_path / "higgins.db")
    yield from world(f"sqlite:///{tmp_path}/higgins.db", session)


def test_a_host_is_a_provider_with_what_it_has(ours: World) -> None:
    ours.rows.host(architecture="x86_64")
    ours.publish()
    ident = host_uuid(ours)
    provider = ours.placement.provider(ident)
    assert provider is not None
    assert provider.name == f"higgins:{ours.installation[:8]}:host1"
    assert ours.placement.inventories(ident)[1] == {
        "VCPU": Inventory(total=4, reserved=0, allocation_ratio=2.0),
        "MEMORY_MB": Inventory(total=8192, reserved=100, allocation_ratio=1.0),
        "DISK_GB": Inventory(total=100, reserved=0, allocation_ratio=1.0),
    }
    assert ours.placement.traits(ident)[1] == {
        resources.trait(ours.installation),
        "HW_ARCH_X86_64",
        "CUSTOM_HIGGINS_ENGINE_FAKE",
        "CUSTOM_HIGGINS_RUNTIME_RUNC",
        "CUSTOM_HIGGINS_ABILITY_PAUSE",
        "CUSTOM_HIGGINS_ABILITY_VOLUMES",
    }


def test_only_changes_are_sent_and_what_others_added_stays(ours: World) -> None:
    ours.rows.host()
    publisher = ours.publisher()
    publisher.run_once()
    ident = host_uuid(ours)
    ours.watched.calls.clear()
    publisher.run_once()
    assert ours.watched.calls == []
    ours.publish()
    assert [call for call in ours.watched.calls if not call.startswith("GET")] == []
    generation, traits = ours.placement.traits(ident)
    ours.placement.set_traits(ident, generation, {*traits, "HW_CPU_X86_AVX"})
    with ours.db.write() as tx:
        hosts.disable(tx, "host1")
    ours.rows.host(memory_mib=4096)
    publisher.run_once()
    assert ours.placement.traits(ident)[1] == {*traits, "HW_CPU_X86_AVX", resources.DISABLED}
    assert ours.placement.inventories(ident)[1]["MEMORY_MB"].total == 4096


def test_two_controllers_tell_the_same(ours: World) -> None:
    for number in range(4):
        ours.rows.host(f"host{number}")
    failed: list[Exception] = []

    def publish() -> None:
        try:
            ours.publish()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ours.publish()
    assert len(ours.ours()) == 4
    # Placement answers 500 where two change one provider's traits at the same moment; the loop's next pass makes that good.
    assert [error for error in failed if not isinstance(error, errors.Conflict | errors.Unavailable)] == []


def test_a_removed_host_is_no_provider_any_more_whatever_was_left_on_it(ours: World) -> None:
    ours.rows.host()
    ours.publish()
    ident = host_uuid(ours)
    left = Allocation(
        consumer=str(uuid.uuid4()), amounts={ident: {"VCPU": 1}}, project_id="p", user_id="u", consumer_type="CONTAINER"
    )
    ours.placement.allocate(left)
    with ours.db.write() as tx:
        hosts.delete(tx, "host1")
    ours.publish()
    assert ours.placement.provider(ident) is None
    assert ours.placement.allocation(left.consumer) is None


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
    gate = threading.Barrier(len(replicas))

    def run(replica: Database) -> None:
        keeper = ours.keeper(replica, Holder())
        loop = Scheduler(replica, hints.LocalHints(), ratios=RATIOS, keeper=keeper)
        gate.wait()
        while loop.run_once() is not None:
            pass

    threads = [threading.Thread(target=run, args=(replica,)) for replica in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for replica in replicas:
        replica.close()
    placed = [one for one in map(ours.rows.again, made) if one.host_id is not None]
    assert len(placed) == 7
    assert set(ours.taken()) == {pod.uuid for pod in placed}
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


def test_a_resize_moves_the_allocation(ours: World) -> None:
    ours.rows.host()
    ours.publish()
    pod = ours.placed()
    ours.provisioner().make_once()
    for cpu_milli, memory_mib in ((3000, 2048), (500, 64)):
        changed = ours.rows.wish(ours.rows.again(pod), Wish.RESIZE, cpu_milli=cpu_milli, memory_mib=memory_mib)
        ours.provisioner().make_once()
        assert ours.rows.again(pod).provision_generation == changed.generation
        assert ours.taken() == {pod.uuid: {"VCPU": -(-cpu_milli // 1000), "MEMORY_MB": memory_mib}}
        assert [entry.shape for entry in ours.entries(pod)] == [f"MEMORY_MB:{memory_mib},VCPU:{-(-cpu_milli // 1000)}"]


def test_a_resize_whose_answer_was_lost_is_found_again(ours: World) -> None:
    ours.rows.host()
    ours.publish()
    pod = ours.placed()
    ours.provisioner().make_once()
    ours.rows.wish(ours.rows.again(pod), Wish.RESIZE, memory_mib=1024)
    ours.watched.cut = lost("PUT /allocations")
    assert ours.provisioner().make_once() is not None
    ours.provisioner().make_once()
    assert ours.rows.again(pod).provision_generation == 2
    assert ours.taken()[pod.uuid]["MEMORY_MB"] == 1024


def containers(ours: World) -> Containers:
    means = Means(
        db=ours.db,
        sealer=SEALER,
        policy=Policy(),
        hint=hints.after_wish(),
        installation=ours.installation,
        services=Services(session=ours.session, placement=ours.placement),
    )
    return build(means, parts.AgentQuestions()).containers


def member() -> Caller:
    return Caller(user_id="user", project_id="project", roles=frozenset({"member"}), request_id=f"req-{uuid.uuid4()}")


def running(ours: World, **sizes: int) -> pods.Pod:
    """A pod that its host has dealt with."""
    ours.rows.host(abilities=("resize",))
    ours.publish()
    pod = ours.placed(**sizes)
    ours.provisioner().make_once()
    assert pod.host_id is not None
    ours.rows.report(pod.host_id, 1, (pod, status(Phase.RUNNING, 1)))
    return ours.rows.again(pod)


def test_a_user_grows_and_shrinks_his_container(ours: World) -> None:
    pod = running(ours)
    ours.watched.calls.clear()
    containers(ours).resize(member(), pod.uuid, ContainerChange(memory_mib=4096))
    assert ours.watched.calls == ["GET /allocations", "PUT /allocations"]
    assert ours.taken()[pod.uuid]["MEMORY_MB"] == 4096
    ours.provisioner().make_once()
    assert ours.rows.again(pod).provision_generation == 2
    assert [(entry.made_at is not None, entry.shape) for entry in ours.entries(pod)] == [
        (True, "MEMORY_MB:4096,VCPU:1")
    ]
    ours.rows.report(1, 2, (pod, status(Phase.RUNNING, 2)))
    containers(ours).resize(member(), pod.uuid, ContainerChange(memory_mib=64))
    ours.provisioner().make_once()
    assert ours.taken()[pod.uuid]["MEMORY_MB"] == 64


def test_a_resize_that_placement_refuses_is_answered_at_once_and_changes_nothing(ours: World) -> None:
    pod = running(ours)
    other = Allocation(
        consumer=str(uuid.uuid4()),
        amounts={host_uuid(ours): {"MEMORY_MB": 7000}},
        project_id="p",
        user_id="u",
        consumer_type="INSTANCE",
    )
    ours.placement.allocate(other)
    before = ours.rows.again(pod)
    with pytest.raises(errors.OutOfCapacity, match="host1 has not enough memory left for this size"):
        containers(ours).resize(member(), pod.uuid, ContainerChange(memory_mib=4096))
    assert ours.rows.usage().memory_mib == 512
    ours.provisioner().make_once()
    assert ours.rows.again(pod)._replace(host_version=0) == before._replace(host_version=0)
    assert ours.taken()[pod.uuid]["MEMORY_MB"] == 512
    assert [entry.made_at is not None for entry in ours.entries(pod)] == [True]
    containers(ours).stop(member(), pod.uuid, timeout_s=1)
    ours.provisioner().make_once()
    assert ours.rows.again(pod).provision_generation == 2


@pytest.mark.parametrize("call", ["PUT /allocations", "GET /allocations"])
def test_a_resize_whose_own_answer_was_lost_is_put_right(ours: World, call: str) -> None:
    pod = running(ours)
    ours.watched.cut = lost(call)
    with pytest.raises(errors.Unavailable):
        containers(ours).resize(member(), pod.uuid, ContainerChange(memory_mib=4096))
    ours.provisioner().make_once()
    assert ours.taken()[pod.uuid]["MEMORY_MB"] == 512
    assert ours.rows.again(pod).provision_generation == 1
    assert ours.rows.again(pod).provision_reason is None


def test_a_resize_over_quota_gives_the_room_back(ours: World) -> None:
    pod = running(ours)
    with ours.db.write() as tx:
        quotas.set_limits(tx, "project", {"memory": 600})
    with pytest.raises(errors.OverQuota):
        containers(ours).resize(member(), pod.uuid, ContainerChange(memory_mib=4096))
    ours.provisioner().make_once()
    assert ours.taken()[pod.uuid]["MEMORY_MB"] == 512


def test_a_placement_that_is_away_afterwards_fails_no_settled_container(ours: World) -> None:
    pod = running(ours)
    ours.watched.cut = lost("GET /allocations", times=99)
    with pytest.raises(errors.Unavailable):
        containers(ours).resize(member(), pod.uuid, ContainerChange(memory_mib=4096))
    old = Provisioner(
        ours.db, hints.LocalHints(), [Allocations(ours.placement)], SEALER, holder=ours.holder, deadline_s=0
    )
    assert old.make_once() is not None
    assert derive(ours.rows.again(pod)).status == "Running"


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
