"""Limits that rootless podman cannot hold: known from its own words, left out of a create, and named in its facts. Asks no engine."""

import pytest

from higgins.core import model
from higgins.engine import api
from higgins.engine.dialect import translate
from higgins.engine.podman import translate as podman

ALL = ("cpus", "cpu_shares", "cpu_policy", "memory_mib", "pids_limit")
CREATION = api.Creation(
    pod="p",
    build=1,
    image="busybox",
    processors="2-3",
    spec=model.ContainerSpec(uuid="u", name="n", image="busybox", cpus=1.5, cpu_shares=2, memory_mib=64, pids_limit=9),
)
WORDS = {"CpuPeriod", "CpuQuota", "CpuShares", "CpusetCpus", "Memory", "MemorySwap", "PidsLimit"}


def info(version, controllers, *, rootless):
    host = {"cgroupVersion": version, "cgroupControllers": controllers, "security": {"rootless": rootless}}
    return podman.info({"host": host})


@pytest.mark.parametrize(
    ("version", "controllers", "cannot"),
    [
        ("v1", [], ALL),
        ("v1", ["memory", "cpu", "pids"], ALL),
        ("v2", None, ALL),
        ("v2", ["memory", "pids"], ("cpus", "cpu_shares", "cpu_policy")),
        ("v2", ["cpu", "memory", "pids"], ("cpu_policy",)),
        ("v2", ["cpuset", "cpu", "io", "memory", "pids"], ()),
    ],
)
def test_without_root_only_delegated_controllers_hold(version, controllers, cannot):
    assert info(version, controllers, rootless=True).cannot_limit == cannot


def test_root_holds_all_limits_or_is_refused_by_the_engine():
    assert info("v1", ["cpu"], rootless=False).cannot_limit == ()


@pytest.mark.parametrize(
    ("cannot", "left"),
    [((), WORDS), (ALL, set()), (("cpus", "cpu_shares", "cpu_policy"), {"Memory", "MemorySwap", "PidsLimit"})],
)
def test_what_cannot_hold_is_left_out_of_a_create(cannot, left):
    body = translate.creation_body(CREATION, "busybox", "")
    host = podman.creation_body(body, keeps_clock=True, cannot_limit=cannot)["HostConfig"]
    assert WORDS & set(host) == left
    assert host["NetworkMode"] == "bridge"
