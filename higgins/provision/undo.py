"""Finds which part of a living pod's newest wishes the outside refuses for good, so that this part fails and not the pod."""

from __future__ import annotations

from higgins.control.container import undo
from higgins.provision.ports import PORT, applied
from higgins.store.loops import ledger
from higgins.store.pods import Pod
from higgins.store.seal import Sealer
from higgins.store.session import Overtaken, Transaction


def undone(tx: Transaction, pod: Pod, sealer: Sealer, reason: str) -> bool:
    """Whether networks that got no port, and groups that no port could be put in, were taken out of the wish of a pod that lives on its host.

    False when it has not come to its host yet, or when something else was refused: then the pod has failed.
    """
    if pod.observed_generation == 0 or pod.spec.network_driver != "neutron":
        return False
    entries = [one for one in ledger.of(tx, [pod.uuid]).get(pod.uuid, []) if one.kind == PORT]
    got = {one.key for one in entries if one.external_id is not None or one.data is not None}
    networks = {wish.key for wish in pod.spec.networks if wish.key not in got}
    done = [found.groups for found in map(applied, entries) if found is not None]
    groups = {one for one in pod.spec.security_groups if any(one not in there for there in done)}
    if not networks and not groups:
        return False
    try:
        undo.take_out(tx, pod, sealer, networks=networks, groups=groups, reason=reason)
    except Overtaken:
        return True  # a newer wish is judged by the next pass
    return True
