"""A pod's allocation at Placement as everybody asks for it; and room for a container that is to grow, had before the wish is written.

So a refusal is answered at once and changes nothing. Whatever becomes of the wish, provisioning makes the allocation as the pod's row says;
for a wish it is only made large enough for either size.
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
_BUSY = "The container is being changed by another request. Try again in a moment."

Check = Callable[[Pod], None]
"""Called with the pod as it is when its wish is written; ``Conflict`` when that would make it grow, and nobody asked for that room."""


@contextlib.contextmanager
def for_either(
    means: Means, holder: Holder, find: Callable[[], Pod], *, cpu_milli: int | None, memory_mib: int | None
) -> Iterator[Check]:
    """While the block writes the wish of this size (``None``: as it is), Placement has room for the pod's old size and for the new one.

    ``OutOfCapacity`` when it has not; ``Conflict`` while something else is being made for the pod. Nothing is asked of it when nothing grows.
    """
    placement = None if means.services is None else means.services.placement
    wanted = (cpu_milli or 0, memory_mib or 0)
    held = None if placement is None else _held(means, holder, find, *wanted)
    if placement is None or held is None:
        yield _at_most(wanted, (0, 0)) if placement is not None else lambda _pod: None
        return
    pod, host = held
    larger = pod._replace(cpu_milli=max(wanted[0], pod.cpu_milli), memory_mib=max(wanted[1], pod.memory_mib))
    try:
        before = placement.allocation(pod.uuid)
        allocate(placement, allocation_of(larger, host.uuid, None if before is None else before.generation))
        yield _at_most(wanted, (larger.cpu_milli, larger.memory_mib))
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
    raise errors.Conflict(_BUSY)


def _at_most(wanted: tuple[int, int], claimed: tuple[int, int]) -> Check:
    """Refuses what neither the pod has, which another may have made smaller meanwhile, nor was asked for."""

    def check(pod: Pod) -> None:
        has = (pod.cpu_milli, pod.memory_mib)
        if pod.host_id is not None and any(
            more > max(it_has, room) for more, it_has, room in zip(wanted, has, claimed, strict=True)
        ):
            raise errors.Conflict(_BUSY)

    return check


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


def allocation_of(pod: Pod, host_uuid: str, generation: int | None = None) -> Allocation:
    """What a pod of this size takes of that host; ``generation`` is that of the allocation it has, if it has one."""
    return Allocation(
        consumer=pod.uuid,
        amounts={host_uuid: resources.amounts(pod)},
        project_id=pod.project_id,
        user_id=pod.user_id,
        consumer_type=pod.kind.upper(),
        generation=generation,
    )


def allocate(placement: Placement, wanted: Allocation) -> None:
    """Have a pod take this of its host: ``OutOfCapacity`` when it has no room, ``Unavailable`` while Placement does not know it."""
    try:
        placement.allocate(wanted)
    except Full as error:
        raise errors.OutOfCapacity(resources.no_room(error.resource_class)) from error
    except errors.Invalid as error:
        raise errors.Unavailable(
            f"Placement does not know the container's host yet. Wait until it does. It says: {error.message}"
        ) from error
