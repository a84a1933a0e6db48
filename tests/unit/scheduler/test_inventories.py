"""How a host is told to Placement: what it has, what is kept of it, its traits, and a name that nobody else gives."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from higgins.cloud.placement import Inventory
from higgins.core import model, resources
from higgins.scheduler.inventories import Published, Reserved, provider_name, published
from higgins.store.claims import Ratios
from higgins.store.hosts import Host

INSTALLATION = "0a1b2c3d-0000-4000-8000-000000000000"
FACTS = model.HostFacts(
    hostname="host1",
    engine="podman",
    engine_version="5",
    engine_up=True,
    architecture="aarch64",
    runtimes=("crun", "runsc"),
    abilities=("exec",),
)
HOST = Host(
    id=1, uuid="u", hostname="host1", availability_zone="nova", disabled=False, disabled_reason=None, forced_down=False,
    version=1, cpu_milli_claimed=0, memory_mib_claimed=0, disk_gib_claimed=0, dedicated_cpus_claimed=0, pods_claimed=0,
    cpus=4, dedicated_cpus=0, memory_mib=1000, disk_gib=10, facts=FACTS, live_address=None, live_token=None,
    report_number=0, report_count=0, last_seen_at=None,
    created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), updated_at=None,
)  # fmt: skip
TRAITS = {
    "CUSTOM_HIGGINS_0A1B2C3D_0000_4000_8000_000000000000",
    "CUSTOM_HIGGINS_ENGINE_PODMAN",
    "CUSTOM_HIGGINS_RUNTIME_CRUN",
    "CUSTOM_HIGGINS_RUNTIME_RUNSC",
    "CUSTOM_HIGGINS_ABILITY_EXEC",
    "HW_ARCH_AARCH64",
}


def told(is_up: bool = True, reserved: Reserved | None = None, **changes: Any) -> Published | None:
    host = dataclasses.replace(HOST, **changes)
    return published(host, INSTALLATION, Ratios(), reserved or Reserved(), is_up=is_up)


def test_a_host_is_told_with_all_it_has() -> None:
    found = told(reserved=Reserved(cpus=1, memory_mib=2000, disk_gib=3))
    assert found is not None
    assert found.name == "higgins:0a1b2c3d:host1"
    assert found.inventories == {
        "VCPU": Inventory(total=4, reserved=1, allocation_ratio=16.0),
        "MEMORY_MB": Inventory(total=1000, reserved=1000, allocation_ratio=1.5),
        "DISK_GB": Inventory(total=10, reserved=3, allocation_ratio=1.0),
    }
    assert found.traits == TRAITS


def test_processors_set_aside_are_pinned_ones_and_promised_once() -> None:
    found = told(dedicated_cpus=3)
    assert found is not None
    assert found.inventories["VCPU"] == Inventory(total=1, allocation_ratio=16.0)
    assert found.inventories["PCPU"] == Inventory(total=3, allocation_ratio=1.0)


@pytest.mark.parametrize(
    "state",
    [{"disabled": True}, {"is_up": False}, {"facts": dataclasses.replace(FACTS, engine_up=False)}],
)
def test_a_host_that_shall_get_nothing_says_so(state: dict[str, Any]) -> None:
    found = told(**state)
    assert found is not None
    assert found.traits == TRAITS | {resources.DISABLED}


@pytest.mark.parametrize("nothing", [{"facts": None}, {"cpus": 0}, {"memory_mib": 0}])
def test_a_host_that_has_not_told_what_it_has_is_not_told(nothing: dict[str, Any]) -> None:
    assert told(**nothing) is None


def test_a_host_without_room_on_its_disk_has_none_at_placement() -> None:
    found = told(disk_gib=0)
    assert found is not None
    assert set(found.inventories) == {"VCPU", "MEMORY_MB"}


def test_a_name_is_never_a_hostname_nor_too_long() -> None:
    assert ":" in provider_name(INSTALLATION, "host1")
    assert len(provider_name(INSTALLATION, "h" * 255)) <= 200
