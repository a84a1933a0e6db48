"""What Higgins asks of an engine that makes the network namespaces of its containers itself. Others join one that was made before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from higgins.core import model


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network link of this host that goes into a container, and what is set on it there.

    ``routes`` are pairs of destination and next hop, None for what is on the link itself; the default ones are among them.
    """

    name: str
    mac: str
    fixed_ips: tuple[model.FixedIp, ...] = ()
    routes: tuple[tuple[str, str | None], ...] = ()


@runtime_checkable
class TakesPorts(Protocol):
    """Makes the network namespace of a container itself, and takes the links of ports into it before each start.

    The facts of its containers tell their ``ports``.
    """

    def take_ports(self, lend: Callable[[str], Link]) -> None:
        """From now on answer the engine with the links that ``lend`` gives for ports; ``NotFound`` of it is told to the engine."""
        ...

    def connect(self, uuid: str, port: str) -> None:
        """Have a container on a port, at once when it runs; nothing happens when it is."""
        ...

    def disconnect(self, uuid: str, port: str) -> None:
        """Take a container off a port; nothing happens when it is not on it. Routes by other ports are for the caller to put right."""
        ...

    def namespace(self, uuid: str) -> str | None:
        """The path of the network namespace that a container runs in; None when it does not run, or cannot be seen from here."""
        ...
