"""The fake engine's stream of events ends when the engine is closed, at whatever moment."""

from __future__ import annotations

import threading

import pytest

from higgins.core import errors
from higgins.engine.fake.driver import FakeEngine
from higgins.engine.fake.store import MemoryStore


class Changed(threading.Condition):
    """Does something once, just before it is next taken."""

    before = None

    def __enter__(self):
        before, self.before = self.before, None
        if before:
            before()
        return super().__enter__()


def ends(stream) -> list[str]:
    """What a stream without events ended with."""
    told = []

    def follow():
        with pytest.raises(errors.Unavailable) as caught:
            next(stream)
        told.append(caught.value.message)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    thread.join(20)
    return told


def test_a_close_just_before_the_stream_begins_to_wait_ends_it():
    store = MemoryStore()
    store.changed = Changed(threading.RLock())
    engine = FakeEngine(store)

    def connected():
        store.changed.before = engine.close

    assert ends(engine.events(connected)) == ["The fake engine was closed."]
