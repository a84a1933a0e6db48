"""Which processors a container runs on: no two have one for themselves, whoever asks when, and all others keep off those set aside."""

from __future__ import annotations

import concurrent.futures
import dataclasses

import pytest

from higgins.agent.hands.processors import Processors
from higgins.core import cpusets, errors, model
from higgins.engine import api
from higgins.engine.fake.driver import FakeEngine
from higgins.engine.fake.store import MemoryStore

EVERY = frozenset(range(8))


def container(uuid: str, cpus: float | None, policy: str = "dedicated") -> model.ContainerSpec:
    return model.ContainerSpec(uuid=uuid, name=uuid, image="busybox", cpus=cpus, cpu_policy=policy)


@dataclasses.dataclass
class Host:
    """An engine and who chooses processors on it."""

    engine: FakeEngine
    processors: Processors

    def make(self, spec: model.ContainerSpec) -> str:
        """Create it; where it may run."""
        with self.processors.chosen(spec) as chosen:
            self.engine.create(api.Creation(pod=spec.uuid, build=1, spec=spec, image="busybox", processors=chosen))
        return chosen


@pytest.fixture
def host() -> Host:
    engine = FakeEngine(MemoryStore(), {})
    engine.pull("busybox")
    return Host(engine, Processors(engine, dedicated=frozenset({2, 3, 6, 7}), every=EVERY))


def test_each_has_the_lowest_that_nobody_has_and_gives_them_back(host: Host) -> None:
    assert host.make(container("a", 1)) == "2"
    assert host.make(container("b", 2)) == "3,6"
    assert host.engine.inspect("b").processors == "3,6"
    host.engine.remove("a")
    assert host.make(container("c", 2)) == "2,7"


def test_all_others_run_on_what_is_left_and_have_none_for_themselves(host: Host) -> None:
    for uuid, cpus in (("a", None), ("b", 0.5), ("c", 3)):
        assert host.make(container(uuid, cpus, "shared")) == "0-1,4-5"
        assert host.engine.inspect(uuid).processors == ""
    assert host.make(container("d", 4)) == "2-3,6-7"


def test_where_none_are_set_aside_everybody_runs_everywhere(host: Host) -> None:
    host.processors = Processors(host.engine, dedicated=frozenset(), every=EVERY)
    assert host.make(container("a", 1, "shared")) == ""
    assert host.processors.set_aside == 0


def test_too_few_are_refused_with_how_many_there_are_and_nothing_is_made(host: Host) -> None:
    host.make(container("a", 3))
    with pytest.raises(errors.OutOfCapacity, match="has 1 of the 2 processors free"):
        host.make(container("b", 2))
    assert [facts.uuid for facts in host.engine.list()] == ["a"]


def test_one_that_is_made_anew_does_not_stand_in_its_own_way(host: Host) -> None:
    spec = container("a", 3)
    assert host.make(spec) == "2-3,6"
    with host.processors.chosen(spec) as chosen:
        assert chosen == "2-3,6"


def test_those_who_ask_at_one_moment_never_share(host: Host) -> None:
    specs = [container(f"c{number}", 1) for number in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        chosen = list(pool.map(host.make, specs))
    assert sorted(chosen) == ["2", "3", "6", "7"]


def test_an_agent_that_comes_later_knows_from_the_engine_what_is_taken(host: Host) -> None:
    host.make(container("a", 2))
    host.processors = Processors(host.engine, dedicated=frozenset({2, 3, 6, 7}), every=EVERY)
    assert host.make(container("b", 2)) == "6-7"


@pytest.mark.parametrize(
    ("dedicated", "words"),
    [("2,9-10", "does not have: 9-10. It has 0-7"), ("0-7", "Leave at least one")],
)
def test_what_cannot_be_set_aside_is_said_at_once(host: Host, dedicated: str, words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        Processors(host.engine, dedicated=cpusets.parse(dedicated), every=EVERY)
