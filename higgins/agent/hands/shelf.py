"""Which image in the host's store a pod's name means, where the name alone does not tell: not all that lies there is for everybody.

A project's commits have names of ours that only it comes to. What was fetched with a login is for those who have asked the registry for it
themselves. It knows the engine and the journal; pulling is done by ``hands.image``.
"""

from __future__ import annotations

import hashlib
import threading

from higgins.agent.journal import Journal
from higgins.core import errors
from higgins.core import reference as grammar
from higgins.core.names import LOCAL_IMAGES
from higgins.engine import api, reference

_OWN = f"{LOCAL_IMAGES}/project/"


class Shelf:
    """Every method may be called from any thread. ``login`` is the uuid of a registry's record, empty for none."""

    def __init__(self, engine: api.Engine, journal: Journal) -> None:
        self._engine, self._journal = engine, journal
        self._lock = threading.Lock()
        self._commits: set[str] | None = None

    def own(self, project: str, image: str) -> api.ImageFacts | None:
        """What the project committed here under this name."""
        check_name(image)
        name = _own_name(project, image)
        with self._lock:
            if self._commits is None:
                every = (name for facts in self._engine.images() for name in facts.names)
                self._commits = {name for name in every if name.startswith(_OWN)}
            if name not in self._commits:
                return None
        try:
            return self._engine.image(name)
        except errors.ImageNotFound:
            with self._lock:
                self._commits.discard(name)
            return None

    def commit(self, engine: api.CanCommit, container: str, project: str, image: str) -> api.ImageFacts:
        """Keep a container's file system so that only this project finds it under the name."""
        check_name(image)
        name = _own_name(project, image)
        repository, _, tag = name.rpartition(":")
        facts = engine.commit(container, repository, tag)
        with self._lock:
            if self._commits is not None:
                self._commits.add(name)
        return facts

    def found(self, image: str, login: str) -> api.ImageFacts | None:
        """The image of this name that one with this login may use without asking its registry; ``ImageNotFound`` without any.

        ``None`` where everybody may use what is there, which then need not be looked at.
        """
        if not self._journal.is_closed(_repository(image)):
            return None
        facts = self._engine.image(image)
        if not self._journal.has_fetched(facts.image_id, login):
            raise errors.ImageNotFound(f"The image {image} is not on this host for this container. Pull it first.")
        return facts

    def fetching(self, image: str, login: str) -> None:
        """One with this login begins to fetch an image: from now on others who want it have to ask its registry too."""
        if login:
            self._journal.close_repository(_repository(image))

    def fetched(self, image: str, facts: api.ImageFacts, login: str) -> None:
        """The registry gave an image to one with this login."""
        if self._journal.is_closed(_repository(image)):
            self._journal.fetched(facts.image_id, login)


def check_name(image: str) -> None:
    """``Invalid`` for a name that stands for something else than an image of a registry, whoever let it pass."""
    if grammar.parse(image).is_ours:
        raise errors.Invalid(f"'{image}' cannot be named: {LOCAL_IMAGES} is no registry.")


def _repository(image: str) -> str:
    return reference.parse(image).repository


def _own_name(project: str, image: str) -> str:
    """A name of ours that says by itself whose commit it is; its last part is there for who looks into the engine."""
    named = reference.parse(image)
    whose = hashlib.sha256(f"{project}\n{named.repository}".encode()).hexdigest()[:40]
    return f"{_OWN}{whose}/{named.path.rpartition('/')[2]}:{named.tag or named.digest.partition(':')[2]}"
