"""Images that commits of ours began in Glance and nobody goes on with."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from higgins.cloud.glance import Glance
from higgins.control.container.commit import CONTAINER, INSTALLATION
from higgins.core.phase import Wish
from higgins.provision.audits.stray import Known, Stray, stray
from higgins.store import actions
from higgins.store.session import Database

_WITHOUT_DATA = ("queued", "saving")


def strays(known: Known, glance: Glance, db: Database) -> Iterator[Stray]:
    """Those without their data whose container has no commit open. One is open from before its image is made until after it is deleted."""
    for status in _WITHOUT_DATA:
        for image in glance.list(status=status, **{INSTALLATION: known.installation}):
            pod = str(image.properties.get(CONTAINER, ""))
            with db.read() as tx:
                goes_on = actions.is_open(tx, pod, Wish.COMMIT)
            if not goes_on:
                text = f"a commit of the container {pod or '(none)'} left it {status} in Glance, and nobody goes on with it"
                yield stray("image", image.uuid, text, functools.partial(glance.delete, image.uuid), left_by=pod)
