"""Containers of the API: create, read, and every wish on one. Knows policy and quota; live questions are in ``live``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from higgins.control.requests import ContainerChange, NewContainer
from higgins.core.caller import Caller

if TYPE_CHECKING:
    from higgins.store.pods import Pod
    from higgins.store.session import Page


class Containers:
    """Every method first asks policy, then looks the container up by uuid or name among those the caller may see.

    ``ident``: a name is looked up in the caller's own project, or in all with ``all_projects`` (a power of its own); a uuid everywhere for
    an administrator. Raises ``Forbidden``, ``NotFound`` (code ``container-not-found``), ``Conflict`` for a name that several have,
    ``IllegalState`` ("Cannot stop container <uuid> in Stopped state"). Each wish returns the row as wished; its action's key is the
    caller's request id.
    """

    def create(
        self,
        caller: Caller,
        new: NewContainer,
        *,
        run: bool,
        idempotency_key: str | None = None,
        request_hash: str | None = None,
    ) -> Pod:
        """The new container's row, or, for a key seen before with the same ``request_hash``, the one that key made.

        Nothing is left behind when it raises: ``Invalid`` (limits, image name, driver), ``Forbidden``, ``OverQuota``, ``NotFound`` (network,
        port, volume, registry, host), ``NameTaken``, ``Conflict`` for a key used with another request.
        """
        raise NotImplementedError

    def list(
        self, caller: Caller, *, filters: Mapping[str, object], page: Page, all_projects: bool = False
    ) -> Sequence[Pod]:
        """One page. Filters: name, image, project_id, user_id, memory, host, task_state, status, auto_remove; exact matches."""
        raise NotImplementedError

    def get(self, caller: Caller, ident: str, *, all_projects: bool = False, rule: str = "container:get_one") -> Pod:
        """One container, as the store knows it; its host is never asked."""
        raise NotImplementedError

    def delete(
        self, caller: Caller, ident: str, *, force: bool = False, stop: bool = False, all_projects: bool = False
    ) -> None:
        """Wish it gone; a second delete changes nothing. Running or paused it needs ``stop`` (10 s to end) or ``force`` (killed)."""
        raise NotImplementedError

    def start(self, caller: Caller, ident: str) -> Pod:
        """Wish it running, once more."""
        raise NotImplementedError

    def stop(self, caller: Caller, ident: str, *, timeout_s: int | None = None) -> Pod:
        """Wish it stopped; killed after ``timeout_s`` (10)."""
        raise NotImplementedError

    def reboot(self, caller: Caller, ident: str, *, timeout_s: int | None = None) -> Pod:
        """Wish it stopped, if it runs, and started."""
        raise NotImplementedError

    def pause(self, caller: Caller, ident: str) -> Pod:
        """Wish it frozen."""
        raise NotImplementedError

    def unpause(self, caller: Caller, ident: str) -> Pod:
        """Wish it thawed."""
        raise NotImplementedError

    def kill(self, caller: Caller, ident: str, *, signal: str | None = None) -> Pod:
        """KILL (the default, also "None") is a wish; any other signal is sent at once through the host's agent.

        ``Invalid`` for a signal Linux does not have; ``Unavailable`` when another signal's host does not answer.
        """
        raise NotImplementedError

    def rebuild(self, caller: Caller, ident: str, *, image: str | None = None, image_driver: str | None = None) -> Pod:
        """Wish it made anew, of another image if named; started again if it ran."""
        raise NotImplementedError

    def rename(self, caller: Caller, ident: str, name: str) -> Pod:
        """Give it another name; ``Conflict`` when it has that name already."""
        raise NotImplementedError

    def update(self, caller: Caller, ident: str, change: ContainerChange) -> Pod:
        """PATCH: quota and the host's claim take the difference in the same transaction. ``OutOfCapacity`` when the host has no room."""
        raise NotImplementedError

    def resize(self, caller: Caller, ident: str, change: ContainerChange) -> Pod:
        """The POST form of ``update`` with a policy of its own."""
        raise NotImplementedError

    def network_attach(
        self,
        caller: Caller,
        ident: str,
        *,
        network: str | None = None,
        port: str | None = None,
        fixed_ip: str | None = None,
    ) -> Pod:
        """Wish it on one more network; ``Invalid`` when it is on it."""
        raise NotImplementedError

    def network_detach(self, caller: Caller, ident: str, *, network: str | None = None, port: str | None = None) -> Pod:
        """Wish it off a network; ``Invalid`` when it is not on it."""
        raise NotImplementedError

    def network_list(self, caller: Caller, ident: str) -> Pod:
        """The container whose ``status.addresses`` are its networks."""
        raise NotImplementedError

    def add_security_group(self, caller: Caller, ident: str, name: str) -> Pod:
        """Wish it in one more security group; ``Invalid`` for one that is not known or that it is in."""
        raise NotImplementedError

    def remove_security_group(self, caller: Caller, ident: str, name: str) -> Pod:
        """Wish it out of a security group; ``Invalid`` when it is not in it."""
        raise NotImplementedError
