"""Pauses: what a loop has put off, and for how long."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from higgins.threads.pauses import Pauses


class Thing(NamedTuple):
    uuid: str
    generation: int


WEB = Thing("web", 1)


def itself(one: Thing) -> Thing:
    return one


def test_what_is_under_way_is_looked_at_soon_and_what_fails_after_it_is_not_put_off_for_long() -> None:
    pauses = Pauses()
    assert [pauses.put_off(WEB, underway=True) <= 5.0 for _ in range(50)] == [True] * 50
    assert pauses.times(WEB.uuid) == 50
    assert pauses.put_off(WEB) <= 1.0
    assert pauses.times(WEB.uuid) == 1


def test_what_fails_again_and_again_waits_longer_each_time_though_it_is_under_way_in_between() -> None:
    pauses = Pauses()
    waits = []
    for _ in range(6):
        waits.append(pauses.put_off(WEB))
        assert pauses.put_off(WEB, underway=True) <= 0.25
    assert all(longest / 2 <= wait <= longest for wait, longest in zip(waits, (1, 2, 4, 8, 16, 32), strict=True))
    assert pauses.put_off(WEB._replace(generation=2)) <= 1.0, "a newer wish begins anew"


def test_a_pause_ends_with_a_newer_wish_and_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("higgins.threads.pauses._FIRST_PAUSE_S", 3600.0)
    pauses = Pauses()
    pauses.put_off(WEB)
    assert pauses.let_through([WEB], itself) == []
    assert pauses.next_s() is not None
    newer = WEB._replace(generation=2)
    assert pauses.let_through([newer], itself) == [newer]
    monkeypatch.setattr("higgins.threads.pauses._FIRST_PAUSE_S", 0.0)
    pauses.put_off(newer)
    assert pauses.let_through([newer], itself) == [newer]
    assert pauses.next_s() is None, "it is being tried"
    assert pauses.room() > 500
    pauses.put_off(newer)
    assert pauses.next_s() == 0, "it has become due since it was looked for"
