"""Which of the host's processors a container runs on: some that it has for itself, or all that are set aside for nobody.

The engine alone remembers who has which, so that nothing has to be kept in step with it. How many may be had is counted by the scheduler.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from higgins.core import cpusets, errors, model
from higgins.engine.api import Engine


class Processors:
    """``dedicated`` are set aside, of ``every`` one that the host has; ``Invalid`` when there are others among them, or none is left over."""

    def __init__(self, engine: Engine, *, dedicated: frozenset[int], every: frozenset[int]) -> None:
        if strange := dedicated - every:
            raise errors.Invalid(
                f"dedicated_cpus names processors that this host does not have: {cpusets.text(strange)}. It has {cpusets.text(every)}."
            )
        if dedicated and dedicated == every:
            raise errors.Invalid("dedicated_cpus names every processor of this host. Leave at least one to the others.")
        self._engine, self._dedicated, self._shared = engine, dedicated, every - dedicated
        self._turn = threading.Lock()

    @property
    def set_aside(self) -> int:
        """How many processors are there for containers that have some for themselves."""
        return len(self._dedicated)

    @contextlib.contextmanager
    def chosen(self, spec: model.ContainerSpec) -> Iterator[str]:
        """Those on which a container runs that is created in the block, as engines write them; empty for any.

        One creation at a time chooses among those set aside. ``OutOfCapacity`` when too few of them are free.
        """
        if spec.dedicated_cpus:
            with self._turn:
                yield cpusets.text(self._free(spec))
        else:
            yield cpusets.text(self._shared) if self._dedicated else ""

    def _free(self, spec: model.ContainerSpec) -> list[int]:
        count = spec.dedicated_cpus
        taken = [cpusets.parse(facts.processors) for facts in self._engine.list() if facts.uuid != spec.uuid]
        free = sorted(self._dedicated.difference(*taken))
        if len(free) < count:
            raise errors.OutOfCapacity(
                f"The host has {len(free)} of the {count} processors free that the container is to have for itself."
                " Delete another one there that has some, or create this one anew."
            )
        return free[:count]
