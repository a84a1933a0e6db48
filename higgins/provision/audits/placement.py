"""What is taken of our hosts at Placement against our pods: what nobody takes, what is taken wrongly, and providers of hosts that are no more."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from higgins.cloud.placement import Placement
from higgins.core import resources
from higgins.core.caller import Scope
from higgins.core.phase import Desired
from higgins.provision.audits.stray import Known, Stray, of_nobody, stray
from higgins.store import hosts, pods
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod
from higgins.store.session import Database

_OUR_TYPES = ("CONTAINER", "CAPSULE")

Taken = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Amounts by resource class, by consumer, by provider."""


def strays(known: Known, placement: Placement, db: Database) -> Iterator[Stray]:
    """All that is wrong. What other services take of our hosts is theirs to look after."""
    ours = placement.providers(required=(resources.trait(known.installation),))
    taken = {one.uuid: placement.taken_of(one.uuid) for one in ours}
    with db.read() as tx:
        of_hosts = {host.id: host for host in hosts.list(tx)}
        every = [pod for kind in ("container", "capsule") for pod in pods.list(tx, Scope(None), kind=kind)]
    known_uuids = {host.uuid for host in of_hosts.values()}
    for one in ours:
        if one.uuid not in known_uuids:
            text = f"Placement has it as {one.name}, but its host was removed"
            yield stray("provider", one.uuid, text, functools.partial(_removed, placement, one.uuid))
    noted = {entry.pod_uuid for entry in known.entries}
    consumers = {consumer for provider in taken.values() for consumer in provider}
    for consumer in sorted(consumers - known.pods - noted):
        there = placement.allocation(consumer)
        if there is not None and there.consumer_type in _OUR_TYPES:
            text = "Placement has an allocation for it, but there is no such container"
            put_right = functools.partial(placement.give_back, consumer)
            yield stray("allocation", consumer, text, put_right, left_by=consumer)
    for entry in known.entries:
        if entry.pod_uuid not in known.pods:
            yield of_nobody(db, entry, functools.partial(placement.give_back, entry.pod_uuid))
    for pod in every:
        host = of_hosts.get(pod.host_id) if pod.host_id is not None else None
        if host is not None and pod.desired is not Desired.DELETED and pod.provision_generation >= pod.generation:
            yield from _of_pod(pod, host.uuid, taken, db)


def _of_pod(pod: Pod, host_uuid: str, taken: Taken, db: Database) -> Iterator[Stray]:
    """What is wrong with the allocation of a pod that provisioning has dealt with."""
    amounts = resources.amounts(pod)
    wanted = {host_uuid: amounts} if amounts else {}
    there = {provider: dict(of[pod.uuid]) for provider, of in taken.items() if pod.uuid in of}
    if there == wanted:
        return
    has = "; ".join(f"{resources.shape(taken_there)} of {provider}" for provider, taken_there in sorted(there.items()))
    text = f"it takes {has or 'nothing'} at Placement, but should take {resources.shape(amounts)} of {host_uuid}"
    yield stray("allocation", pod.uuid, text, functools.partial(_again, db, pod))


def _again(db: Database, pod: Pod) -> None:
    with db.write() as tx:
        ledger.doubt(tx, pod.uuid, [(KindName.ALLOCATION, pod.uuid)], forget=False)
        provisioning.again(tx, pod.uuid)


def _removed(placement: Placement, provider: str) -> None:
    for consumer in placement.taken_of(provider):
        placement.give_back(consumer)
    placement.delete_provider(provider)
