"""Makes an image of Glance of a container: begun while its user waits, then carried on by a thread of our own, a chunk at a time.

The user's token makes the empty image, so that it is his project's by Glance's own rules; what takes longer than his request has our account.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import TypeVar

from higgins.cloud.glance import Glance, NewImage
from higgins.control.container import picture
from higgins.control.means import Means
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.core.phase import Wish
from higgins.store import actions
from higgins.store.pods import Pod
from higgins.threads.turns import Turn, Turns

LOG = logging.getLogger(__name__)

AT_ONCE = 4
OF_ONE_PROJECT = 2
DISK_FORMAT = "qcow2"
"""What Zun says of the images that its commits make, whatever is in them."""

SENDING_S = 3600.0
"""How long the data may take to reach Glance; then a commit is given up."""

PATIENCE_S = 600.0
"""How long Glance is asked what came of it, and then the database to take that down, while they do not answer."""

LONGEST_S = SENDING_S + 2 * PATIENCE_S
"""After so long no commit goes on: what stands half made in Glance later than that is nobody's."""

INSTALLATION = "higgins_installation"
"""The property by which an installation finds images of its commits again."""

CONTAINER = "higgins_container"

_UNDECIDED = ("saving", "uploading", "importing")

Given = TypeVar("Given")
Take = Callable[[], AbstractContextManager[Iterator[bytes]]]
"""Asks the container's agent for an archive of it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Commit:
    """One on its way."""

    pod: Pod
    request_id: str
    image: str
    take: Take
    turn: Turn


class Commits:
    """The commits that go on in this process; each ends its action with what came of it."""

    def __init__(self, means: Means, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._means, self._pause = means, pause
        self._room = Turns(AT_ONCE, OF_ONE_PROJECT)

    def begin(self, caller: Caller, pod: Pod, *, repository: str, tag: str | None, take: Take) -> str:
        """The uuid of the image that is being made; raises what Glance says to the user who wants one more, or ``Busy``."""
        glance = picture.port(self._means, caller)
        turn = self._room.take(
            pod.project_id, "Too many containers are being committed just now. Try again in a while."
        )
        new = NewImage(
            uuid=str(uuid.uuid4()),
            name=repository,
            disk_format=DISK_FORMAT,
            tags=() if not tag else (tag,),
            properties={INSTALLATION: self._means.installation, CONTAINER: pod.uuid},
        )
        request = caller.request_id
        try:
            with self._means.db.write() as tx:
                actions.start(tx, pod.uuid, pod.project_id, caller.user_id, request, Wish.COMMIT, generation=None)
            self._make(glance, new, caller, pod)
        except BaseException:
            turn.close()
            raise
        commit = _Commit(pod=pod, request_id=request, image=new.uuid, take=take, turn=turn)
        threading.Thread(target=self._carry, args=(glance, commit), name=f"commit {new.uuid}", daemon=True).start()
        return new.uuid

    def _make(self, glance: Glance, new: NewImage, caller: Caller, pod: Pod) -> None:
        try:
            glance.create(new, token=caller.token)
        except errors.HigginsError as error:
            if error.retryable:  # it may have been made, though its answer was lost
                with suppress(errors.HigginsError):
                    glance.delete(new.uuid)
            with self._means.db.write() as tx:
                actions.finish(tx, pod.uuid, caller.request_id, error=error.message)
            raise

    def _carry(self, glance: Glance, commit: _Commit) -> None:
        try:
            failure = self._sent(glance, commit)
        except errors.HigginsError as error:
            failure = error.message
        except Exception:  # the loop of a thread: the action must end
            LOG.exception("The commit of container %s broke", commit.pod.uuid)
            failure = "The commit failed; the service's log says why."
        finally:
            commit.turn.close()
        if failure is not None:
            LOG.warning("The commit of container %s failed: %s", commit.pod.uuid, failure)
        try:
            self._patiently(lambda: self._end(commit, failure), "The end of a commit")
        except errors.HigginsError as error:
            LOG.error("How the commit of container %s ended could not be written: %s", commit.pod.uuid, error.message)

    def _sent(self, glance: Glance, commit: _Commit) -> str | None:
        """Why the image is not there, ``None`` when it is; what is known not to be whole is deleted, and nothing else."""
        data = _Data()
        failure = "Glance did not take the whole image. Try again."
        try:
            with commit.take() as chunks:
                glance.upload(commit.image, data.given(chunks))
        except errors.HigginsError as error:
            failure = error.message
        # The answer to an upload may be lost, and the image is there.
        if data.ended and self._is_whole(glance, commit.image):
            return None
        try:
            glance.delete(commit.image)
        except errors.HigginsError as error:
            LOG.warning("The image %s of a failed commit is deleted later: %s", commit.image, error.message)
        return failure

    def _is_whole(self, glance: Glance, image: str) -> bool:
        """What Glance says once it knows; ``Unavailable`` when it says nothing for long: then the image is left as it is."""

        def ask() -> bool:
            found = glance.get(image)
            if found.status in _UNDECIDED:
                raise errors.NotReady(f"The image {image} is {found.status} in Glance.")
            return found.is_active

        try:
            return self._patiently(ask, "What came of a commit")
        except errors.ImageNotFound:
            return False
        except errors.HigginsError as error:
            raise errors.Unavailable(
                f"All data went to Glance, which does not say whether it took them. See whether the image {image} is active there."
            ) from error

    def _patiently(self, work: Callable[[], Given], what: str) -> Given:
        """What ``work`` gives; tried again with growing pauses while those whom it asks do not answer."""
        waited_s, pause_s = 0.0, 0.5
        while True:
            try:
                return work()
            except errors.HigginsError as error:
                if not error.retryable or waited_s >= PATIENCE_S:
                    raise
                LOG.warning("%s is asked for again in %g s: %s", what, pause_s, error.message)
            self._pause(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(2 * pause_s, 30.0)

    def _end(self, commit: _Commit, failure: str | None) -> None:
        with self._means.db.write() as tx:
            actions.finish(tx, commit.pod.uuid, commit.request_id, error=failure)


class _Data:
    """What is sent, and whether all of it was given."""

    def __init__(self) -> None:
        self.ended = False

    def given(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks; ``Timeout`` when they take too long."""
        until = time.monotonic() + SENDING_S
        for chunk in chunks:
            if time.monotonic() > until:
                raise errors.Timeout(
                    f"The image took longer than {SENDING_S / 60:.0f} minutes. Make the container smaller."
                )
            yield chunk
        self.ended = True
