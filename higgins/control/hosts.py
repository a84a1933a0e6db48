"""Hosts, the services on them and their zones, as operators see and switch them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from higgins.core.caller import Caller

if TYPE_CHECKING:
    from higgins.store.hosts import Host
    from higgins.store.session import Page


class Hosts:
    """Hosts and what they have."""

    def list(self, caller: Caller, *, page: Page) -> Sequence[Host]:
        """One page, by hostname unless sorted otherwise."""
        raise NotImplementedError

    def get(self, caller: Caller, ident: str) -> Host:
        """One, by uuid or hostname; ``NotFound``."""
        raise NotImplementedError


class Services:
    """Zun's services: one ``zun-compute`` a host. ``NotFound`` (code ``zun-service-not-found``) for any other pair."""

    def list(self, caller: Caller) -> Sequence[Host]:
        """Every host, each of which is one service."""
        raise NotImplementedError

    def is_up(self, host: Host) -> bool:
        """Whether it was heard of lately and is not forced down."""
        raise NotImplementedError

    def enable(self, caller: Caller, host: str, binary: str) -> Host:
        """New containers may come to it."""
        raise NotImplementedError

    def disable(self, caller: Caller, host: str, binary: str, *, reason: str | None = None) -> Host:
        """No new container comes to it; those it has stay."""
        raise NotImplementedError

    def force_down(self, caller: Caller, host: str, binary: str, *, forced_down: bool) -> Host:
        """Treat it as down whatever it says, or not any more."""
        raise NotImplementedError

    def delete(self, caller: Caller, host: str, binary: str) -> None:
        """Forget a host; ``Conflict`` while it has containers."""
        raise NotImplementedError


class Zones:
    """Availability zones."""

    def list(self, caller: Caller) -> Sequence[str]:
        """The zones of all hosts, sorted."""
        raise NotImplementedError
