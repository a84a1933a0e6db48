"""Finds which part of a living pod's newest wishes cannot be had, from Neutron or on its host, so that this part fails and not the pod."""

from __future__ import annotations

import logging

from higgins.control.container import undo
from higgins.core.phase import Wish
from higgins.provision.ports import applied
from higgins.store import actions
from higgins.store.loops import ledger, provisioning
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod
from higgins.store.seal import Sealer
from higgins.store.session import Database, Overtaken, Transaction
from higgins.wire import hints
from higgins.wire.pulse import Pulse

LOG = logging.getLogger(__name__)


class Undo:
    """Takes networks that a host could not attach out of the wish again, on a thread of its own."""

    def __init__(self, db: Database, own_hints: hints.Hints, sealer: Sealer, *, interval_s: float = 10.0) -> None:
        self._db = db
        self._hints = own_hints
        self._sealer = sealer
        self._pulse = Pulse("undo", self.run_once, own_hints, (), interval_s=interval_s)

    def start(self) -> None:
        """Begin."""
        self._pulse.start()

    def stop(self) -> None:
        """End after the round that is going on."""
        self._pulse.stop()

    def run_once(self) -> None:
        """One round."""
        with self._db.read() as tx:
            found = provisioning.refused(tx)
        for pod in found:
            with self._db.write() as tx:
                if provisioning.is_newest(tx, pod):
                    self._take_out(tx, pod)
        if found:
            self._hints.nudge(hints.PROVISION)

    def _take_out(self, tx: Transaction, pod: Pod) -> None:
        """What was to be attached and is not goes out of the wish. Where nothing of that is left, the wishes have ended all the same."""
        reason = pod.reason or ""
        there, missing = _attached(tx, pod)
        if missing:
            LOG.warning("Pod %s goes on without %s: %s", pod.uuid, ", ".join(sorted(missing)), reason)
            _take_out(tx, pod, self._sealer, networks=missing, groups=set(), reason=reason)
            return
        if there:
            actions.finish_wishes(tx, pod.uuid, pod.generation, only=Wish.NETWORK_ATTACH, of=there)
        actions.finish_wishes(tx, pod.uuid, pod.generation, error=reason)


def _attached(tx: Transaction, pod: Pod) -> tuple[set[int], set[str]]:
    """Of attaches that have not ended: the generations of those whose port is there, and the keys of the networks that the host refused.

    Where it refused another one, all that are not there: they were not tried.
    """
    reported = pod.status
    if reported is None:
        return set(), set()
    wished = actions.open_generations(tx, pod.uuid, Wish.NETWORK_ATTACH)
    attached = [one for one in pod.spec.networks if one.generation in wished]
    entries = [one for one in ledger.of(tx, [pod.uuid]).get(pod.uuid, []) if one.kind == KindName.PORT]
    has = {one.key for one in entries if one.external_id in {port.port for port in reported.ports}}
    refused = {one.key for one in entries if one.external_id in reported.refused}
    missing = {one.key for one in attached if one.key not in has}
    return {one.generation for one in attached if one.key in has}, missing & refused or missing


def undone(tx: Transaction, pod: Pod, sealer: Sealer, reason: str) -> bool:
    """Whether networks that got no port, and groups that no port could be put in, were taken out of the wish of a pod that lives on its host.

    False when it has not come to its host yet, or when something else was refused: then the pod has failed.
    """
    if pod.observed_generation == 0 or pod.spec.network_driver != "neutron":
        return False
    entries = [one for one in ledger.of(tx, [pod.uuid]).get(pod.uuid, []) if one.kind == KindName.PORT]
    got = {one.key for one in entries if one.external_id is not None or applied(one) is not None}
    networks = {wish.key for wish in pod.spec.networks if wish.key not in got}
    done = [found.groups for found in map(applied, entries) if found is not None]
    groups = {one for one in pod.spec.security_groups if any(one not in there for there in done)}
    if not networks and not groups:
        return False
    _take_out(tx, pod, sealer, networks=networks, groups=groups, reason=reason)
    return True


def _take_out(tx: Transaction, pod: Pod, sealer: Sealer, *, networks: set[str], groups: set[str], reason: str) -> None:
    try:
        undo.take_out(tx, pod, sealer, networks=networks, groups=groups, reason=reason)
    except Overtaken:
        LOG.info("Pod %s has a newer wish, which the next pass judges", pod.uuid)
