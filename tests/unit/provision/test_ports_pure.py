"""What is decided about ports and groups without asking anybody."""

from __future__ import annotations

import re

import pytest

from higgins.cloud.neutron import NewPort, Rule
from higgins.core import errors
from higgins.provision.groups import exposed_rules
from higgins.provision.ports import changed, explained, mac_of

NEW = NewPort(
    network_id="net-1", project_id="project-1", name="n", description="d", device_id="pod-1", device_owner="o", host="h",
    fixed_ips=("10.0.0.9",), security_groups=("group-1",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("present", "before", "now", "after"),
    [
        (("a",), (), (), None),
        (("a",), ("a",), ("a",), None),
        (("a",), (), ("b",), ("a", "b")),
        (("a", "b"), ("b",), (), ("a",)),
        (("users",), ("a",), ("a",), None),
        (("users",), ("a",), ("a", "b"), ("users", "b")),
        (("users", "a"), ("a",), ("b",), ("users", "b")),
        (("b",), (), ("b",), None),
        (("a",), ("gone",), (), None),
    ],
)
def test_only_what_the_wish_changes_is_changed(present, before, now, after) -> None:
    assert changed(present, before, now) == after


def test_a_mac_is_neutrons_and_the_pods_own() -> None:
    macs = {mac_of(pod, net) for pod in ("p1", "p2") for net in ("n1", "n2")}
    assert len(macs) == 4
    assert all(re.fullmatch(r"fa:16:3e(:[0-9a-f]{2}){3}", mac) for mac in macs)
    assert mac_of("p1", "n1") == mac_of("p1", "n1")


def test_a_port_exposed_twice_has_one_rule_for_each_version() -> None:
    assert exposed_rules(["80/tcp", "80/tcp", "53/udp"]) == [
        Rule(4, "tcp", 80), Rule(6, "tcp", 80), Rule(4, "udp", 53), Rule(6, "udp", 53)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("refusal", "kind", "says"),
    [
        (errors.OverQuota("Quota exceeded for resources: ['port']."), errors.OverQuota, "no more ports"),
        (errors.NotFound("Network net-1 could not be found."), errors.Invalid, "network net-1 is gone"),
        (errors.NotFound("Security group group-1 does not exist"), errors.Invalid, "security group of the container"),
        (errors.Conflict("No more IP addresses available on network net-1."), errors.Invalid, "no free address left"),
        (errors.Conflict("IP address 10.0.0.9 already allocated in subnet s"), errors.Invalid, "is in use"),
    ],
)
def test_refusals_say_what_to_do(refusal, kind, says) -> None:
    told = explained(refusal, NEW)
    assert type(told) is kind
    assert not told.retryable
    assert says in told.message
    assert refusal.message in told.message


def test_what_is_not_understood_stays_as_it_was_said() -> None:
    refusal = errors.Conflict("Neutron: something else.")
    assert explained(refusal, NEW) is refusal
