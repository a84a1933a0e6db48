"""Commits to Glance on its bad days: what is whole there stays and is told so, and only what is known not to be whole is deleted."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from higgins.cloud.glance import Glance
from higgins.cloud.services import Services
from higgins.control.container.commit import Commits
from higgins.core import errors
from higgins.core.phase import Phase
from higgins.store import actions
from tests.contract.control.control_plane import ControlPlane, caller

AWAY = errors.Unavailable("Glance does not answer.")
CHUNKS = (b"one", b"two")


class Shop:
    """A Glance of one image; what goes wrong is put into ``gets`` and ``after_upload``, and comes once each."""

    def __init__(self) -> None:
        self.image: dict[str, Any] = {}
        self.gets: list[errors.HigginsError | str] = []
        self.after_upload: errors.HigginsError | None = None
        self.takes_it = True
        self.deleted = False

    def call(self, method: str, path: str, *, body: Any = None, **_words: Any) -> Any:
        if method == "POST":
            self.image = {**body, "status": "queued"}
        elif self.gets:
            wrong = self.gets.pop(0)
            if isinstance(wrong, errors.HigginsError):
                raise wrong
            return self.image | {"status": wrong}
        return self.image

    def raw(self, method: str, path: str, *, data: Any = None, **_words: Any) -> None:
        if method == "DELETE":
            self.deleted = True
            return
        assert tuple(data) == CHUNKS
        self.image["status"] = "active" if self.takes_it else "queued"
        if self.after_upload is not None:
            raise self.after_upload


@dataclasses.dataclass
class Bad:
    """A commit that is tried in such a world."""

    plane: ControlPlane
    shop: Shop
    paused: list[float] = dataclasses.field(default_factory=list)

    def committed(self, *, broken: errors.HigginsError | None = None) -> actions.Action:
        """Its action's row once its thread has ended."""
        services = Services(session=cast("Any", None), glance=Glance(cast("Any", self.shop)))
        commits = Commits(dataclasses.replace(self.plane.means, services=services), pause=self.paused.append)
        pod, who = self.plane.made(phase=Phase.STOPPED), dataclasses.replace(caller(), token="token")

        @contextlib.contextmanager
        def take() -> Iterator[Iterator[bytes]]:
            def chunks() -> Iterator[bytes]:
                yield CHUNKS[0]
                if broken is not None:
                    raise broken
                yield CHUNKS[1]

            yield chunks()

        image = commits.begin(who, pod, repository="web", tag=None, take=take)
        for thread in threading.enumerate():
            if thread.name == f"commit {image}":
                thread.join(120)
        return self.plane.control.actions.get(who, pod.uuid, who.request_id)[0]


@pytest.fixture
def bad(plane: ControlPlane) -> Bad:
    return Bad(plane, Shop())


def test_a_whole_image_is_asked_for_until_glance_answers(bad: Bad) -> None:
    bad.shop.gets = [AWAY, errors.Timeout("Late."), "saving"]
    ended = bad.committed()
    assert (ended.message, ended.finished_at is None, bad.shop.deleted) == (None, False, False)
    assert bad.paused == [0.5, 1.0, 2.0]


def test_a_lost_answer_to_the_upload_is_no_failure(bad: Bad) -> None:
    bad.shop.after_upload = AWAY
    assert bad.committed().message is None
    assert not bad.shop.deleted


@pytest.mark.parametrize("refusal", [None, errors.OverQuota("Glance has no room for more.")])
def test_what_glance_did_not_take_is_deleted_and_says_why(bad: Bad, refusal: errors.HigginsError | None) -> None:
    bad.shop.takes_it, bad.shop.after_upload = False, refusal
    ended = bad.committed()
    assert bad.shop.deleted
    assert ended.reason == ("Glance did not take the whole image. Try again." if refusal is None else refusal.message)


def test_what_broke_off_is_deleted_unasked(bad: Bad) -> None:
    ended = bad.committed(broken=errors.Unavailable("The host went away."))
    assert (ended.reason, bad.shop.deleted, bad.paused) == ("The host went away.", True, [])


def test_an_image_of_which_nothing_is_known_is_left_and_named(bad: Bad) -> None:
    bad.shop.gets = [AWAY] * 100
    ended = bad.committed()
    assert bad.shop.image["id"] in (ended.reason or "")
    assert not bad.shop.deleted


def test_the_end_is_written_when_the_database_is_back(bad: Bad, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [2]

    def finish(*_args: Any, **_words: Any) -> None:
        left[0] -= 1
        if not left[0]:
            monkeypatch.undo()
        raise errors.Unavailable("The database does not answer.")

    monkeypatch.setattr(actions, "finish", finish)
    ended = bad.committed()
    assert (ended.message, ended.finished_at is None) == (None, False)
    assert bad.paused == [0.5, 1.0]
