"""Waiting for what was asked: polls gently until a container has done with a request, and tells why when it failed.

A request is done when its container action is finished; that holds for Higgins and for Zun. It must not print.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from higgins.cli.errors import ApiError, CliError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from higgins.cli.client.api import Api

TRANSIENT = frozenset({"Creating", "Deleting", "Rebuilding", "Restarting"})
PATIENCE_S = 30.0
"""How long a service that does not answer is asked again while something is waited for."""
_UNFINISHED_S = 60.0

Json = dict[str, Any]


class Failed(CliError):
    """A request on a container that was accepted and then failed; ``why`` is the reason alone."""

    def __init__(self, container: Json, what: str, why: str) -> None:
        name = container["name"]
        super().__init__(f"{name} could not be {what}: {why}", f"See more: higgins why {name}")
        self.container = container
        self.why = why


def pace(longest_s: float = 1.0) -> Iterator[float]:
    """The pauses between looks: short at first, never longer than ``longest_s``."""
    pause_s = 0.03
    while True:
        yield pause_s
        pause_s = min(longest_s, pause_s * 1.5)


def look(api: Api, uuid: str) -> Json | None:
    """The container as it is, or ``None`` when it is gone; a service that is away for a moment is asked again."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return api.show(uuid)
        except ApiError as error:
            if error.status == 404:
                return None
            if error.status not in {429, 502, 503, 504} or time.monotonic() > until:
                raise
        except Unreachable:
            if time.monotonic() > until:
                raise
        time.sleep(0.5)


def settle(
    api: Api,
    container: Json,
    request_id: str,
    what: str,
    *,
    watch: Callable[[Json], None] | None = None,
    passing: frozenset[str] = TRANSIENT,
) -> Json | None:
    """Wait until the request is done; the container then, or ``None`` when it is gone.

    ``what`` completes "NAME could not be ..." in ``Failed``, which is raised when the request failed.
    ``watch`` sees the container at each look; in the statuses of ``passing`` it is not there yet.
    """
    quiet_since: float | None = None
    for pause_s in pace():
        now = look(api, container["uuid"])
        if now is None:
            return None
        if watch is not None:
            watch(now)
        if now.get("task_state") or now.get("status") in passing:
            quiet_since = None
        else:
            quiet_since = quiet_since or time.monotonic()
            action = api.action(container["uuid"], request_id) if request_id else None
            if action is None or action.get("finish_time") or time.monotonic() - quiet_since > _UNFINISHED_S:
                return _judged(api, container, action, what)
        time.sleep(pause_s)
    raise AssertionError("pace never ends")


def _judged(api: Api, container: Json, action: Json | None, what: str) -> Json | None:
    now = look(api, container["uuid"])
    if now is None:
        return None
    if action and action.get("message") == "Error":
        raise Failed(now, what, reason(api, now, action["request_id"]))
    if action and not action.get("finish_time"):
        raise CliError(
            f"{now['name']} has not been {what} yet, and nothing more happens.", f"See why: higgins why {now['name']}"
        )
    return now


def reason(api: Api, container: Json, request_id: str | None = None) -> str:
    """Why the last thing failed, in the words of the failed step or of the container."""
    try:
        failed = [e for e in api.events(container).items if e.get("result") == "Error" and e.get("detail")]
    except CliError:
        failed = []
    own = [event for event in failed if event.get("request_id") == request_id]
    said = container.get("status_reason") or next((str(e["detail"]) for e in reversed(own or failed)), "")
    return str(said).rstrip() or "the service gave no reason."
