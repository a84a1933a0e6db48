"""Containers that grow and shrink at the real Placement: refused at once, put right after lost answers, never failed by it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import uuid
from collections.abc import Callable

import pytest

from higgins.cloud.placement import Allocation
from higgins.cloud.services import Services
from higgins.cmd import parts
from higgins.control.containers import Containers
from higgins.control.means import Means
from higgins.control.requests import ContainerChange
from higgins.control.service import build
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.core.phase import Phase, Wish
from higgins.core.status import derive
from higgins.policy.enforce import Policy
from higgins.provision.allocations import Allocations
from higgins.provision.loop import Provisioner
from higgins.store import pods, quotas
from higgins.wire import hints
from tests.cloud.placement.placement_world import SEALER, World, host_uuid, lost
from tests.contract.store_rows import status


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


def containers(ours: World, policy: Policy | None = None) -> Containers:
    means = Means(
        db=ours.db,
        sealer=SEALER,
        policy=policy or Policy(),
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
    with pytest.raises(errors.OutOfCapacity, match="not enough memory left"):
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


class ShrinksMeanwhile(Policy):
    """Another request makes the container smaller as soon as it was read for the first time."""

    def __init__(self, shrink: Callable[[], object]) -> None:
        super().__init__()
        self._shrink: Callable[[], object] | None = shrink

    def require(self, caller: Caller, rule: str, target_project: str | None = None) -> None:
        if target_project is not None and self._shrink is not None:
            shrink, self._shrink = self._shrink, None
            shrink()
        super().require(caller, rule, target_project)


def test_what_was_no_growth_when_it_was_asked_takes_no_room_that_nobody_has_asked_for(ours: World) -> None:
    pod = running(ours, memory_mib=4096)
    policy = ShrinksMeanwhile(lambda: ours.rows.wish(ours.rows.again(pod), Wish.RESIZE, memory_mib=64))
    late = containers(ours, policy)
    with pytest.raises(errors.Conflict, match="Try again"):
        late.resize(member(), pod.uuid, ContainerChange(memory_mib=4096))
    assert ours.rows.again(pod).memory_mib == 64
    ours.provisioner().make_once()
    late.resize(member(), pod.uuid, ContainerChange(memory_mib=4096))
    assert ours.taken()[pod.uuid]["MEMORY_MB"] == 4096


def test_two_resizes_at_once_leave_the_size_of_the_last(ours: World) -> None:
    pod = running(ours)
    both, gate = containers(ours), threading.Barrier(2)

    def resize(memory_mib: int) -> None:
        gate.wait()
        while True:
            with contextlib.suppress(errors.Conflict):  # the other is not done yet
                both.resize(member(), pod.uuid, ContainerChange(memory_mib=memory_mib))
                return

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        list(threads.map(resize, (1024, 2048)))
    now = ours.rows.again(pod)
    assert now.generation == 3
    ours.provisioner().make_once()
    assert ours.taken()[pod.uuid]["MEMORY_MB"] == now.memory_mib
    assert ours.rows.again(pod).provision_generation == 3
