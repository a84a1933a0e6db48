"""Wishes on what a living container is connected to: networks and security groups. Each changes its spec, which provisioning follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

from higgins.control.container.wishes import Wishes, check
from higgins.control.means import Means
from higgins.control.network.driver import networking_of
from higgins.control.requests import NetworkRequest
from higgins.core.caller import Caller
from higgins.core.errors import Conflict, Invalid, NotFound
from higgins.core.model import PodSpec
from higgins.core.phase import Desired, Wish
from higgins.core.status import Action
from higgins.store import pods
from higgins.store.loops import ledger
from higgins.store.pods import Pod
from higgins.store.session import Transaction

Respec = Callable[[Transaction, Pod], PodSpec]


class Wiring:
    """See ``Containers``, whose methods of these names these are."""

    def __init__(self, means: Means, wishes: Wishes) -> None:
        self._means = means
        self._wishes = wishes
        self._networking = networking_of(means)

    def attach(self, caller: Caller, ident: str, asked: NetworkRequest) -> Pod:
        """``Invalid`` when the container is on that network, or has that port, already."""
        rule = "container:network_attach"
        pod = self._wishes.find(caller, ident, rule)
        if not asked.network and not asked.port:
            raise Invalid("Name a network or a port to attach.")
        [wish] = self._networking.networks(caller, (asked,), project_id=pod.project_id)

        def respec(_tx: Transaction, pod: Pod) -> PodSpec:
            if any(one.key == wish.key for one in pod.spec.networks):
                raise Invalid(
                    f"The container {pod.uuid} is on the network or port {asked.port or asked.network} already. Name another."
                )
            self._networking.check_changeable(pod.spec)
            spec = pods.open_spec(pod, self._means.sealer)
            attached = dataclasses.replace(wish, generation=pod.generation + 1)
            return dataclasses.replace(spec, networks=(*spec.networks, attached))

        return self._wish(caller, pod.uuid, Wish.NETWORK_ATTACH, respec, rule=rule)

    def detach(self, caller: Caller, ident: str, asked: NetworkRequest) -> Pod:
        """``Invalid`` when the container is not on that network, or does not have that port."""
        rule = "container:network_detach"
        pod = self._wishes.find(caller, ident, rule)
        if not asked.network and not asked.port:
            raise Invalid("Name the network or the port to detach.")
        missing = Invalid(f"The container {pod.uuid} is not on the network or port {asked.network or asked.port}.")
        try:
            port = self._known_port(caller, pod, asked.port) if asked.port else None
            network = self._known_network(caller, pod, asked.network) if asked.network and not port else None
        except (NotFound, Invalid):
            raise missing from None

        def respec(tx: Transaction, pod: Pod) -> PodSpec:
            keys = self._keys(tx, pod, port=port, network=network)
            if not keys:
                raise missing
            if len(keys) > 1:
                raise Conflict(f"The container {pod.uuid} has several ports on that network. Name the port to detach.")
            self._networking.check_changeable(pod.spec)
            spec = pods.open_spec(pod, self._means.sealer)
            kept = tuple(one for one in spec.networks if one.key not in keys)
            return dataclasses.replace(spec, networks=kept)

        return self._wish(caller, pod.uuid, Wish.NETWORK_DETACH, respec, rule=rule)

    def add_group(self, caller: Caller, ident: str, name: str) -> Pod:
        """``Invalid`` when the container is in the group already."""
        action = Action.ADD_SECURITY_GROUP
        pod = self._wishes.find(caller, ident, f"container:{action}")
        check(pod, action)
        [group] = self._networking.groups(caller, (name,), project_id=pod.project_id)

        def respec(_tx: Transaction, pod: Pod) -> PodSpec:
            if group in pod.spec.security_groups:
                raise Invalid(f"The container {pod.uuid} is in the security group {name} already.")
            self._networking.check_changeable(pod.spec)
            spec = pods.open_spec(pod, self._means.sealer)
            return dataclasses.replace(spec, security_groups=(*spec.security_groups, group))

        return self._wish(caller, pod.uuid, Wish.ADD_SECURITY_GROUP, respec, rule=f"container:{action}", action=action)

    def remove_group(self, caller: Caller, ident: str, name: str) -> Pod:
        """``Invalid`` when the container is not in the group."""
        action = Action.REMOVE_SECURITY_GROUP
        pod = self._wishes.find(caller, ident, f"container:{action}")
        check(pod, action)
        missing = Invalid(f"The container {pod.uuid} is not in the security group {name}.")
        if name in pod.spec.security_groups:  # a group that is gone is named by its uuid only
            group = name
        else:
            try:
                [group] = self._networking.groups(caller, (name,), project_id=pod.project_id)
            except Invalid:
                raise missing from None

        def respec(_tx: Transaction, pod: Pod) -> PodSpec:
            if group not in pod.spec.security_groups:
                raise missing
            spec = pods.open_spec(pod, self._means.sealer)
            return dataclasses.replace(spec, security_groups=tuple(one for one in spec.security_groups if one != group))

        rule = f"container:{action}"
        return self._wish(caller, pod.uuid, Wish.REMOVE_SECURITY_GROUP, respec, rule=rule, action=action)

    def _wish(
        self, caller: Caller, ident: str, wish: Wish, respec: Respec, *, rule: str, action: Action | None = None
    ) -> Pod:
        def write(tx: Transaction, pod: Pod) -> Pod:
            spec = respec(tx, pod)
            if pod.desired is Desired.DELETED:
                raise Conflict(f"The container {pod.uuid} is being deleted. Create another one.")
            return pods.change(tx, pod, wish=wish, request_id=caller.request_id, sealer=self._means.sealer, spec=spec)

        return self._wishes.make(caller, ident, wish, write, rule=rule, action=action)

    def _known_port(self, caller: Caller, pod: Pod, ident: str) -> str:
        """The port's uuid; a port of the container needs no question, it may be gone at Neutron."""
        with self._means.db.read() as tx:
            if self._keys(tx, pod, port=ident, network=None):
                return ident
        return self._networking.port(caller, ident, project_id=pod.project_id)

    def _known_network(self, caller: Caller, pod: Pod, ident: str) -> str:
        if any(wish.network == ident for wish in pod.spec.networks):
            return ident
        return self._networking.network(caller, ident, project_id=pod.project_id)

    @staticmethod
    def _keys(tx: Transaction, pod: Pod, *, port: str | None, network: str | None) -> Collection[str]:
        """The keys of those of the pod's networks that are meant."""
        if port is None:
            return [wish.key for wish in pod.spec.networks if wish.network == network]
        made = {entry.key for entry in ledger.of(tx, [pod.uuid]).get(pod.uuid, []) if entry.external_id == port}
        return [wish.key for wish in pod.spec.networks if wish.port == port or wish.key in made]
