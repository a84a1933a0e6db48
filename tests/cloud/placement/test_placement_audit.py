"""The audit of Placement: each kind of planted orphan is found, put right, and not found again."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from placement_world import SEALER, World, host_uuid

from higgins.cloud.placement import Allocation
from higgins.cmd import audit
from higgins.provision.audits import placement as placement_audit
from higgins.provision.audits.stray import Audit
from higgins.store import hosts, pods, tables
from higgins.store.records import installation


def nobody(found: World, consumer_type: str = "CONTAINER") -> Allocation:
    """An allocation that belongs to no pod."""
    left = Allocation(
        consumer=str(uuid.uuid4()),
        amounts={host_uuid(found): {"VCPU": 1}},
        project_id="p",
        user_id="u",
        consumer_type=consumer_type,
    )
    found.placement.allocate(left)
    return left


def look(found: World, *, repair: bool = False) -> list[tuple[str, str]]:
    """What is found, as kind and identity, with nothing of the hosts, which do not run."""
    one = Audit(
        "Placement", placement_audit.KINDS, lambda known: placement_audit.strays(known, found.placement, found.db)
    )
    result = audit.look(found.db, SEALER, [one], repair=repair, stuck_after_s=900)
    return [(one.kind, one.ident) for one in result.findings if one.kind != "host"]


@pytest.fixture
def running(ours: World) -> pods.Pod:
    with ours.db.write() as tx:
        installation.ensure(tx, SEALER)
        tx.change(tables.installation.update().values(uuid=ours.installation))
    ours.rows.host()
    ours.publish()
    pod = ours.placed()
    ours.provisioner().make_once()
    assert look(ours) == []
    return ours.rows.again(pod)


def taken_too_much(found: World, pod: pods.Pod) -> None:
    there = found.placement.allocation(pod.uuid)
    assert there is not None
    found.placement.allocate(
        Allocation(
            consumer=pod.uuid,
            amounts={host_uuid(found): {"VCPU": 3, "MEMORY_MB": 1}},
            project_id="p",
            user_id="u",
            consumer_type="CONTAINER",
            generation=there.generation,
        )
    )


@pytest.mark.parametrize("plant", [taken_too_much, lambda found, pod: found.placement.give_back(pod.uuid)])
def test_an_allocation_that_is_not_the_pods_size_is_made_so(
    ours: World, running: pods.Pod, plant: Callable[[World, pods.Pod], None]
) -> None:
    before = ours.taken()
    plant(ours, running)
    assert look(ours) == [("allocation", running.uuid)]
    assert look(ours, repair=True) == [("allocation", running.uuid)]
    ours.provisioner().make_once()
    assert look(ours) == []
    assert ours.taken() == before


def test_an_allocation_of_no_pod_is_given_back_and_another_services_left(ours: World, running: pods.Pod) -> None:
    left, theirs = nobody(ours), nobody(ours, "INSTANCE")
    assert look(ours, repair=True) == [("allocation", left.consumer)]
    assert look(ours) == []
    assert set(ours.taken()) == {running.uuid, theirs.consumer}


def test_a_provider_of_a_host_that_is_no_more_goes(ours: World, running: pods.Pod) -> None:
    ours.rows.host("host2")
    ours.publish()
    gone = host_uuid(ours, "host2")
    with ours.db.write() as tx:
        hosts.delete(tx, "host2")
    assert look(ours, repair=True) == [("provider", gone)]
    assert look(ours) == []
    assert set(ours.taken()) == {running.uuid}


def test_a_ledger_entry_of_a_pod_that_is_gone_goes_with_its_allocation(ours: World, running: pods.Pod) -> None:
    with ours.db.write() as tx:
        tx.change(tables.pods.delete().where(tables.pods.c.uuid == running.uuid))
    assert ("allocation", running.uuid) in look(ours, repair=True)
    assert [kind for kind, _ in look(ours)] == []
    assert ours.taken() == {}
