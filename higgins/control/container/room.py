"""Has Placement's room for a container that is to grow before the wish is written, so that a refusal is answered at once and changes nothing.

Whatever becomes of the wish, provisioning makes the allocation as the pod's row says; here it is only made large enough for either size.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from higgins.cloud.placement import Allocation, Full, Placement
from higgins.control.means import Means
from higgins.core import errors, resources
from higgins.store import hosts
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.holds import Holder
from higgins.store.loops.scheduling import ALLOCATION
from higgins.store.pods import Pod

_TRIES, _PAUSE_S = 20, 0.1


@contextlib.contextmanager
def for_either(means: Means, holder: Holder, pod: Pod, *, cpu_milli: int, memory_mib: int) -> Iterator[None]:
    """While the block writes the wish of this size, Placement has room for the old size and for the new one.

    ``OutOfCapacity`` when it has not; ``Conflict`` while something else is being made for the pod. Nothing is asked of it when nothing grows.
    """
    placement = None if means.services is None else means.services.placement
    grows = cpu_milli > pod.cpu_milli or memory_mib > pod.memory_mib
    if placement is None or pod.host_id is None or not grows:
        yield
        return
    larger = resources.amounts(
        cpu_milli=max(cpu_milli, pod.cpu_milli), memory_mib=max(memory_mib, pod.memory_mib), disk_gib=pod.disk_gib
    )
    host = _note(means, holder, pod)
    try:
        _allocate(placement, pod, host, larger)
        yield
    finally:
        with means.db.write() as tx:
            holder.let_go(tx, pod.id)
        means.hint(pod.host_id)


def _note(means: Means, holder: Holder, pod: Pod) -> hosts.Host:
    """Hold the pod and have provisioning look at its allocation afterwards, or once this process is no more; gives its host."""
    assert pod.host_id is not None
    for attempt in range(1, _TRIES + 1):
        with means.db.write() as tx:
            if holder.take(tx, pod.id, pod.generation):
                known = {(entry.kind, entry.key) for entry in ledger.of(tx, [pod.uuid]).get(pod.uuid, [])}
                asked = ledger.Asked(kind=ALLOCATION, key=pod.uuid)
                ledger.ask(tx, pod.uuid, [asked], host_id=pod.host_id, known=known)
                provisioning.again(tx, pod.uuid)
                return hosts.by_id(tx, pod.host_id)
        if attempt < _TRIES:
            time.sleep(_PAUSE_S)
    raise errors.Conflict(f"The container {pod.name} is being changed by another request. Try again in a moment.")


def _allocate(placement: Placement, pod: Pod, host: hosts.Host, larger: dict[str, int]) -> None:
    before = placement.allocation(pod.uuid)
    wanted = Allocation(
        consumer=pod.uuid,
        amounts={host.uuid: larger},
        project_id=pod.project_id,
        user_id=pod.user_id,
        consumer_type=pod.kind.upper(),
        generation=None if before is None else before.generation,
    )
    try:
        placement.allocate(wanted)
    except Full as error:
        raise errors.OutOfCapacity(resources.no_room(host.hostname, error.resource_class)) from error
