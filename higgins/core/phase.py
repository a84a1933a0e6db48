"""The words for where a pod is and for what its user wants.

``Phase`` is written by the agent's report alone, ``Desired`` by the API alone; nothing derives one from the other here.
Zun's ``status`` and ``task_state`` strings are made of both in ``core.status`` and are never stored.
"""

from __future__ import annotations

import enum


class Desired(enum.StrEnum):
    """What the user asked for. Only the API writes it."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DELETED = "deleted"


class Phase(enum.StrEnum):
    """Where a pod is, as its host last reported.

    A pod without a host, or whose host has not reported yet, has no phase (``None``).
    ``FAILED`` holds for one generation: a newer wish makes the host try again. ``UNKNOWN`` says that the engine
    does not answer. ``GONE`` says that the host has nothing left of it.
    """

    PREPARING = "preparing"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    GONE = "gone"


class EngineState(enum.StrEnum):
    """What an engine says of one container; ``DEAD`` is a container that can only be removed."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DEAD = "dead"


class Wish(enum.StrEnum):
    """The user's last request on a pod: the name of its container action, kept to derive task states."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KILL = "kill"
    REBUILD = "rebuild"
    UPDATE = "update"
    RESIZE = "resize_container"
    DELETE = "delete"
    NETWORK_ATTACH = "network_attach"
    NETWORK_DETACH = "network_detach"
    ADD_SECURITY_GROUP = "add_security_group"
    REMOVE_SECURITY_GROUP = "remove_security_group"
    COMMIT = "commit"


class Health(enum.StrEnum):
    """What the health check of a running container last found."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class PullPolicy(enum.StrEnum):
    """When a host asks the registry for an image."""

    ALWAYS = "always"
    IF_NOT_PRESENT = "ifnotpresent"
    NEVER = "never"
