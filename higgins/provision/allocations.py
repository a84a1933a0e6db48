"""What a pod takes of its host at Placement, as an outside thing: the scheduler has it before a pod has its host, provisioning changes and ends it.

Must not know how room is claimed in our own table, nor how a host is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable

from higgins.cloud.placement import Placement
from higgins.control.container.room import allocate, allocation_of
from higgins.core import errors, resources
from higgins.provision.kinds import Made, Task
from higgins.provision.plan import Want
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod


class Allocations:
    """Allocations of Placement: one for each pod that has a size, whose consumer is the pod itself.

    Nothing needs them first, for a pod with a host has its own; so they are given back beside what goes first.
    """

    name = KindName.ALLOCATION
    stage = 1

    def __init__(self, placement: Placement) -> None:
        self._placement = placement

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """The allocation of the pod's size, which is its shape."""
        taken = resources.amounts(pod)
        if taken:
            yield Want(kind=self.name, key=pod.uuid, why="the pod takes room of its host", shape=resources.shape(taken))

    def make(self, task: Task) -> Made:
        """Have the pod take its size of its host; what it took before is its until then. ``OutOfCapacity`` when the host has no room."""
        pod, host = task.pod, task.host
        if host is None:
            raise errors.Conflict("The pod has no host yet.")
        before = self._placement.allocation(pod.uuid)
        wanted = allocation_of(pod, host.uuid, None if before is None else before.generation)
        if before is None or not before.same_amounts(wanted):
            allocate(self._placement, wanted)
        return Made(external_id=pod.uuid)

    def take_back(self, task: Task) -> None:
        """See ``Kind``."""
        self._placement.give_back(task.pod.uuid)
