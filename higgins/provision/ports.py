"""Ports: made at Neutron for a pod that has its host, bound there, and taken back.

Ports of users' own are bound and unbound, never deleted. Who may use which network the use cases asked as the user;
what may have changed since, for Neutron lets the service make ports anywhere, is asked again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from higgins.cloud.neutron import BINDING_FAILED, Layout, Neutron, NewPort, Port
from higgins.core import errors
from higgins.core.model import FixedIp, NetworkWish, Plug
from higgins.provision.groups import EXPOSED, exposed_of, mark, name_of, unsecured
from higgins.provision.kinds import Made, Task
from higgins.provision.plan import Want
from higgins.store.loops.ledger import Entry, KindName
from higgins.store.pods import Pod
from higgins.threads import typed_json
from higgins.threads.together import both

DEVICE_OWNER = "compute:higgins"
"""Neutron and what stands around it treat ports whose owner begins with ``compute:`` as those of something that computes."""


def mac_of(pod_uuid: str, network_id: str) -> str:
    """A pod's MAC on a network: always the same, so that Neutron, which lets a network have each only once, never makes its port twice."""
    digest = hashlib.sha256(f"{pod_uuid} {network_id}".encode()).hexdigest()
    return ":".join(("fa", "16", "3e", digest[:2], digest[2:4], digest[4:6]))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What the ledger keeps of a port beside its plug: the groups last asked for, and of a given port those it was not in before.

    ``tried`` are groups that a request was to add whose answer never came: the port may be in them. Not ``confirmed`` is what has nothing else.
    """

    given: bool = False
    groups: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    confirmed: bool = True


def applied(entry: Entry) -> Applied | None:
    """What was last done to a port; ``None`` when nothing was confirmed yet."""
    found = _noted(entry)
    return found if found is not None and found.confirmed else None


def _noted(entry: Entry | None) -> Applied | None:
    """The same with what was only tried."""
    return None if entry is None or entry.data is None else typed_json.decode(entry.data, Applied)


class Ports:
    """A port for each network of a pod, made or given, bound to the pod's host, with what the host plugs as its data."""

    name = KindName.PORT
    stage = 1

    def __init__(self, neutron: Neutron, installation: str) -> None:
        self._neutron = neutron
        self._mark = mark(installation)

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """One for each network. Its shape changes with the host and the groups wished, not with what others do to the port."""
        if pod.spec.network_driver != "neutron":
            return
        text = f"{pod.host_id} {','.join(sorted(pod.spec.security_groups))}"
        shape = hashlib.sha256(text.encode()).hexdigest()[:32]
        for wish in pod.spec.networks:
            why = f"the pod is on network {wish.network}"
            yield Want(kind=self.name, key=wish.key, why=why, shape=shape)

    def make(self, task: Task) -> Made:
        """The port, bound; found again when an answer was lost. Only groups that our own wish adds or drops are changed on a port that is there."""
        wish = next((one for one in task.pod.spec.networks if one.key == task.key), None)
        if wish is None:
            raise errors.Conflict(f"The container is not to be on {task.key} any more.")
        before = _noted(self._entry(task)) or Applied(confirmed=False)
        work = self._given if wish.port is not None else self._own
        if wish.port is None and task.external_id is None:
            self._check_usable(task.pod, wish)  # which asks for the layout, so that nobody asks beside it
        (port, now), layout = self._beside_layout(wish.network, lambda: work(task, wish, before))
        if port.vif_type in BINDING_FAILED:
            raise errors.NotReady(
                f"Neutron cannot connect port {port.id} on the container's host: no network agent is alive there. "
                "Ask the operator to look at the host's network."
            )
        told = msgspec.to_builtins(_plug(port, layout, given=now.given)) | msgspec.to_builtins(now)
        return Made(external_id=port.id, data=msgspec.json.encode(told).decode())

    def take_back(self, task: Task) -> None:
        """Delete the port, or unbind a given one; what was never confirmed is looked for."""
        known = _noted(self._entry(task)) or Applied(given=True, confirmed=False)
        if task.external_id is not None and known.confirmed:
            if known.given:
                self._unbind(task, task.external_id, known)
            else:
                self._neutron.delete_port(task.external_id)
            return
        for port in self._neutron.ports(device_id=task.pod.uuid):
            if port.id == task.key:
                self._unbind(task, port.id, known)
            elif port.network_id == task.key and self._is_ours(port, task.pod):
                self._neutron.delete_port(port.id)

    def _entry(self, task: Task) -> Entry | None:
        return next((one for one in task.entries if one.kind == self.name and one.key == task.key), None)

    def _own(self, task: Task, wish: NetworkWish, before: Applied) -> tuple[Port, Applied]:
        wanted = _groups(task, of_ours=True)
        now = Applied(groups=wanted)
        port: Port | None = None
        if task.external_id is not None:
            port = next(iter(self._neutron.ports(id=task.external_id)), None)
        if port is not None and not {wish.v4, wish.v6} - {None} <= {addr for _, addr in port.fixed_ips}:
            self._neutron.delete_port(port.id)  # detached, and attached with another address before it was gone
            port = None
        if port is None:
            self._check_usable(task.pod, wish)
            return self._created(task, wish, wanted), now
        groups = changed(port.security_groups, {*before.groups, *before.tried}, wanted)
        self._note(task, port, groups, before)
        return self._fitted(task, port, groups), now

    def _check_usable(self, pod: Pod, wish: NetworkWish) -> None:
        """``Invalid`` when the network is neither the project's nor shared with it any more, or gone."""
        try:
            self._neutron.layout(wish.network)  # which the host is told of afterwards
            if wish.external or self._neutron.may_use(wish.network, pod.project_id):
                return
        except errors.NotFound as error:
            raise _gone(wish.network, error) from error
        raise errors.Invalid(
            f"The network {wish.network} is not shared with the container's project any more. Use another, or have its owner share it again."
        )

    def _is_ours(self, port: Port, pod: Pod) -> bool:
        """Whether we have made it for this pod. Anybody may write the same on a port of his own, but in his project, and only a service binds it."""
        written = (port.description, port.device_owner, port.device_id, port.project_id)
        return written == (self._mark, DEVICE_OWNER, pod.uuid, pod.project_id) and port.host != ""

    def _created(self, task: Task, wish: NetworkWish, wanted: tuple[str, ...]) -> Port:
        new = NewPort(
            network_id=wish.network,
            project_id=task.pod.project_id,
            name=name_of(task.pod.uuid),
            description=self._mark,
            device_id=task.pod.uuid,
            device_owner=DEVICE_OWNER,
            host=_host(task),
            mac=mac_of(task.pod.uuid, wish.network),
            fixed_ips=tuple(addr for addr in (wish.v4, wish.v6) if addr),
            security_groups=wanted,
        )
        try:
            return self._neutron.create_port(new)
        except errors.HigginsError as error:
            if error.retryable:
                raise
            refusal = error
        # The refusal may come of a port that an earlier request, whose answer was lost, has made.
        for port in self._neutron.ports(device_id=task.pod.uuid, network_id=wish.network):
            if self._is_ours(port, task.pod):
                return self._fitted(task, port, wanted if wanted and {*wanted} != {*port.security_groups} else None)
        if new.mac is not None and new.mac in refusal.message:
            return self._neutron.create_port(dataclasses.replace(new, mac=None))
        raise explained(refusal, new) from refusal

    def _given(self, task: Task, wish: NetworkWish, known: Applied) -> tuple[Port, Applied]:
        port = next(iter(self._neutron.ports(id=wish.port)), None)
        if port is None:
            raise errors.Invalid(f"The port {wish.port} was deleted. Detach it, or create the container anew.")
        if port.device_id not in ("", task.pod.uuid):
            raise errors.Invalid(
                f"The port {port.id} is in use by {port.device_id}. Use another port.", code="port-in-use"
            )
        wanted, ours = _groups(task, of_ours=False), dict.fromkeys((*known.added, *known.tried))
        come = [group for group in wanted if group not in known.groups]
        leave = [group for group in ours if group not in wanted]
        groups = changed(port.security_groups, leave, come)
        added = [one for one in ours if one not in leave]
        added += [one for one in come if one not in port.security_groups and one not in ours]
        self._note(task, port, groups, dataclasses.replace(known, given=True))
        return self._fitted(task, port, groups), Applied(given=True, groups=wanted, added=tuple(added))

    def _note(self, task: Task, port: Port, groups: Sequence[str] | None, before: Applied) -> None:
        """Write down which groups are about to be added to a port, for the answer may be lost and they must be taken off again."""
        new = [one for one in groups or () if one not in port.security_groups and one not in before.tried]
        if new:
            now, entry = dataclasses.replace(before, tried=(*before.tried, *new)), self._entry(task)
            kept = {} if entry is None or entry.data is None else msgspec.json.decode(entry.data)
            task.note(msgspec.json.encode(kept | msgspec.to_builtins(now)).decode())

    def _fitted(self, task: Task, port: Port, groups: Sequence[str] | None) -> Port:
        """The port as ours on our host, with these groups unless ``None``; Neutron is asked only if something differs."""
        host = _host(task)
        is_ours = (port.device_id, port.device_owner) == (task.pod.uuid, DEVICE_OWNER)
        if is_ours and groups is None and port.host == host and port.vif_type not in BINDING_FAILED:
            return port
        try:
            return self._neutron.update_port(
                port, device_id=task.pod.uuid, device_owner=DEVICE_OWNER, host=host, security_groups=groups
            )
        except errors.NotFound as error:
            raise errors.Invalid(
                f"A security group of the container, or its port, is gone: {error.message} Name others."
            ) from error
        except (errors.Conflict, errors.Invalid) as error:
            refusal = unsecured(error, f"port {port.id}")
            if refusal is error:
                raise
            raise refusal from error

    def _unbind(self, task: Task, port_id: str, known: Applied) -> None:
        port = next(iter(self._neutron.ports(id=port_id)), None)
        if port is None or port.device_id != task.pod.uuid:
            return
        groups = changed(port.security_groups, {*known.added, *known.tried}, ())
        self._neutron.update_port(port, device_id="", device_owner="", host="", security_groups=groups)

    def _beside_layout(
        self, network_id: str, ask: Callable[[], tuple[Port, Applied]]
    ) -> tuple[tuple[Port, Applied], Layout]:
        """What ``ask`` gives, and the network's layout, asked for at the same time unless it is known."""
        neutron = self._neutron
        if neutron.knows(network_id):
            found, layout = ask(), neutron.layout(network_id)
        else:
            found, layout = both(ask, lambda: neutron.layout(network_id))
        if not {subnet for subnet, _ in found[0].fixed_ips} <= {subnet.id for subnet in layout.subnets}:
            neutron.forget(network_id)
            layout = neutron.layout(network_id)
        return found, layout


