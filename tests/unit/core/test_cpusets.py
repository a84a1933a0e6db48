"""Processors by their numbers: what is written is read again, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from higgins.core import cpusets, errors


@given(strategies.frozensets(strategies.integers(0, 99_999), max_size=40))
def test_what_is_written_is_read_again(numbers: frozenset[int]) -> None:
    assert cpusets.parse(cpusets.text(numbers)) == numbers


@pytest.mark.parametrize(
    ("text", "numbers", "again"),
    [
        ("", [], ""),
        (" ", [], ""),
        ("3", [3], "3"),
        ("8, 2 - 4,3", [2, 3, 4, 8], "2-4,8"),
        ("0-1,1-2", [0, 1, 2], "0-2"),
    ],
)
def test_runs_are_written_short(text: str, numbers: list[int], again: str) -> None:
    assert sorted(cpusets.parse(text)) == numbers
    assert cpusets.text(numbers) == again


@pytest.mark.parametrize("text", ["x", "1-", "-1", "3-1", "1,,2", "1;2", "0x1", "1.5", "999999"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(errors.Invalid, match=r"2-5,8"):
        cpusets.parse(text)
