"""What a plan is made of and made from: the steps, and what a host has of a pod. Pure data; who decides imports it, and who does."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Self

from higgins.core import model
from higgins.core.phase import EngineState

ALIVE = (EngineState.RUNNING, EngineState.PAUSED)
ENDED = (EngineState.STOPPED, EngineState.DEAD)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What must be known of a verb beside how it is done.

    ``harmless``: failing at it leaves the containers as they are, so that the pod's phase stays what the engine says. ``needs_all``: a
    remembered assignment, without secrets, is not enough for it. ``ends`` containers, or comes before that. ``connects`` a port.
    ``apart``: it comes at the end, and that one of these cannot be done keeps no other, so that storage that is gone holds no port.
    ``echoes`` are the engine's words for it and ``leaves`` the state that the container then has: said once each, that is no news.
    """

    harmless: bool = False
    needs_all: bool = False
    ends: bool = False
    connects: bool = False
    apart: bool = False
    echoes: tuple[str, ...] = ()
    leaves: EngineState | None = None

    @property
    def on_container(self) -> bool:
        """Whether its target is a container: then the engine says something of it."""
        return bool(self.echoes)


class Verb(enum.StrEnum):
    """Every step that there is; events carry the words. ``FAIL`` says that no action can help."""

    traits: Traits

    def __new__(cls, word: str, traits: Traits) -> Self:
        """A verb is its word."""
        verb = str.__new__(cls, word)
        verb._value_ = word
        verb.traits = traits
        return verb

    FAIL = "fail", Traits()
    PULL = "pull", Traits(needs_all=True)
    MAKE_NETWORK = "make_network", Traits()
    PLUG = "plug", Traits(harmless=True, connects=True)
    UNPLUG = "unplug", Traits(harmless=True, apart=True)
    REMOVE_NETWORK = "remove_network", Traits()
    CREATE_VOLUME = "create_volume", Traits(needs_all=True)
    REMOVE_VOLUME = "remove_volume", Traits()
    ATTACH = "attach", Traits(needs_all=True)
    DETACH = "detach", Traits(needs_all=True, apart=True)
    WRITE_FILES = "write_files", Traits(needs_all=True)
    REMOVE_FILES = "remove_files", Traits()
    CREATE = "create", Traits(echoes=("create", "created"), needs_all=True)
    START = "start", Traits(echoes=("start", "running"), leaves=EngineState.RUNNING)
    STOP = (
        "stop",
        Traits(
            echoes=("stop", "kill", "die", "cleanup", "stopped"), leaves=EngineState.STOPPED, harmless=True, ends=True
        ),
    )
    PAUSE = "pause", Traits(echoes=("pause", "paused"), leaves=EngineState.PAUSED, harmless=True)
    UNPAUSE = "unpause", Traits(echoes=("unpause", "running"), leaves=EngineState.RUNNING, harmless=True, ends=True)
    RESIZE = "resize", Traits(echoes=("update",), harmless=True)
    CONNECT = "connect", Traits(echoes=("connect",), harmless=True, connects=True)
    DISCONNECT = "disconnect", Traits(echoes=("disconnect",), harmless=True)
    REMOVE = "remove", Traits(echoes=("remove", "removed", "destroy", "kill", "stop", "die", "cleanup"), ends=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One idempotent action on one thing, and why it is needed."""

    verb: Verb
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
