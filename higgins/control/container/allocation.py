"""A pod's allocation at Placement as everybody asks for it: the scheduler for a new pod, a wish for more, provisioning for what the row says."""

from __future__ import annotations

from higgins.cloud.placement import Allocation, Full, Placement
from higgins.core import errors, resources
from higgins.store.pods import Pod


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
