"""Decide what a host must do for the volumes of Cinder of one pod. Pure, as ``plan`` is, which asks it.

A volume is mounted before a container that needs it is created or started, and let go of after the last container of the pod is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from higgins.agent.steps import Have, Step, Verb, members
from higgins.core import model


def before_use(steps: Iterable[Step], want: model.Assignment, have: Have) -> Iterator[Step]:
    """The steps, and before each the volumes that it needs and that are not mounted: never so yet, or no more since the host was down."""
    missing = {
        grant.uuid: grant.name for grant in want.volumes if grant.driver == "cinder" and grant.name not in have.attached
    }
    mounts = {spec.uuid: [mount.volume for mount in spec.mounts] for spec in members(want)} if missing else {}
    for step in steps:
        if missing and step.verb in (Verb.CREATE, Verb.START):
            for key in mounts.get(step.target, ()):
                name = missing.pop(key or "", None)
                if name is not None:
                    yield Step(Verb.ATTACH, name, "its mount is gone" if name in have.held else "not on this host yet")
        yield step


def after(have: Have, why: str) -> Iterator[Step]:
    """Let go of every volume, once no container is left."""
    for name in sorted(have.held):
        yield Step(Verb.DETACH, name, why)
