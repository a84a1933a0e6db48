"""What is said of an image pull while it goes on."""

from __future__ import annotations

import threading

import pytest

from higgins.agent.hands.image import Pulls
from higgins.engine.api import ImageFacts, PullProgress
from higgins.engine.load import open_engine

KIB, MIB = 1024, 1024 * 1024


class Pulling:
    """The fake engine, with a pull that says what it is told to."""

    def __init__(self, seen):
        self._inner, self._seen = open_engine("fake", "fake:"), seen

    def pull(self, reference, *, progress, **_words):
        progress(self._seen)
        return ImageFacts(image_id="sha256:1", digest="sha256:1", names=(reference,), size_bytes=1)

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (PullProgress(), "pulling"),
        (PullProgress(text="Copying blob"), "Copying blob"),
        (PullProgress(layers=3, layers_done=1), "1 of 3 layers"),
        (PullProgress(layers=1, done_bytes=200 * KIB, total_bytes=700 * KIB), "0 of 1 layers, 200 of 700 KiB"),
        (PullProgress(layers=1, done_bytes=12, total_bytes=300), "0 of 1 layers"),
        (PullProgress(done_bytes=3 * MIB, total_bytes=40 * MIB), "3 of 40 MiB"),
    ],
)
def test_how_far_a_pull_is_in_words_of_its_size(seen, words):
    said, ended = [], threading.Event()
    pulls = Pulls(Pulling(seen), lambda _key: ended.set(), silence_s=60)
    assert pulls.ask("pod", "busybox", None, said.append) is None
    assert ended.wait(60)
    assert said == [words]
