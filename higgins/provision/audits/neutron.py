"""Ports and security groups of ours at Neutron against the ledger: what nobody needs, and what is noted and gone."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator

from higgins.cloud.neutron import Neutron, Port, SecurityGroup
from higgins.provision.audits.stray import Known, Stray, made_anew, of_nobody, stray, was_here
from higgins.provision.groups import delete_group, mark, name_of
from higgins.provision.ports import DEVICE_OWNER, applied
from higgins.store.loops.ledger import Entry, KindName
from higgins.store.session import Database


def strays(known: Known, neutron: Neutron, db: Database) -> Iterator[Stray]:
    """All that is wrong with ports and groups. Those of another installation at the same Neutron are told by their description."""
    ours = mark(known.installation)
    ports = {port.id: port for port in [*neutron.ports(device_owner=DEVICE_OWNER), *neutron.ports(description=ours)]}
    groups = {group.id: group for group in neutron.security_groups(description=ours)}
    for port in ports.values():
        if not known.has(KindName.PORT, port.id, port.device_id):
            yield from _unknown_port(neutron, db, known, port)
    for group in groups.values():
        pod = group.name.removeprefix(name_of(""))
        if not known.has(KindName.SECURITY_GROUP, group.id, pod):
            text = f"Neutron has it as {group.name}, but nothing needs it"
            put_right = functools.partial(delete_group, neutron, group)
            yield stray("security group", group.id, text, put_right, left_by=pod)
    for entry in reversed(known.entries):  # ports before the groups that they are in
        is_there = entry.external_id in (ports if entry.kind == KindName.PORT else groups)
        if entry.pod_uuid not in known.pods:
            take_back = functools.partial(_taken_back, neutron, ours, entry, [*ports.values()], [*groups.values()])
            yield of_nobody(db, entry, take_back)
        elif entry.external_id is not None and entry.made_at is not None and entry.released_at is None and not is_there:
            yield _lost(db, known, entry)


def _unknown_port(neutron: Neutron, db: Database, known: Known, port: Port) -> Iterator[Stray]:
    pod = port.device_id
    if port.description == mark(known.installation):
        text = f"Neutron has it for the container {pod or '(none)'}, but nothing needs it"
        yield stray("port", port.id, text, functools.partial(neutron.delete_port, port.id), left_by=pod)
    elif port.description.startswith(mark("")):
        return
    elif was_here(db, known, pod):
        text = f"it is bound to the container {pod}, which does not have it"
        yield stray("port", port.id, text, functools.partial(_unbind, neutron, port), left_by=pod)
    else:
        text = f"it is bound to {pod}, which is no container here; unless another installation has it, unset its device"
        yield stray("port", port.id, text)


def _unbind(neutron: Neutron, port: Port) -> None:
    neutron.update_port(port, device_id="", device_owner="", host="")


def _taken_back(
    neutron: Neutron, ours: str, entry: Entry, ports: Collection[Port], groups: Collection[SecurityGroup]
) -> None:
    """Have nothing left of what an entry names, as far as it can be found without its pod."""
    if entry.kind == KindName.SECURITY_GROUP:
        for group in groups:
            if group.name == name_of(entry.pod_uuid):
                delete_group(neutron, group)
        return
    for port in ports:
        is_meant = entry.external_id == port.id or entry.key in (port.id, port.network_id)
        if is_meant and port.device_id == entry.pod_uuid:
            if port.description == ours:
                neutron.delete_port(port.id)
            else:
                _unbind(neutron, port)


def _lost(db: Database, known: Known, entry: Entry) -> Stray:
    """What is noted and gone. A group takes the pod's ports with it, for they must be in the new one."""
    kind, ident = entry.kind.replace("_", " "), str(entry.external_id)
    said = applied(entry) if entry.kind == KindName.PORT else None
    if said is not None and said.given:
        text = f"the container {entry.pod_uuid} was given it, but it is gone or bound otherwise; detach it there"
        return stray(kind, ident, text)
    own = [one for one in known.entries if one.pod_uuid == entry.pod_uuid and one.kind == KindName.PORT]
    beside = own if entry.kind == KindName.SECURITY_GROUP else []
    text = f"the container {entry.pod_uuid} has it, but Neutron does not; it is to be made anew"
    return stray(kind, ident, text, functools.partial(made_anew, db, entry, beside))
