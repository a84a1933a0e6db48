"""Hosts, the services on them and their zones, as operators see and switch them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from higgins.control.means import Means
from higgins.core.caller import Caller
from higgins.core.errors import NotFound
from higgins.store import hosts
from higgins.store.hosts import Host
from higgins.store.page import Page
from higgins.store.session import Transaction

BINARY = "zun-compute"
"""What clients of Zun call the service of a host."""

_EVERY_HOST = Page(sort_key="hostname")


class Hosts:
    """Hosts and what they have."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def list(self, caller: Caller, *, page: Page = _EVERY_HOST) -> Sequence[Host]:
        """One page."""
        self._means.policy.require(caller, "host:get_all")
        with self._means.db.read() as tx:
            return hosts.list(tx, page)

    def get(self, caller: Caller, ident: str) -> Host:
        """One, by uuid or hostname; ``NotFound``."""
        self._means.policy.require(caller, "host:get")
        with self._means.db.read() as tx:
            return hosts.get(tx, ident)


class Services:
    """Zun's services: one ``zun-compute`` a host. ``NotFound`` (code ``zun-service-not-found``) for any other pair."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def list(self, caller: Caller) -> Sequence[Host]:
        """Every host, each of which is one service."""
        self._means.policy.require(caller, "zun-service:get_all")
        with self._means.db.read() as tx:
            return hosts.list(tx, _EVERY_HOST)

    def is_up(self, host: Host) -> bool:
        """Whether it was heard of lately and is not forced down."""
        return host.is_up(self._means.db.now(), self._means.settings.host_down_after_s)

    def enable(self, caller: Caller, host: str, binary: str) -> Host:
        """New containers may come to it."""
        return self._set(caller, "enable", host, binary, lambda tx: hosts.enable(tx, host))

    def disable(self, caller: Caller, host: str, binary: str, *, reason: str | None = None) -> Host:
        """No new container comes to it; those it has stay."""
        return self._set(caller, "disable", host, binary, lambda tx: hosts.disable(tx, host, reason))

    def force_down(self, caller: Caller, host: str, binary: str, *, forced_down: bool) -> Host:
        """Treat it as down whatever it says, or not any more."""
        return self._set(caller, "force_down", host, binary, lambda tx: hosts.force_down(tx, host, forced_down))

    def delete(self, caller: Caller, host: str, binary: str) -> None:
        """Forget a host; ``Conflict`` while it has containers."""

        def work(tx: Transaction) -> Host:
            found = hosts.get(tx, host)
            hosts.delete(tx, host)
            return found

        self._set(caller, "delete", host, binary, work)

    def _set(self, caller: Caller, rule: str, host: str, binary: str, work: Callable[[Transaction], Host]) -> Host:
        self._means.policy.require(caller, f"zun-service:{rule}")
        if binary == BINARY:
            try:
                changed = self._means.db.retrying(work)
            except NotFound:
                pass
            else:
                self._means.hint(None)
                return changed
        raise NotFound(f"The service {binary} on host {host} could not be found.", code="zun-service-not-found")


class Zones:
    """Availability zones."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def list(self, caller: Caller) -> Sequence[str]:
        """The zones of all hosts, sorted."""
        self._means.policy.require(caller, "availability_zones:get_all")
        with self._means.db.read() as tx:
            return hosts.zones(tx)
