"""The security group for a pod's exposed ports: made at Neutron before the ports that are in it, and taken back. What ours are called there."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from higgins.cloud.neutron import Neutron, Rule, SecurityGroup
from higgins.core import errors
from higgins.provision.kinds import Made, Task
from higgins.provision.plan import Want
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod

LOG = logging.getLogger(__name__)

EXPOSED = "exposed"
"""The key of a pod's one security group."""


def mark(installation: str) -> str:
    """The description that our ports and groups carry, by which an audit finds those of this installation."""
    return f"Made by Higgins, installation {installation}"


def name_of(pod_uuid: str) -> str:
    """What a pod's ports and its group are called."""
    return f"higgins-{pod_uuid}"


def exposed_rules(exposed: Iterable[str]) -> list[Rule]:
    """What is let in for ports written as ``80/tcp``, from IPv4 and IPv6 alike."""
    pairs = {(protocol, int(port)) for port, _, protocol in (one.partition("/") for one in exposed)}
    return [Rule(version, protocol, port) for protocol, port in sorted(pairs) for version in (4, 6)]


class SecurityGroups:
    """A group of ours in the pod's project that lets its exposed ports be reached; made before the ports that are in it."""

    name = KindName.SECURITY_GROUP
    stage = 0

    def __init__(self, neutron: Neutron, installation: str) -> None:
        self._neutron = neutron
        self._mark = mark(installation)

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """One when a container of the pod exposes ports."""
        if pod.spec.network_driver == "neutron" and exposed_of(pod):
            yield Want(kind=self.name, key=EXPOSED, why="containers of the pod expose ports")

    def make(self, task: Task) -> Made:
        """The group, found by its name when it was made before, with those rules that it lacks; its data is the project's default group."""
        pod, name = task.pod, name_of(task.pod.uuid)
        found = self._neutron.security_groups(name=[name, "default"], project_id=pod.project_id)
        group = next((one for one in found if one.name == name), None)
        there: set[Rule] = set()
        try:
            if group is None:
                group = self._neutron.create_security_group(
                    name=name, project_id=pod.project_id, description=self._mark
                )
            else:
                there = self._neutron.rules(group.id)
            missing = [rule for rule in exposed_rules(exposed_of(pod)) if rule not in there]
            self._neutron.create_rules(group.id, pod.project_id, missing)
        except errors.OverQuota as error:
            raise errors.OverQuota(
                f"The project may have no more security groups or rules. Delete some, or expose fewer ports. ({error.message})"
            ) from error
        default = next((one.id for one in found if one.name == "default"), None)
        if default is None:  # the project's first group brings the default one with it
            own = self._neutron.security_groups(name="default", project_id=pod.project_id)
            default = own[0].id if own else ""
        return Made(external_id=group.id, data=default)

    def take_back(self, task: Task) -> None:
        """Delete every group of that name; one that its user put on ports of his own is left to him."""
        name = name_of(task.pod.uuid)
        for group in self._neutron.security_groups(name=name, project_id=task.pod.project_id):
            delete_group(self._neutron, group)


def delete_group(neutron: Neutron, group: SecurityGroup) -> None:
    """Delete a group of ours; one that its project put on other ports is left to it, under another name and without our mark."""
    try:
        neutron.delete_security_group(group.id)
    except errors.Conflict:
        ports = neutron.ports(project_id=group.project_id)
        if not any(group.id in port.security_groups for port in ports):
            raise
        LOG.warning("The security group %s is on other ports and is left to its project", group.id)
        words = "Its container is gone; it was kept because other ports use it."
        neutron.rename_security_group(group.id, name=f"of-{group.name}", description=words)


def unsecured(error: errors.HigginsError, what: str) -> errors.HigginsError:
    """Neutron's refusal of groups where port security is switched off, as a sentence for who wanted them; any other as it is."""
    if "port security must be enabled" not in error.message.lower():
        return error
    return errors.Invalid(
        f"The {what} has port security switched off, so security groups and exposed ports cannot be used there: everything is let in. "
        "Name none, or have port security switched on."
    )


def exposed_of(pod: Pod) -> list[str]:
    """The ports that a pod's containers expose, as ``80/tcp``."""
    return [port for one in (*pod.spec.init_containers, *pod.spec.containers) for port in one.exposed_ports]
