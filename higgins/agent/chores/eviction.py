"""Takes images that came from Glance, and what interrupted commits left, out of the engine once nothing has used them for a while.

Only names of ours are ever touched; what users pulled or committed is theirs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from higgins.agent.execute import granted, of_glance
from higgins.agent.hands.glance import local_name
from higgins.agent.plan import members
from higgins.core import errors, model
from higgins.core.names import LOCAL_IMAGES
from higgins.core.phase import Desired
from higgins.engine.api import Engine

LOG = logging.getLogger(__name__)
_OURS = (f"{LOCAL_IMAGES}/glance:", f"{LOCAL_IMAGES}/commit:")


class Eviction:
    """Finds and removes unused images; from one thread at a time.

    ``wanted`` gives the assignments of the host, ``held`` the names that something is being done with now.
    """

    def __init__(
        self,
        engine: Engine,
        wanted: Callable[[], Iterable[model.Assignment]],
        held: Callable[[], frozenset[str]],
        *,
        unused_s: float,
    ) -> None:
        self._engine, self._wanted, self._held, self._unused_s = engine, wanted, held, unused_s
        self._unused: dict[str, float] = {}

    def sweep(self) -> tuple[str, ...]:
        """Remove what has been unused for long enough; gives the names. What a container still uses stays."""
        ours = {name for facts in self._engine.images() for name in facts.names if name.startswith(_OURS)}
        spared = self._held() | {name for want in self._wanted() for name in _named_by(want)}
        now = time.monotonic()
        self._unused = {name: self._unused.get(name, now) for name in ours - spared}
        due = sorted(name for name, since in self._unused.items() if now - since >= self._unused_s)
        return tuple(name for name in due if self._remove(name))

    def _remove(self, name: str) -> bool:
        if name in self._held():
            return False
        try:
            self._engine.remove_image(name)
        except errors.Conflict:
            return False  # a container uses it, so that it is looked at again
        LOG.info("Removed the image %s, which nothing used", name)
        self._unused.pop(name, None)
        return True


def _named_by(want: model.Assignment) -> Iterable[str]:
    if want.desired is Desired.DELETED:
        return
    for spec in members(want):
        if of_glance(want, spec.image) and spec.image in want.images:
            yield local_name(granted(want, spec.image))
