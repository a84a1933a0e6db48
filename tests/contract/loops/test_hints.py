"""Hints between processes over a datagram socket, and the pulse of a loop."""

from __future__ import annotations

import pathlib
import socket
import stat
import threading

from higgins.core import errors
from higgins.wire import hints
from higgins.wire.pulse import Pulse
from tests.contract.store_rows import until


def test_topics_of_hosts_are_told_apart() -> None:
    assert hints.host_of(hints.host_topic(17)) == 17
    for topic in (hints.SCHEDULE, "host/", "host/x", "17", ""):
        assert hints.host_of(topic) is None


def test_a_wish_is_told_to_those_who_deal_with_it() -> None:
    local, topics = hints.LocalHints(), []
    local.listen(topics.append)
    tell = hints.after_wish(local)
    tell(None)
    assert topics == [hints.SCHEDULE]
    tell(3)
    assert topics[1:] == [hints.PROVISION, hints.host_topic(3)]
    tell(3, straight=True)
    assert topics[3:] == [hints.host_topic(3)]


def test_a_datagram_reaches_the_listeners_of_the_other_process(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hints.sock"
    local, topics = hints.LocalHints(), []
    local.listen(topics.append)
    ear = hints.DatagramEar(path, local)
    ear.start()
    mouth = hints.DatagramHints(path)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        mouth.nudge(hints.SCHEDULE)
        mouth.nudge(hints.host_topic(3))
        until(lambda: len(topics) == 2, "both are heard")
        assert topics == [hints.SCHEDULE, "host/3"]
    finally:
        ear.stop()
        mouth.close()


def test_an_ear_takes_over_the_socket_of_a_dead_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hints.sock"
    local, topics = hints.LocalHints(), []
    local.listen(topics.append)
    first, second = hints.DatagramEar(path, hints.LocalHints()), hints.DatagramEar(path, local)
    mouth = hints.DatagramHints(path)
    first.start()
    second.start()
    try:
        first.stop()
        mouth.nudge("x")
        until(lambda: topics == ["x"], "the newer one hears")
    finally:
        mouth.close()
        second.stop()


def test_nobody_there_and_a_full_socket_are_fine(tmp_path: pathlib.Path) -> None:
    mouth = hints.DatagramHints(tmp_path / "hints.sock")
    mouth.nudge("lost")
    deaf = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    deaf.bind(str(tmp_path / "hints.sock"))
    for _ in range(5000):
        mouth.nudge("lost")
    deaf.close()
    mouth.nudge("lost")
    mouth.close()


class Work:
    def __init__(self) -> None:
        self.passes = 0
        self.errors: list[Exception] = []
        self.again_s: float | None = None
        self.done = threading.Event()

    def __call__(self) -> float | None:
        self.passes += 1
        if self.errors:
            raise self.errors.pop()
        self.done.set()
        return self.again_s


def test_a_pulse_passes_at_the_start_and_at_each_hint_of_its_own() -> None:
    local, work = hints.LocalHints(), Work()
    pulse = Pulse("test", work, local, ("mine",), interval_s=3600)
    pulse.start()
    try:
        until(lambda: work.passes == 1, "the first pass")
        local.nudge("mine")
        until(lambda: work.passes == 2, "the pass of the hint")
        local.nudge("other")
        local.nudge("mine")
        until(lambda: work.passes == 3, "the pass of the second hint")
    finally:
        pulse.stop()
    assert work.passes == 3


def test_a_pulse_outlives_errors_and_comes_back_sooner_when_asked() -> None:
    work = Work()
    work.errors = [RuntimeError("unforeseen"), errors.Unavailable("no database")]
    pulse = Pulse("test", work, hints.LocalHints(), (), interval_s=3600)
    pulse.start()
    try:
        assert work.done.wait(120)
        assert work.passes == 3
    finally:
        pulse.stop()
    work.again_s = 0.0
    pulse.start()
    try:
        until(lambda: work.passes > 6, "it comes back at once")
    finally:
        pulse.stop()
