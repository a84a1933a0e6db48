"""Turns: what one party, and all of them, may have at once."""

from __future__ import annotations

import threading

import pytest

from higgins.core import errors
from higgins.threads.turns import Turns


def test_one_party_has_its_share_and_all_have_theirs():
    turns = Turns(3, 2, wait_s=0)
    first, second = turns.take("a", "no"), turns.take("a", "no")
    with pytest.raises(errors.Busy, match="enough of a"):
        turns.take("a", "enough of a")
    with turns.take("b", "no"), pytest.raises(errors.Busy, match="enough"):
        turns.take("c", "enough of all")
    first.close()
    first.close()
    with turns.take("a", "no"), pytest.raises(errors.Busy):
        turns.take("a", "a turn that is closed twice is one")
    second.close()


def test_a_turn_given_back_goes_to_who_waits_for_it():
    turns = Turns(1, 1, wait_s=60)
    held = turns.take("a", "no")
    got = threading.Event()

    def wait():
        with turns.take("a", "no"):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    held.close()
    assert got.wait(60)
    waiting.join()


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 16])
def test_some_threads_are_always_left_where_there_are_several(threads):
    turns = Turns.of(threads)
    assert 1 <= turns._each <= turns._total <= threads
    assert turns._each < threads or threads == 1
