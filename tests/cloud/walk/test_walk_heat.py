"""A user's walk with Heat: a stack with networks, a volume and two containers is made, changed in place and taken away whole."""

from __future__ import annotations

import pathlib
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from tests.cloud.cloud_world import People, until
from tests.cloud.walk.typed_commands import OpenStack

pytestmark = pytest.mark.usefixtures("nothing_left")

TEMPLATE = pathlib.Path(__file__).parent / "stack.yaml"
IDLE = "sh -c 'trap exit TERM; sleep 1000 & wait'"
OWN = "stack list -f json", "appcontainer list -f json", "volume list -f json"


def output(user: OpenStack, stack: str, key: str) -> Any:
    """What the stack says of itself."""
    return user.shown(f"stack output show {stack} {key}")["output_value"]


def test_a_stack_is_made_changed_in_place_and_taken_away(
    member: OpenStack, people: People, afterwards: Callable[..., object]
) -> None:
    stack = f"{people.name}-stack"
    words = f"--wait --timeout 5 -t {TEMPLATE} --parameter command={shlex.quote(IDLE)}"
    delete = f"stack delete -y --wait {stack}"
    afterwards(lambda: member.said(f"stack show {stack}").well and member(delete))
    member(f"stack create --poll 1 {words} --parameter name={stack}-front {stack}")
    front, back = output(member, stack, "front"), output(member, stack, "back")
    network, there = member.settled(front)["networks"], member.settled(back)["addresses"]
    until("an echo", lambda: member.said(f"appcontainer exec {front} ping -c 1 -W 1 {there}").code == 0)
    member(f"appcontainer exec {front} sh -c 'echo kept > /data/note'")
    member(f"appcontainer exec {front} touch /of-this-life")
    assert len(member.shown("volume list")) == 2

    changed = f"{words} --parameter name={stack}-renamed --parameter cpu=0.4 --parameter memory=96"
    member(f"stack update {changed} --parameter second_network=true {stack}")
    shown = member.settled(f"{stack}-renamed")
    assert (shown["uuid"], float(shown["cpu"]), shown["memory"]) == (front, 0.4, "96")
    assert len(shown["networks"].split(", ")) == 2, shown
    assert "10.98.0." in member(f"appcontainer exec {front} ip -4 addr")
    member(f"appcontainer exec {front} ls /of-this-life /data/note")

    member(f"stack update {changed} --parameter second_network=false {stack}")
    assert member.settled(front)["networks"] == network
    assert network in output(member, stack, "addresses")
    assert "10.98.0." not in member(f"appcontainer exec {front} ip -4 addr")
    member(f"appcontainer exec {front} ls /of-this-life")

    member(delete)
    assert [member(line) for line in OWN] == ["[]", "[]", "[]"]
    assert [one["Name"] for one in member.shown("network list --internal") if stack in one["Name"]] == []
