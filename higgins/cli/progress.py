"""What is shown while something is waited for: a bar on a terminal, a line now and then elsewhere, always on standard error.

It reads the container's events; only an image pull is told outside a terminal. ``rich`` is loaded when there is a bar to draw.
"""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from higgins.cli.errors import CliError
from higgins.cli.output import clean, step

if TYPE_CHECKING:
    from types import TracebackType

    from higgins.cli.client.api import Api

_EVERY_S = 0.4
_UNITS = {"": 1.0, "B": 1.0, "K": 1024.0, "M": 1024.0**2, "G": 1024.0**3}
_AMOUNT = r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B|bytes)?"
_PART = re.compile(rf"{_AMOUNT}\s*(?:/|of)\s*{_AMOUNT}", re.IGNORECASE)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def share(detail: str) -> float | None:
    """How much of a step is done, from 0 to 1, as its detail says it (``40 %``, ``12/40 MiB``); ``None`` when it does not."""
    percent = _PERCENT.search(detail)
    if percent:
        return min(1.0, float(percent.group(1)) / 100)
    parts = _PART.findall(detail)
    if not parts:
        return None
    done, done_unit, total, total_unit = parts[-1]
    whole = float(total) * _UNITS[total_unit.upper()]
    had = float(done) * _UNITS[(done_unit or total_unit).upper()]
    return min(1.0, had / whole) if whole else None


class Progress:
    """Shows the step a container is at; call it with the container at each look, and leave it as a context manager."""

    def __init__(self, api: Api, *, quiet: bool = False) -> None:
        self._api = api
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._next_look = time.monotonic() + _EVERY_S
        self._bar: Any = None
        self._task: Any = None
        self._told = ""
        self._waiting = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, container: dict[str, Any]) -> None:
        """Look at the newest step, if the last look was long enough ago."""
        if self._quiet or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _EVERY_S
        try:
            events = self._api.events(container).items
        except CliError:
            return
        self._tell_waiting(container)
        going = [event for event in events if not event.get("finished_at")]
        if self._terminal:
            self._draw(going[-1] if going else None, container)
        else:
            self._say([event for event in going if "pull" in str(event.get("verb"))], container)

    def _tell_waiting(self, container: dict[str, Any]) -> None:
        """Say once what keeps the container from going on, such as a registry that does not answer."""
        waiting = clean(str(container.get("status_reason") or ""))
        if waiting and waiting != self._waiting and container.get("status") != "Error":
            self._waiting = waiting
            if self._bar is not None:
                self._bar.console.print(waiting, markup=False, highlight=False)
            else:
                print(waiting, file=sys.stderr, flush=True)

    def _draw(self, event: dict[str, Any] | None, container: dict[str, Any]) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TimeElapsedColumn(),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        done = share(str(event.get("detail") or "")) if event else None
        text = _phrase(event, container) if event else str(container.get("status"))
        if done is None:
            self._bar.update(self._task, description=text, total=None)
        else:
            self._bar.update(self._task, description=text, total=1.0, completed=done)

    def _say(self, pulls: list[dict[str, Any]], container: dict[str, Any]) -> None:
        for event in pulls[-1:]:
            done = share(str(event.get("detail") or ""))
            mark = f"{event.get('key')} {int(done * 10) if done is not None else ''}"
            if mark != self._told:
                self._told = mark
                print(_phrase(event, container), file=sys.stderr, flush=True)


def _phrase(event: dict[str, Any], container: dict[str, Any]) -> str:
    text = step(event, container)
    return f"{text}: {clean(event['detail'])}" if event.get("detail") else text