def changed(present: Sequence[str], before: Collection[str], now: Collection[str]) -> tuple[str, ...] | None:
    """The groups that a port must be in: those it is in, without what is dropped and with what is new; ``None`` when that is no change.

    What others put on the port, or took from it, stays so.
    """
    dropped = {one for one in before if one not in now}
    new = [one for one in now if one not in before and one not in present]
    groups = tuple(one for one in present if one not in dropped) + tuple(new)
    return None if groups == tuple(present) else groups


def explained(error: errors.HigginsError, new: NewPort) -> errors.HigginsError:
    """Neutron's refusal of a port as a sentence for who wanted it."""
    words = error.message.lower()
    if isinstance(error, errors.OverQuota):
        return errors.OverQuota(
            f"The project may have no more ports at Neutron. Delete some, or ask for more. ({error.message})"
        )
    if isinstance(error, errors.NotFound):
        if any(group in words for group in new.security_groups):
            return errors.Invalid(f"A security group of the container is gone: {error.message} Name others.")
        return _gone(new.network_id, error)
    if "no more ip addresses" in words:
        return errors.Invalid(
            f"The network {new.network_id} has no free address left. Delete something there, or use another network. ({error.message})"
        )
    if isinstance(error, errors.Conflict) and any(addr in words for addr in new.fixed_ips):
        return errors.Invalid(
            f"The address {' or '.join(new.fixed_ips)} is in use. Use another, or none. ({error.message})"
        )
    return unsecured(error, f"network {new.network_id}")


