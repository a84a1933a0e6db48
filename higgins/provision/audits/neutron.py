"""Ports and security groups of ours at Neutron against the ledger: what nobody needs, and what is noted and gone."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from higgins.cloud.neutron import Neutron, Port
from higgins.provision.audits.stray import Known, Stray, made_anew, stray
from higgins.provision.ports import DEVICE_OWNER, PORT, SECURITY_GROUP, applied, mark, name_of
from higgins.store.loops.ledger import Entry
from higgins.store.session import Database

KINDS = (PORT, SECURITY_GROUP)


def strays(known: Known, neutron: Neutron, db: Database) -> Iterator[Stray]:
    """All that is wrong with ports and groups. Those of another installation at the same Neutron are told by their description."""
    ours = mark(known.installation)
    ports = {port.id: port for port in [*neutron.ports(device_owner=DEVICE_OWNER), *neutron.ports(description=ours)]}
    groups = {group.id: group for group in neutron.security_groups(description=ours)}
    for port in ports.values():
        if not known.has(PORT, port.id, port.device_id):
            yield from _unknown_port(neutron, known, port)
    for group in groups.values():
        if not known.has(SECURITY_GROUP, group.id, group.name.removeprefix(name_of(""))):
            text = f"Neutron has it as {group.name}, but nothing needs it"
            yield stray("security group", group.id, text, functools.partial(neutron.delete_security_group, group.id))
    for entry in known.entries:
        is_there = entry.external_id in (ports if entry.kind == PORT else groups)
        if entry.external_id is not None and entry.made_at is not None and entry.released_at is None and not is_there:
            yield _lost(db, known, entry)


def _unknown_port(neutron: Neutron, known: Known, port: Port) -> Iterator[Stray]:
    if port.description == mark(known.installation):
        text = f"Neutron has it for the container {port.device_id or '(none)'}, but nothing needs it"
        yield stray("port", port.id, text, functools.partial(neutron.delete_port, port.id))
    elif port.description.startswith(mark("")):
        return
    elif port.device_id in known.pods:
        text = f"it is bound to the container {port.device_id}, which does not have it"
        yield stray("port", port.id, text, functools.partial(_unbind, neutron, port))
    else:
        text = f"it is bound to {port.device_id}, which is no container here; unless another installation has it, unset its device"
        yield stray("port", port.id, text)


def _unbind(neutron: Neutron, port: Port) -> None:
    neutron.update_port(port, device_id="", device_owner="", host="")


def _lost(db: Database, known: Known, entry: Entry) -> Stray:
    """What is noted and gone. A group takes the pod's ports with it, for they must be in the new one."""
    kind, ident = entry.kind.replace("_", " "), str(entry.external_id)
    said = applied(entry) if entry.kind == PORT else None
    if said is not None and said.given:
        text = f"the container {entry.pod_uuid} was given it, but it is gone or bound otherwise; detach it there"
        return stray(kind, ident, text)
    own = [one for one in known.entries if one.pod_uuid == entry.pod_uuid and one.kind == PORT]
    beside = own if entry.kind == SECURITY_GROUP else []
    text = f"the container {entry.pod_uuid} has it, but Neutron does not; it is to be made anew"
    return stray(kind, ident, text, functools.partial(made_anew, db, entry, beside))
