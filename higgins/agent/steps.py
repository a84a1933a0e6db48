"""What a plan is made of and made from: the steps, and what a host has of a pod. Pure data; who decides imports it, and who does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from higgins.core import model
from higgins.core.phase import EngineState

ALIVE = (EngineState.RUNNING, EngineState.PAUSED)
ENDED = (EngineState.STOPPED, EngineState.DEAD)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One idempotent action on one thing, and why it is needed. The verb ``fail`` says that no action can help."""

    verb: str
    target: str
    why: str

    def __str__(self) -> str:
        return f"{self.verb} {self.target}: {self.why}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Have:
    """What this host has of one pod.

    ``containers`` are the engine's facts by container; ``runs`` the last run started and ``builds`` the build last made of each,
    from the journal. ``resolved`` images were pulled for this build, ``absent`` ones are known not to be on the host.
    ``files`` names the containers whose injected files are written, ``interrupted`` those that a restart of the host ended.
    ``namespace`` tells whether the pod's network namespace is there (``None``: the engine makes its own), ``plugs`` which ports have
    anything on this host, and whether each is whole. Of the volumes of Cinder that the pod has ``held`` are those of which anything may be
    left on this host, ``attached`` those of them that are mounted.
    """

    containers: Mapping[str, model.ContainerFacts] = dataclasses.field(default_factory=dict)
    runs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    builds: Mapping[str, int] = dataclasses.field(default_factory=dict)
    resolved: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    interrupted: frozenset[str] = frozenset()
    namespace: bool | None = None
    plugs: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    held: frozenset[str] = frozenset()
    attached: frozenset[str] = frozenset()

    def state(self, uuid: str) -> EngineState | None:
        """The engine's state of a container, None when there is none."""
        facts = self.containers.get(uuid)
        return facts.state if facts else None


def members(want: model.Assignment) -> tuple[model.ContainerSpec, ...]:
    """Every container of the pod in the order in which they start."""
    return want.spec.init_containers + want.spec.containers