def _gone(network_id: str, error: errors.HigginsError) -> errors.HigginsError:
    return errors.Invalid(f"The network {network_id} is gone. Use another network. ({error.message})")


def _plug(port: Port, layout: Layout, *, given: bool) -> Plug:
    subnets = {subnet.id: subnet for subnet in layout.subnets}
    own = [(subnets[subnet_id], addr) for subnet_id, addr in port.fixed_ips if subnet_id in subnets]
    domain = layout.network.dns_domain or port.dns_domain
    return Plug(
        port=port.id,
        network=port.network_id,
        mac=port.mac,
        mtu=layout.network.mtu,
        fixed_ips=tuple(
            FixedIp(
                addr=addr,
                prefix_length=ipaddress.ip_network(subnet.cidr).prefixlen,
                version=subnet.version,
                subnet=subnet.id,
                gateway=subnet.gateway,
                routes=subnet.routes,
            )
            for subnet, addr in own
        ),
        dns_servers=tuple(dict.fromkeys(server for subnet, _ in own for server in subnet.dns_servers)),
        dns_search=(domain,) if domain else (),
        vif_type=port.vif_type,
        bridge=port.bridge or "br-int",
        datapath_type=port.datapath_type,
        given=given,
    )


def _host(task: Task) -> str:
    """What Neutron calls the pod's host."""
    if task.host is None:
        raise errors.Conflict("The pod has no host yet.")
    facts = task.host.facts
    return (facts.network_host if facts is not None else "") or task.host.hostname


def _groups(task: Task, *, of_ours: bool) -> tuple[str, ...]:
    """The groups that a pod wants its ports in; of a port of ours that exposes ports also the default one, which naming groups would leave out."""
    wanted = dict.fromkeys(task.pod.spec.security_groups)
    if exposed_of(task.pod):
        entry = next(one for one in task.entries if one.kind == KindName.SECURITY_GROUP)
        if of_ours and entry.data:
            wanted[entry.data] = None
        wanted[task.made(KindName.SECURITY_GROUP, EXPOSED)] = None
    return tuple(wanted)
