"""Zun's words for a pod (status, task state, reason, detail), derived from what is wished and what was reported.

Total: every combination of inputs has an answer, and nothing derived here is ever stored. It also holds Zun's table of which action is
allowed in which status, because an action is judged by the same words that the user sees. Pure: knows no store, no clock and no API.
"""

from __future__ import annotations

import datetime
import enum
from typing import NamedTuple, Protocol

from higgins.core.phase import Desired, Phase, Wish


class Status(enum.StrEnum):
    """The words clients of Zun know. ``Dead`` is never derived (a dead container is an ``Error`` with its reason)."""

    ERROR = "Error"
    RUNNING = "Running"
    STOPPED = "Stopped"
    PAUSED = "Paused"
    UNKNOWN = "Unknown"
    CREATING = "Creating"
    CREATED = "Created"
    DELETED = "Deleted"
    DELETING = "Deleting"
    REBUILDING = "Rebuilding"
    DEAD = "Dead"
    RESTARTING = "Restarting"


class TaskState(enum.StrEnum):
    """What is being done about the last wish; none once the host has dealt with it."""

    CREATING = "container_creating"
    STARTING = "container_starting"
    DELETING = "container_deleting"
    STOPPING = "container_stopping"
    REBOOTING = "container_rebooting"
    PAUSING = "container_pausing"
    UNPAUSING = "container_unpausing"
    KILLING = "container_killing"
    REBUILDING = "container_rebuilding"
    NETWORK_ATTACHING = "network_attaching"
    NETWORK_DETACHING = "network_detaching"
    SG_ADDING = "sg_adding"
    SG_REMOVING = "sg_removing"


class Wished(Protocol):
    """What ``derive`` reads of a pod; the store's row has it."""

    @property
    def desired(self) -> Desired: ...  # noqa: D102
    @property
    def wish(self) -> Wish: ...  # noqa: D102
    @property
    def generation(self) -> int: ...  # noqa: D102
    @property
    def run(self) -> int: ...  # noqa: D102
    @property
    def host_id(self) -> int | None: ...  # noqa: D102
    @property
    def schedule_generation(self) -> int: ...  # noqa: D102
    @property
    def schedule_reason(self) -> str | None: ...  # noqa: D102
    @property
    def provision_generation(self) -> int: ...  # noqa: D102
    @property
    def provision_reason(self) -> str | None: ...  # noqa: D102
    @property
    def phase(self) -> Phase | None: ...  # noqa: D102
    @property
    def observed_generation(self) -> int: ...  # noqa: D102
    @property
    def observed_run(self) -> int: ...  # noqa: D102
    @property
    def reason(self) -> str | None: ...  # noqa: D102


class Shown(NamedTuple):
    """What the API shows; ``reason`` says why, or what is waited for."""

    status: Status
    task_state: TaskState | None
    reason: str | None


_TASKS: dict[Wish, TaskState] = {
    Wish.CREATE: TaskState.CREATING,
    Wish.START: TaskState.STARTING,
    Wish.STOP: TaskState.STOPPING,
    Wish.REBOOT: TaskState.REBOOTING,
    Wish.PAUSE: TaskState.PAUSING,
    Wish.UNPAUSE: TaskState.UNPAUSING,
    Wish.KILL: TaskState.KILLING,
    Wish.REBUILD: TaskState.REBUILDING,
    Wish.DELETE: TaskState.DELETING,
    Wish.NETWORK_ATTACH: TaskState.NETWORK_ATTACHING,
    Wish.NETWORK_DETACH: TaskState.NETWORK_DETACHING,
    Wish.ADD_SECURITY_GROUP: TaskState.SG_ADDING,
    Wish.REMOVE_SECURITY_GROUP: TaskState.SG_REMOVING,
}

_SETTLED: dict[Phase, Status] = {
    Phase.PREPARING: Status.CREATING,
    Phase.CREATED: Status.CREATED,
    Phase.RUNNING: Status.RUNNING,
    Phase.PAUSED: Status.PAUSED,
    Phase.STOPPED: Status.STOPPED,
    Phase.FAILED: Status.ERROR,
    Phase.UNKNOWN: Status.UNKNOWN,
    Phase.GONE: Status.DELETED,
}

_MAKING = frozenset({Wish.CREATE, Wish.START, Wish.REBOOT})
"""Wishes on the way to running: a client that waits for it (Heat) must see no error or doubt of an older time meanwhile."""


def derive(pod: Wished) -> Shown:
    """Status, task state and reason of a pod."""
    reason = _reason(pod)
    if pod.desired == Desired.DELETED:
        return _deleting(pod, reason)
    if pod.host_id is None and pod.schedule_reason and pod.schedule_generation >= pod.generation:
        return Shown(Status.ERROR, None, pod.schedule_reason)
    if pod.provision_reason and pod.provision_generation >= pod.generation:
        return Shown(Status.ERROR, None, pod.provision_reason)
    if pod.phase is None:
        if pod.wish is Wish.REBUILD:
            return Shown(Status.REBUILDING, TaskState.REBUILDING, reason)
        return Shown(Status.CREATING, TaskState.CREATING, reason)
    if pod.observed_generation >= pod.generation:
        return Shown(_SETTLED[pod.phase], None, reason)
    return Shown(_pending(pod, pod.phase), _task(pod, pod.phase), reason)


def _reason(pod: Wished) -> str | None:
    """The host's own reason; but what is said where the wish waits (for a host, a silent one, the cloud) explains it better."""
    if pod.schedule_reason and pod.observed_generation < pod.generation:
        return pod.schedule_reason
    if pod.provision_reason and pod.provision_generation < pod.generation:
        return pod.provision_reason
    return pod.reason or None


