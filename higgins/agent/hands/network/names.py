"""What the host calls the network things of a pod. Pure: it looks at nothing.

The kernel itself keeps whose a link is: its alias names the agent, the pod, the port and the bridge, so that nothing need be
remembered elsewhere, and two agents on one machine never take each other's.
"""

from __future__ import annotations

import dataclasses
import hashlib

NAMESPACES = "/run/netns"
PREFIX = "higgins"
LENGTH_OF_PORT = 11  # OVN, Neutron's agents and operators look for tap and this much of the port's uuid


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """Whose a link is, and on which bridge its outer end belongs; a link gets it once it is set up."""

    mark: str
    pod: str
    port: str
    bridge: str

    def alias(self) -> str:
        """As a link carries it."""
        return ":".join((PREFIX, self.mark, self.pod, self.port, self.bridge))


def tag_of(alias: str | None) -> Tag | None:
    """What an alias says; None when it is not one of Higgins'."""
    words = (alias or "").split(":")
    if len(words) != 5 or words[0] != PREFIX:
        return None
    return Tag(mark=words[1], pod=words[2], port=words[3], bridge=words[4])


def mark_of(state_dir: str) -> str:
    """What tells the things of one agent on this machine from another's."""
    return hashlib.sha256(state_dir.encode()).hexdigest()[:8]


def namespace(mark: str, pod: str) -> str:
    """The path of a pod's network namespace."""
    return f"{NAMESPACES}/{PREFIX}-{mark}-{pod}"


def pod_of(mark: str, name: str) -> str | None:
    """The pod whose namespace has that name; None when it is nobody's, or another agent's."""
    head = f"{PREFIX}-{mark}-"
    return name.removeprefix(head) if name.startswith(head) else None


def outer(port: str) -> str:
    """The end of a port's link that is on the bridge."""
    return f"tap{port[:LENGTH_OF_PORT]}"


def inner(port: str) -> str:
    """The other end while it is in no container, on a host whose engine takes it from there."""
    return f"hig{port[:LENGTH_OF_PORT]}"
