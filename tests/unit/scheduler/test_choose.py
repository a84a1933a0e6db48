"""The choice of a host: each filter with its words, spreading, and whether waiting makes sense."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, strategies

from higgins.scheduler.choose import NO_HOST, Ask, Option, Refused, choose, objection

HOST = Option(
    host_id=1,
    hostname="host1",
    uuid="uuid1",
    room=(4000.0, 1000.0, 10.0, 2.0),
    labels={"disk": "ssd"},
    runtimes=frozenset({"runc"}),
    abilities=frozenset({"volumes"}),
)


@pytest.mark.parametrize(
    ("ask", "host", "why"),
    [
        (Ask(), HOST, None),
        (Ask(requested_host="host1"), HOST, None),
        (Ask(requested_host="uuid1"), HOST, None),
        (Ask(requested_host="host2"), HOST, "other than host2, which was asked for"),
        (Ask(homes=frozenset({1})), HOST, None),
        (Ask(homes=frozenset({2})), HOST, "without the volumes"),
        (Ask(homes=frozenset({1, 2})), HOST, "without all of the volumes, which are on different hosts"),
        (Ask(availability_zone="nova"), HOST, None),
        (Ask(availability_zone="west"), HOST, "outside the availability zone west"),
        (Ask(labels={"disk": "ssd"}), HOST, None),
        (Ask(labels={"disk": "hdd", "a": "b"}), HOST, "without the labels a=b, disk=hdd"),
        (Ask(), dataclasses.replace(HOST, enabled=False), "disabled"),
        (Ask(), dataclasses.replace(HOST, up=False), "down"),
        (Ask(), dataclasses.replace(HOST, engine_up=False), "with an engine that does not answer"),
        (Ask(runtimes=frozenset({"runc"})), HOST, None),
        (Ask(runtimes=frozenset({"kata", "runc"})), HOST, "without the runtime kata"),
        (Ask(abilities=frozenset({"volumes"})), HOST, None),
        (Ask(abilities=frozenset({"pause"})), HOST, "with an engine that cannot do pause"),
        (Ask(cpu_milli=4000, memory_mib=1000, disk_gib=10), HOST, None),
        (Ask(cpu_milli=4001), HOST, "without enough processors"),
        (Ask(memory_mib=1001, disk_gib=11), HOST, "without enough memory and disk space"),
        (Ask(cpu_milli=1), dataclasses.replace(HOST, claimed=(4000, 0, 0, 0)), "without enough processors"),
        (Ask(memory_mib=1), dataclasses.replace(HOST, claimed=(9999, 0, 0, 0)), None),
        (Ask(cpu_milli=2000, dedicated_cpus=2), dataclasses.replace(HOST, claimed=(4000, 0, 0, 0)), None),
        (Ask(cpu_milli=3000, dedicated_cpus=3), HOST, "without enough dedicated processors"),
        (Ask(cpu_milli=4000), HOST.with_claim(Ask(cpu_milli=2000, dedicated_cpus=2)), None),
        (
            Ask(cpu_milli=1000, dedicated_cpus=1),
            HOST.with_claim(Ask(cpu_milli=2000, dedicated_cpus=2)),
            "without enough dedicated processors",
        ),
    ],
)
def test_each_filter_says_why(ask: Ask, host: Option, why: str | None) -> None:
    assert objection(ask, host) == why


def test_the_least_filled_host_is_chosen() -> None:
    roomy = dataclasses.replace(HOST, host_id=2, hostname="host2", room=(8000.0, 2000.0, 20.0, 2.0))
    assert choose(Ask(memory_mib=100), [HOST, roomy]) is roomy
    filled = roomy.with_claim(Ask(memory_mib=1500))
    assert choose(Ask(memory_mib=100), [HOST, filled]) is HOST


def test_pods_without_a_size_spread_by_count() -> None:
    options = {1: HOST, 2: dataclasses.replace(HOST, host_id=2)}
    for _ in range(10):
        chosen = choose(Ask(), options.values())
        assert isinstance(chosen, Option)
        options[chosen.host_id] = chosen.with_claim(Ask())
    assert [option.pods for option in options.values()] == [5, 5]


def test_a_refusal_counts_its_reasons_the_commonest_first() -> None:
    hosts = [HOST, HOST, dataclasses.replace(HOST, enabled=False)]
    refused = choose(Ask(memory_mib=2000), hosts)
    assert refused == Refused(f"{NO_HOST} Of 3 hosts: 2 without enough memory, 1 disabled.", False)
    assert choose(Ask(), []) == Refused(f"{NO_HOST} No host has been enrolled yet.", False)


@pytest.mark.parametrize(
    ("ask", "host", "may"),
    [
        (Ask(), dataclasses.replace(HOST, up=False, room=(0.0, 0.0, 0.0, 0.0), runtimes=frozenset()), True),
        (Ask(memory_mib=5), dataclasses.replace(HOST, up=False, room=(0.0, 0.0, 0.0, 0.0)), True),
        (Ask(), dataclasses.replace(HOST, engine_up=False), True),
        (Ask(), dataclasses.replace(HOST, up=False, enabled=False), False),
        (Ask(availability_zone="west"), dataclasses.replace(HOST, up=False), False),
        (Ask(memory_mib=5000), HOST, False),
    ],
)
def test_waiting_makes_sense_for_a_host_that_would_suit_if_it_were_up(ask: Ask, host: Option, may: bool) -> None:
    answer = choose(ask, [host])
    assert isinstance(answer, Refused)
    assert answer.may_come_up is may


_sizes = strategies.integers(0, 2000)


@given(
    asks=strategies.lists(
        strategies.builds(Ask, cpu_milli=_sizes, memory_mib=_sizes, disk_gib=strategies.integers(0, 4))
        | strategies.builds(lambda cpus: Ask(cpu_milli=1000 * cpus, dedicated_cpus=cpus), strategies.integers(0, 4))
    ),
    rooms=strategies.lists(
        strategies.tuples(_sizes, _sizes, strategies.integers(0, 20), strategies.integers(0, 8)), max_size=4
    ),
)
def test_what_is_chosen_always_has_room_and_what_is_refused_never_would(
    asks: list[Ask], rooms: list[tuple[int, int, int, int]]
) -> None:
    options = {
        number: dataclasses.replace(HOST, host_id=number, room=tuple(float(size) for size in room))
        for number, room in enumerate(rooms)
    }
    for ask in asks:
        is_dedicated = ask.dedicated_cpus > 0
        sizes = (0 if is_dedicated else ask.cpu_milli, ask.memory_mib, ask.disk_gib, ask.dedicated_cpus)
        able = {
            option.host_id
            for option in options.values()
            if all(
                not more or held + more <= room
                for more, held, room in zip(sizes, option.claimed, option.room, strict=True)
            )
        }
        chosen = choose(ask, options.values())
        if isinstance(chosen, Refused):
            assert not able
        else:
            assert chosen.host_id in able
            options[chosen.host_id] = chosen.with_claim(ask)


def test_who_keeps_count_of_room_elsewhere_may_refuse_a_host() -> None:
    full = dataclasses.replace(HOST, refused="without enough memory at Placement")
    answer = choose(Ask(), [full])
    assert isinstance(answer, Refused)
    assert answer == Refused(f"{NO_HOST} Of 1 host: 1 without enough memory at Placement.", may_come_up=False)
    other = dataclasses.replace(HOST, host_id=2)
    assert choose(Ask(), [full, other]) == other


def test_a_host_that_is_soon_offered_is_waited_for_if_it_would_suit() -> None:
    coming = dataclasses.replace(HOST, refused="that Placement does not know yet", awaited=True)
    answers = [choose(Ask(availability_zone=zone), [coming]) for zone in ("nova", "west")]
    assert [isinstance(answer, Refused) and answer.may_come_up for answer in answers] == [True, False]
