"""What single wishes change in a container's spec: its size, its name, its image. Each works inside the transaction of its wish."""

from __future__ import annotations

import dataclasses
from typing import Any

from higgins.control.container import limits, shape
from higgins.control.means import Means
from higgins.control.requests import ContainerChange
from higgins.core import units
from higgins.core.caller import Caller, Scope
from higgins.core.errors import NotFound, Unsupported
from higgins.core.model import ImageGrant, PodSpec
from higgins.core.phase import Phase, Wish
from higgins.store import hosts, pods, quotas
from higgins.store.pods import Pod
from higgins.store.records import registries
from higgins.store.session import Transaction


def with_container(
    spec: PodSpec,
    *,
    name: str | None = None,
    cpus: float | None = None,
    memory_mib: int | None = None,
) -> PodSpec:
    """The spec with these of its first container replaced; ``None`` leaves one as it is."""
    given: dict[str, Any] = {"name": name, "cpus": cpus, "memory_mib": memory_mib}
    return _replaced(spec, {field: value for field, value in given.items() if value is not None})


def _replaced(spec: PodSpec, given: dict[str, Any]) -> PodSpec:
    first = dataclasses.replace(spec.containers[0], **given)
    return dataclasses.replace(spec, containers=(first, *spec.containers[1:]))


def write(tx: Transaction, pod: Pod, means: Means, caller: Caller, wish: Wish, change: ContainerChange) -> Pod:
    """A new name, size or ``auto_heal``; quota and the host's claim take the difference.

    ``Invalid`` outside the limits, ``Unsupported`` when the host's engine cannot change a container's size, ``OverQuota``, ``OutOfCapacity``.
    """
    limits.check_name(change.name)
    limits.check_size(means.settings, cpu=change.cpu, memory_mib=change.memory_mib)
    cpu_milli = pod.cpu_milli if change.cpu is None else units.cpus_to_milli(change.cpu)
    memory_mib = pod.memory_mib if change.memory_mib is None else change.memory_mib
    if pod.dedicated_cpus and cpu_milli != pod.cpu_milli:
        raise Unsupported(
            "This container has its processors for itself, and their number stays. Create it anew to have another one."
        )
    if (cpu_milli, memory_mib) != (pod.cpu_milli, pod.memory_mib):
        _check_host(tx, pod)
        more = {"cpu_milli": cpu_milli - pod.cpu_milli, "memory_mib": memory_mib - pod.memory_mib}
        quotas.take(tx, pod.project_id, means.settings.quota, **more)
    spec = with_container(
        pods.open_spec(pod, means.sealer), name=change.name, cpus=change.cpu, memory_mib=change.memory_mib
    )
    if change.auto_heal is not None:
        spec = dataclasses.replace(spec, auto_heal=change.auto_heal)
    return pods.change(
        tx,
        pod,
        wish=wish,
        request_id=caller.request_id,
        sealer=means.sealer,
        spec=spec,
        name=change.name,
        unique_name=limits.unique_name(means.settings, pod.project_id, change.name),
        cpu_milli=cpu_milli,
        memory_mib=memory_mib,
        ratios=means.settings.ratios,
    )


def _check_host(tx: Transaction, pod: Pod) -> None:
    """A container that is made is resized in place, which not every engine can."""
    if pod.host_id is None or pod.phase in (None, Phase.GONE):
        return
    facts = hosts.by_id(tx, pod.host_id).facts
    if facts is not None and "resize" not in facts.abilities:
        raise Unsupported(
            f"The engine {facts.engine} on this container's host cannot change cpu or memory. Create it anew in that size."
        )


def with_image(
    tx: Transaction, pod: Pod, means: Means, *, image: str | None, image_driver: str | None, found: ImageGrant | None
) -> PodSpec | None:
    """The spec with another image, ``found`` of Glance or named for a registry, or ``None`` when it stays as it is.

    ``Invalid`` where the name is none of a registry's, though it may have been one of Glance's until now.
    """
    if image is None and image_driver is None:
        return None
    built = pod.spec.containers[0]
    name = image or built.image
    if found is None:
        name = shape.full_image(name, _domain(tx, pod, built.registry), means.settings)
    given = {"image": name, "image_driver": image_driver or built.image_driver, "found_image": found}
    return _replaced(pods.open_spec(pod, means.sealer), given)


def _domain(tx: Transaction, pod: Pod, registry: str | None) -> str | None:
    """The domain of the container's registry; of a forgotten one none, whose images are pulled without a login."""
    try:
        return None if registry is None else registries.get(tx, registry, Scope(pod.project_id)).domain
    except NotFound:
        return None
