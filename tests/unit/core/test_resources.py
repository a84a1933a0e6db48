"""What a pod's size is at Placement, and how resource classes and traits are named."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, strategies

from higgins.core import resources


@dataclasses.dataclass
class Size:
    cpu_milli: int
    memory_mib: int
    disk_gib: int
    dedicated_cpus: int = 0


SIZES = strategies.integers(0, 10**7)


@pytest.mark.parametrize(
    ("cpu_milli", "whole"), [(0, None), (1, 1), (100, 1), (1000, 1), (1001, 2), (1500, 2), (16000, 16)]
)
def test_a_part_of_a_processor_counts_as_a_whole_one(cpu_milli: int, whole: int | None) -> None:
    assert resources.amounts(Size(cpu_milli, 0, 0)).get("VCPU") == whole


def test_processors_that_a_pod_has_for_itself_are_not_of_those_that_are_shared() -> None:
    assert resources.amounts(Size(3000, 64, 0, dedicated_cpus=3)) == {"PCPU": 3, "MEMORY_MB": 64}


def test_what_is_not_limited_takes_nothing() -> None:
    assert resources.amounts(Size(0, 0, 0)) == {}
    assert resources.amounts(Size(0, 5, 2)) == {"MEMORY_MB": 5, "DISK_GB": 2}


@given(SIZES, SIZES, SIZES, strategies.booleans())
def test_a_shape_is_short_and_says_all(cpu_milli: int, memory_mib: int, disk_gib: int, is_dedicated: bool) -> None:
    taken = resources.amounts(Size(cpu_milli, memory_mib, disk_gib, cpu_milli // 1000 if is_dedicated else 0))
    shape = resources.shape(taken)
    assert len(shape) <= 64
    assert dict(part.split(":") for part in shape.split(",") if part) == {k: str(v) for k, v in taken.items()}


@given(strategies.lists(strategies.text(max_size=300), min_size=1, max_size=3))
def test_a_trait_has_only_letters_that_placement_allows(parts: list[str]) -> None:
    assert re.fullmatch(r"CUSTOM_HIGGINS_[A-Z0-9_]{0,240}", resources.trait(*parts))


def test_architectures_have_their_standard_trait_where_there_is_one() -> None:
    assert resources.architecture("x86_64") == resources.architecture("amd64") == "HW_ARCH_X86_64"
    assert resources.architecture("riscv64") == "CUSTOM_HIGGINS_ARCH_RISCV64"


def test_words_are_a_users() -> None:
    assert resources.words({"VCPU", "DISK_GB"}) == "processors and disk space"
    assert "not enough memory left" in resources.no_room("MEMORY_MB")
    assert "not enough room left" in resources.no_room(None)
