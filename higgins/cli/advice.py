"""What a container waits for and what its owner can do next, from what is known of it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from higgins.cli.output import step

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

_TASKS = {
    "container_creating": "its host to make it",
    "container_starting": "its host to start it",
    "container_stopping": "its processes to end",
    "container_deleting": "its host to remove it",
    "container_rebooting": "its host to restart it",
    "container_rebuilding": "its host to make it anew",
    "container_pausing": "its host to pause it",
    "container_unpausing": "its host to let it go on",
    "container_killing": "its processes to end",
    "image_pulling": "its image",
}

_REASONS = (
    (
        r"not enough hosts|no (valid )?host|no room|capacity",
        "Ask for less with --cpus and --memory, or ask the operator for room: higgins hosts",
    ),
    (
        r"no (such )?image|image.*(not found|unknown)|manifest unknown|not.*found.*image",
        "Check the image's name and tag, then: higgins rebuild {name} --image IMAGE",
    ),
    (
        r"unauthori[sz]ed|authentication required|access denied|denied",
        "Add the registry's password (higgins registries add), and name it: higgins run --registry NAME ...",
    ),
    (
        r"executable file not found|no such file or directory|exec format",
        "Check the command and the entry point; the image may not have that program.",
    ),
    (
        r"no space left|disk",
        "The host's disk is full: ask the operator, or remove images and containers that are not needed.",
    ),
    (
        r"registry|pull|connection refused|no such host|timeout",
        "See whether the host can reach the registry; it is tried again by: higgins start {name}",
    ),
    (
        r"\boom\b|memory",
        "Give it more memory: higgins update -m AMOUNT {name}, then higgins start {name}",
    ),
)
"""What a failure's words point to, the most telling first."""


def waiting_for(container: Json, action: Json | None, events: Sequence[Json]) -> str:
    """What must happen before the last request is done; empty when nothing is waited for."""
    unfinished = action is not None and not action.get("finish_time")
    if not container.get("task_state") and not unfinished:
        return ""
    going = [event for event in events if not event.get("finished_at")]
    if going:
        event = going[-1]
        text = step(event, container)
        detail = f" ({event['detail']})" if event.get("detail") else ""
        return f"{text}{detail}, because {event['why']}" if event.get("why") else text + detail
    if container.get("status_reason"):
        return str(container["status_reason"])
    return _TASKS.get(str(container.get("task_state") or ""), "its host to begin")


def next_steps(container: Json, events: Sequence[Json]) -> list[str]:
    """Sentences with the commands that help in this state; at least one."""
    name, status = str(container.get("name")), str(container.get("status"))
    if status == "Error":
        return _after_error(container, events)
    if container.get("health") == "unhealthy":
        return [
            f"Its health check fails. See its output: higgins logs {name}",
            f"See what is checked: higgins inspect {name}   Start it again: higgins restart {name}",
        ]
    if status == "Stopped":
        return _after_end(container, name)
    known = {
        "Running": [f"It runs. See its output: higgins logs -f {name}   Go in: higgins exec {name} COMMAND"],
        "Created": [f"It was never started: higgins start {name}"],
        "Paused": [f"Let it go on: higgins unpause {name}"],
        "Dead": [f"It can only be removed: higgins rm {name}"],
        "Unknown": ["Its host or the engine there does not answer; it goes on by itself when they do: higgins hosts"],
    }
    return known.get(status, [f"Wait, or watch it: higgins events -f {name}"])


def _after_error(container: Json, events: Sequence[Json]) -> list[str]:
    name = str(container.get("name"))
    failed = [str(event.get("detail") or "") for event in events if event.get("result") == "Error"]
    said = f"{container.get('status_reason') or ''} {failed[-1] if failed else ''}"
    found = [text.format(name=name) for pattern, text in _REASONS if re.search(pattern, said, re.IGNORECASE)]
    return [*found[:1], f"Try it again: higgins start {name}   Give it up: higgins rm {name}"]


def _after_end(container: Json, name: str) -> list[str]:
    code = container.get("exit_code")
    again = f"Start it again: higgins start {name}   Remove it: higgins rm {name}"
    if code == 143:
        return ["It was asked to stop (TERM), and did.", again]
    if code == 137:
        return [f"It was ended by KILL: by somebody, or for want of memory (higgins update -m AMOUNT {name}).", again]
    if code in {126, 127}:
        return ["Its command could not be run: check the command and the image.", again]
    if code:
        return [f"It ended by itself with {code}. See its last words: higgins logs -n 20 {name}", again]
    return [f"It has ended. See its output: higgins logs {name}", again]
