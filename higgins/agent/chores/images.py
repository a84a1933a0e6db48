"""Looks after the images that a host was asked to have, or not to have, in its engine's store."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable

from higgins.agent.hands.image import Pulls
from higgins.agent.hands.shelf import Shelf, check_name
from higgins.agent.loop import Timings
from higgins.agent.queue import WorkQueue
from higgins.agent.report import Reporter
from higgins.core import errors, model
from higgins.core.phase import PullPolicy
from higgins.engine.api import Engine, ImageFacts
from higgins.wire.contract import ImageReport

PREFIX = "image:"
MOST_ATTEMPTS = 8


class Images:
    """The wanted images; keys in the work queue are theirs when ``owns`` says so."""

    def __init__(
        self, engine: Engine, pulls: Pulls, shelf: Shelf, reporter: Reporter, queue: WorkQueue, timings: Timings
    ) -> None:
        self._engine, self._pulls, self._shelf = engine, pulls, shelf
        self._reporter, self._queue, self._timings = reporter, queue, timings
        self._lock = threading.Lock()
        self._wants: dict[str, model.ImageWish] = {}
        self._attempts: dict[str, int] = {}

    def owns(self, key: str) -> bool:
        """Whether a key of the queue is an image's."""
        return key.startswith(PREFIX)

    def assign(self, wants: Iterable[model.ImageWish], *, full: bool) -> None:
        """Take wished images from the controller; when they are ``full``, others are nobody's any more."""
        wants = tuple(wants)
        with self._lock:
            changed = [want for want in wants if self._wants.get(want.uuid) != want]
            gone = set(self._wants) - {want.uuid for want in wants} if full else set()
            for want in changed:
                self._wants[want.uuid] = want
                self._attempts.pop(want.uuid, None)
            for uuid in gone:
                del self._wants[uuid]
        for uuid in gone:
            self._pulls.leave(PREFIX + uuid)
            self._reporter.forget_image(uuid)
        for want in changed:
            self._queue.add(PREFIX + want.uuid)

    def again(self) -> None:
        """The engine is back: look at every image."""
        with self._lock:
            uuids = list(self._wants)
            self._attempts.clear()
        for uuid in uuids:
            self._queue.add(PREFIX + uuid)

    def look_after(self, key: str) -> None:
        """Bring one image to where it is wanted, and report it."""
        with self._lock:
            want = self._wants.get(key.removeprefix(PREFIX))
        if want is None:
            return
        try:
            check_name(want.image)
            if not want.wanted:
                self._pulls.leave(key)
                self._engine.remove_image(want.image)
                self._say(want, "gone")
                return
            facts = self._have(key, want)
        except errors.HigginsError as error:
            self._trouble(key, want, error)
            return
        if facts:
            self._say(want, "ready", image_id=facts.image_id, size_bytes=facts.size_bytes)
        else:
            self._say(want, "pulling")

    def _have(self, key: str, want: model.ImageWish) -> ImageFacts | None:
        if want.pull_policy is not PullPolicy.ALWAYS or self._is_ready(want):
            try:
                return self._engine.image(want.image)
            except errors.ImageNotFound:
                if want.pull_policy is PullPolicy.NEVER:
                    raise
        facts = self._pulls.ask(key, want.image, None, lambda text: self._say(want, "pulling", reason=text))
        if facts:
            self._shelf.fetched(want.image, facts, "")
        return facts

    def _is_ready(self, want: model.ImageWish) -> bool:
        told = self._reporter.latest_image(want.uuid)
        return told is not None and told.generation == want.generation and told.phase == "ready"

    def _trouble(self, key: str, want: model.ImageWish, error: errors.HigginsError) -> None:
        with self._lock:
            attempts = self._attempts[want.uuid] = self._attempts.get(want.uuid, 0) + 1
        if error.retryable and attempts < MOST_ATTEMPTS:
            delay_s = min(self._timings.backoff_most_s, self._timings.backoff_first_s * 2 ** (attempts - 1))
            self._queue.add(key, after_s=delay_s * random.uniform(0.75, 1.25))  # noqa: S311
            self._say(want, "pulling", reason=f"{error.message} It is tried again.")
            return
        self._say(want, "failed", reason=error.message)

    def _say(
        self,
        want: model.ImageWish,
        phase: str,
        *,
        reason: str = "",
        image_id: str | None = None,
        size_bytes: int | None = None,
    ) -> None:
        self._reporter.image(
            ImageReport(
                uuid=want.uuid,
                generation=want.generation,
                phase=phase,
                reason=reason,
                image_id=image_id,
                size_bytes=size_bytes,
            )
        )
