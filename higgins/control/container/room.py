"""Has Placement's room for a container that is to grow before the wish is written, so that a refusal is answered at once and changes nothing.

Whatever becomes of the wish, provisioning makes the allocation as the pod's row says; here it is only made large enough for either size.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from higgins.cloud.placement import Allocation, Full, Placement
from higgins.control.means import Means
from higgins.core import errors, resources
from higgins.store import hosts
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.holds import Holder
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod

_TRIES, _PAUSE_S = 20, 0.1


@contextlib.contextmanager
def for_either(
    means: Means, holder: Holder, find: Callable[[], Pod], *, cpu_milli: int | None, memory_mib: int | None
) -> Iterator[None]:
    """While the block writes the wish of this size (``None``: as it is), Placement has room for the pod's old size and for the new one.

    ``OutOfCapacity`` when it has not; ``Conflict`` while something else is being made for the pod. Nothing is asked of it when nothing grows.
    """
    placement = None if means.services is None else means.services.placement
    held = None if placement is None else _held(means, holder, find, cpu_milli or 0, memory_mib or 0)
    if placement is None or held is None:
        yield
        return
    pod, host = held
    larger = resources.amounts(
        cpu_milli=max(cpu_milli or 0, pod.cpu_milli),
        memory_mib=max(memory_mib or 0, pod.memory_mib),
        disk_gib=pod.disk_gib,
    )
    try:
        _allocate(placement, pod, host, larger)
        yield
    finally:
        try:
            with means.db.write() as tx:
                holder.let_go(tx, pod.id)
        finally:
            holder.end(pod.uuid)
        means.hint(pod.host_id)


def _held(
    means: Means, holder: Holder, find: Callable[[], Pod], cpu_milli: int, memory_mib: int
) -> tuple[Pod, hosts.Host] | None:
    """The pod and its host, once it is held; ``None`` when it has no host or does not grow."""
    for _ in range(_TRIES):
        pod = find()
        if pod.host_id is None or (cpu_milli <= pod.cpu_milli and memory_mib <= pod.memory_mib):
            return None
        if holder.begin(pod.uuid, holder):
            host = None
            try:
                host = _note(means, holder, pod)
            finally:
                if host is None:
                    holder.end(pod.uuid)
            if host is not None:
                return pod, host
        time.sleep(_PAUSE_S)
    raise errors.Conflict("The container is being changed by another request. Try again in a moment.")


def _note(means: Means, holder: Holder, pod: Pod) -> hosts.Host | None:
    """Hold the pod, and have provisioning look at its allocation afterwards, or when this process is no more; gives its host."""
    with means.db.write() as tx:
        if pod.host_id is None or not holder.take(tx, pod.id, pod.generation):
            return None
        known = {(entry.kind, entry.key) for entry in ledger.of(tx, [pod.uuid]).get(pod.uuid, [])}
        asked = ledger.Asked(kind=KindName.ALLOCATION, key=pod.uuid)
        ledger.ask(tx, pod.uuid, [asked], host_id=pod.host_id, known=known)
        provisioning.again(tx, pod.uuid)
        return hosts.by_id(tx, pod.host_id)


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
        raise errors.OutOfCapacity(resources.no_room(error.resource_class)) from error