def _deleting(pod: Wished, reason: str | None) -> Shown:
    if pod.phase is Phase.GONE or pod.host_id is None:
        reason = pod.provision_reason or reason  # only what is to be taken back keeps it
    if pod.phase is Phase.GONE:
        return Shown(Status.DELETED, None, reason)
    if pod.phase is Phase.FAILED and pod.observed_generation >= pod.generation:
        return Shown(Status.ERROR, None, reason)
    return Shown(Status.DELETING, TaskState.DELETING, reason)


def _pending(pod: Wished, phase: Phase) -> Status:
    """The status while the last wish is not dealt with: the last report's, but for what that wish makes stale."""
    started = pod.observed_run >= pod.run and phase in (Phase.RUNNING, Phase.STOPPED)
    if pod.wish is Wish.REBUILD:
        return Status.RUNNING if phase is Phase.RUNNING and started and _to_run(pod) else Status.REBUILDING
    if pod.wish is Wish.REBOOT and not started:
        return Status.RESTARTING
    if pod.wish in _MAKING and phase in (Phase.FAILED, Phase.UNKNOWN, Phase.PREPARING, Phase.GONE):
        return Status.CREATING if pod.observed_run == 0 else Status.STOPPED
    return _SETTLED[phase]


def _task(pod: Wished, phase: Phase) -> TaskState | None:
    on_its_way = _to_run(pod) and pod.observed_run < pod.run
    if pod.wish is Wish.CREATE and phase is Phase.CREATED and on_its_way:
        return TaskState.STARTING
    task = _TASKS.get(pod.wish)
    if task is None and on_its_way:
        return TaskState.STARTING
    return task


def _to_run(pod: Wished) -> bool:
    return pod.desired == Desired.RUNNING


class Action(enum.StrEnum):
    """Everything that may be asked of a container and that its status can forbid, by the verb that the refusal names."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    REBOOT = "reboot"
    REBUILD = "rebuild"
    KILL = "kill"
    UPDATE = "update"
    RESIZE_CONTAINER = "resize_container"
    ADD_SECURITY_GROUP = "add_security_group"
    REMOVE_SECURITY_GROUP = "remove_security_group"
    DELETE = "delete"
    EXECUTE = "execute"
    EXECUTE_RESIZE = "execute_resize"
    ATTACH = "attach"
    RESIZE = "resize"
    TOP = "top"
    STATS = "stats"
    COMMIT = "commit"
    GET_ARCHIVE = "get_archive"
    PUT_ARCHIVE = "put_archive"
    LOGS = "logs"


_RUNNING = frozenset({Status.RUNNING})
_STEADY = frozenset({Status.CREATED, Status.RUNNING, Status.STOPPED, Status.PAUSED})

ALLOWED: dict[Action, frozenset[Status]] = {
    Action.START: frozenset({Status.CREATED, Status.STOPPED, Status.ERROR}),
    Action.STOP: _RUNNING,
    Action.PAUSE: _RUNNING,
    Action.UNPAUSE: frozenset({Status.PAUSED}),
    Action.REBOOT: frozenset({Status.CREATED, Status.RUNNING, Status.STOPPED, Status.ERROR}),
    Action.REBUILD: frozenset({Status.CREATED, Status.RUNNING, Status.STOPPED, Status.ERROR}),
    Action.KILL: _RUNNING,
    Action.UPDATE: _STEADY,
    Action.RESIZE_CONTAINER: _STEADY,
    Action.ADD_SECURITY_GROUP: _STEADY,
    Action.REMOVE_SECURITY_GROUP: _STEADY,
    Action.DELETE: frozenset(Status) - {Status.RUNNING, Status.PAUSED},
    Action.EXECUTE: _RUNNING,
    Action.EXECUTE_RESIZE: _RUNNING,
    Action.ATTACH: _RUNNING,
    Action.RESIZE: _RUNNING,
    Action.TOP: _RUNNING,
    Action.STATS: _RUNNING,
    Action.COMMIT: frozenset({Status.RUNNING, Status.STOPPED, Status.PAUSED}),
    Action.GET_ARCHIVE: _STEADY,
    Action.PUT_ARCHIVE: _STEADY,
    Action.LOGS: frozenset(
        {Status.CREATED, Status.ERROR, Status.PAUSED, Status.RUNNING, Status.STOPPED, Status.UNKNOWN}
    ),
}
"""Which statuses allow an action: Zun's table, but a plain delete is refused only of what still runs, so that nothing is ever stuck.
A delete with ``force`` or ``stop`` is always allowed."""


def detail(
    status: Status,
    *,
    started_at: datetime.datetime | None,
    finished_at: datetime.datetime | None,
    exit_code: int | None,
    now: datetime.datetime,
) -> str | None:
    """Zun's ``status_detail``: "Up 5 mins", "Exited(0) 3 mins ago " (with its blank at the end), "Exited(1) 2 hours ago (error)".

    Times are UTC, all with a zone or all without; ``None`` where there is nothing to say.
    """
    if status is Status.RUNNING:
        return f"Up {_span(started_at, now)}" if started_at else "Up"
    if status is Status.PAUSED:
        return f"Up {_span(started_at, now)} (paused)" if started_at else "Up (paused)"
    if status is Status.STOPPED:
        code = 0 if exit_code is None else exit_code
        ended = f"{_span(finished_at, now)} ago" if finished_at else "some time ago"
        return f"Exited({code}) {ended} {'(error)' if code else ''}"
    if status in (Status.CREATED, Status.RESTARTING, Status.DEAD):
        return status.value
    return None


def _span(since: datetime.datetime, now: datetime.datetime) -> str:
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "mins")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
