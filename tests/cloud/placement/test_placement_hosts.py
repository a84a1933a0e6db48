"""Hosts of ours as providers at the real Placement: told once, by any controller, beside what others put there."""

from __future__ import annotations

import threading
import uuid

from higgins.cloud.placement import Allocation, Inventory
from higgins.core import errors, resources
from higgins.store import hosts
from tests.cloud.placement.placement_world import World, host_uuid


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


def test_a_host_that_another_controller_has_just_told_of_keeps_its_provider(ours: World) -> None:
    ours.rows.host()
    ours.publish()

    def cut(call: str, _done: bool) -> None:
        ours.watched.cut = lambda _call, _done: None
        ours.rows.host("host2")
        ours.publish()
        ours.rows.pod("web")
        ours.scheduler().run_once()

    ours.watched.cut = cut
    ours.publish()
    assert set(ours.ours()) == {host_uuid(ours), host_uuid(ours, "host2")}
    assert len(ours.taken()) == 1


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
