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

from higgins.cloud.glance import Glance, NewImage
from higgins.control.container import picture
from higgins.control.means import Means
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.core.phase import Wish
from higgins.store import actions
from higgins.store.pods import Pod
from higgins.wire.turns import Turn, Turns

LOG = logging.getLogger(__name__)

AT_ONCE = 4
OF_ONE_PROJECT = 2
DISK_FORMAT = "qcow2"
"""What Zun says of the images that its commits make, whatever is in them."""

LONGEST_S = 3600.0
"""After so long a commit is given up: what stands half made in Glance later than that is nobody's."""

INSTALLATION = "higgins_installation"
"""The property by which an installation finds images of its commits again."""

CONTAINER = "higgins_container"

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

    def __init__(self, means: Means) -> None:
        self._means = means
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
        failure: str | None
        try:
            with commit.take() as chunks:
                glance.upload(commit.image, _in_time(chunks))
            failure = None if glance.get(commit.image).is_active else "Glance did not take the whole image. Try again."
        except errors.HigginsError as error:
            failure = error.message
        except Exception:  # the loop of a thread: the action must end, and nothing be left in Glance
            LOG.exception("The commit of container %s broke", commit.pod.uuid)
            failure = "The commit failed; the service's log says why."
        finally:
            commit.turn.close()
        if failure is not None:
            LOG.warning("The commit of container %s failed: %s", commit.pod.uuid, failure)
            try:
                glance.delete(commit.image)
            except errors.HigginsError as error:
                LOG.warning("The image %s of a failed commit is deleted later: %s", commit.image, error.message)
        with self._means.db.write() as tx:
            actions.finish(tx, commit.pod.uuid, commit.request_id, error=failure)


def _in_time(chunks: Iterator[bytes]) -> Iterator[bytes]:
    until = time.monotonic() + LONGEST_S
    for chunk in chunks:
        if time.monotonic() > until:
            raise errors.Timeout(
                f"The image took longer than {LONGEST_S / 60:.0f} minutes. Make the container smaller."
            )
        yield chunk
