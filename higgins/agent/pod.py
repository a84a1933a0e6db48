"""What the loop keeps of one pod between its looks, and while it is at one. It decides nothing."""

from __future__ import annotations

import dataclasses
import datetime
import time

from higgins.agent.plan import Have, Step
from higgins.core import model


@dataclasses.dataclass(slots=True)
class Pod:
    """A pod of this host; all but ``want`` is changed by the worker that looks after it, or for a newer wish."""

    want: model.Assignment
    remembered: bool
    since: float | None = None  # when the wish, or the trouble with it, began; None once all is well
    attempts: int = 0
    converging: model.Assignment | None = None  # to this; ``want`` may be newer
    step: Step | None = None  # in hand
    have: Have | None = None  # as this look found it
    heard: float = 0.0  # when a pull last told how far it is
    began: dict[str, tuple[datetime.datetime, float]] = dataclasses.field(default_factory=dict)

    def waited_s(self) -> float:
        """How long the wish has waited to be met."""
        if self.since is None:
            self.since = time.monotonic()
        return time.monotonic() - self.since

    def pull_failed(self, began: float) -> None:
        """Do not count the time as waited in which the pull that began then was getting on."""
        got_on_s = max(0.0, self.heard - began)
        self.since = time.monotonic() - max(0.0, self.waited_s() - got_on_s)
