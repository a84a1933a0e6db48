"""Containers of the API: create, read, and every wish on one. Knows policy and states; live questions are in ``live``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from higgins.control.container import changes, limits, listing, picture, room
from higgins.control.container.create import Creator
from higgins.control.container.wiring import Wiring
from higgins.control.container.wishes import Wishes, check
from higgins.control.live import Live
from higgins.control.means import Means
from higgins.control.requests import ContainerChange, NetworkRequest, NewContainer
from higgins.core import names, units
from higgins.core.caller import Caller
from higgins.core.errors import Conflict, Invalid
from higgins.core.model import ImageGrant
from higgins.core.phase import Desired, Phase, Wish
from higgins.core.status import Action, Status, derive
from higgins.store import pods
from higgins.store.loops.holds import Holder
from higgins.store.page import Page
from higgins.store.pods import Pod
from higgins.store.session import Transaction

DELETE_STOP_TIMEOUT_S = 10
_TELLS_HOSTS = frozenset({"host", "host_id", "host_version", "held_by"})
"""Sort keys that tell which containers share a host."""


class Containers:
    """Every method first asks policy, then looks the container up by uuid or name among those the caller may see.

    ``ident``: a name is looked up in the caller's own project, or in all with ``all_projects`` (a power of its own); a uuid everywhere for
    an administrator. Raises ``Forbidden``, ``NotFound`` (code ``container-not-found``), ``Conflict`` for a name that several have,
    ``IllegalState`` ("Cannot stop container <uuid> in Stopped state"). Each wish returns the row as wished; its action's key is the
    caller's request id.
    """

    def __init__(self, means: Means, live: Live) -> None:
        self._means = means
        self._live = live
        self._wishes = Wishes(means)
        self._creator = Creator(means)
        self._wiring = Wiring(means, self._wishes)
        self._holder = Holder()

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
        return self._creator.create(
            caller, new, run=run, idempotency_key=idempotency_key, request_hash=request_hash or ""
        )

    def list(
        self, caller: Caller, *, filters: Mapping[str, object], page: Page, all_projects: bool = False
    ) -> Sequence[Pod]:
        """One page. Filters: name, image, project_id, user_id, memory, host, task_state, status, auto_remove; exact matches."""
        scope = self._means.policy.scope(caller, "container:get_all", all_projects=all_projects)
        if "host" in filters or page.sort_key in _TELLS_HOSTS:
            self._means.policy.require(caller, "container:get_one:host")
        with self._means.db.read() as tx:
            return listing.page_of(tx, scope, filters, page)

    def get(self, caller: Caller, ident: str, *, all_projects: bool = False, rule: str = "container:get_one") -> Pod:
        """One container, as the store knows it; its host is never asked."""
        return self._wishes.find(caller, ident, rule, all_projects=all_projects)

    def environment(self, pod: Pod) -> Mapping[str, str]:
        """The environment of a container that the caller was given, which its row holds sealed."""
        return pods.open_environments(pod, self._means.sealer).get(pod.spec.containers[0].uuid, {})

    def delete(
        self, caller: Caller, ident: str, *, force: bool = False, stop: bool = False, all_projects: bool = False
    ) -> None:
        """Wish it gone; a second delete changes nothing. Running or paused it needs ``stop`` (10 s to end) or ``force`` (killed)."""
        for rule, asked in (("container:delete_force", force), ("container:stop", stop)):
            if asked:
                self._means.policy.require(caller, rule)
        timeout_s = 0 if force else DELETE_STOP_TIMEOUT_S

        def write(tx: Transaction, pod: Pod) -> Pod:
            if pod.desired is Desired.DELETED and not _asks_for_more(pod, force=force):
                return pod
            if not force and not stop:
                check(pod, Action.DELETE)
            return pods.change(
                tx,
                pod,
                wish=Wish.DELETE,
                request_id=caller.request_id,
                desired=Desired.DELETED,
                stop_timeout_s=timeout_s,
                stop_signal="SIGKILL" if force else None,
            )

        self._wishes.make(caller, ident, Wish.DELETE, write, rule="container:delete", all_projects=all_projects)

    def start(self, caller: Caller, ident: str) -> Pod:
        """Wish it running, once more."""
        return self._wishes.simple(caller, ident, Wish.START, Action.START, Desired.RUNNING, new_run=True)

    def stop(self, caller: Caller, ident: str, *, timeout_s: int | None = None) -> Pod:
        """Wish it stopped; killed after ``timeout_s`` (10)."""
        wait_s = DELETE_STOP_TIMEOUT_S if timeout_s is None else timeout_s
        return self._wishes.simple(caller, ident, Wish.STOP, Action.STOP, Desired.STOPPED, stop_timeout_s=wait_s)

    def reboot(self, caller: Caller, ident: str, *, timeout_s: int | None = None) -> Pod:
        """Wish it stopped, if it runs, and started."""
        wait_s = DELETE_STOP_TIMEOUT_S if timeout_s is None else timeout_s
        return self._wishes.simple(
            caller, ident, Wish.REBOOT, Action.REBOOT, Desired.RUNNING, new_run=True, stop_timeout_s=wait_s
        )

    def pause(self, caller: Caller, ident: str) -> Pod:
        """Wish it frozen."""
        return self._wishes.simple(caller, ident, Wish.PAUSE, Action.PAUSE, Desired.PAUSED)

    def unpause(self, caller: Caller, ident: str) -> Pod:
        """Wish it thawed."""
        return self._wishes.simple(caller, ident, Wish.UNPAUSE, Action.UNPAUSE, Desired.RUNNING)

    def kill(self, caller: Caller, ident: str, *, signal: str | None = None) -> Pod:
        """KILL (the default, also "None") is a wish; any other signal is sent at once through the host's agent.

        ``Invalid`` for a signal Linux does not have; ``Unavailable`` when another signal's host does not answer.
        """
        self._means.policy.require(caller, "container:kill")
        name = names.signal_name(signal)
        if name is None:
            raise Invalid(f"There is no signal '{signal}'. Name one like SIGTERM, TERM or 15.")
        if name == "SIGKILL":
            return self._wishes.simple(
                caller, ident, Wish.KILL, Action.KILL, Desired.STOPPED, stop_timeout_s=0, stop_signal=name
            )
        return self._live.signal(caller, ident, name)

    def rebuild(self, caller: Caller, ident: str, *, image: str | None = None, image_driver: str | None = None) -> Pod:
        """Wish it made anew, of another image if named; started again if it ran."""
        limits.check_image_driver(self._means.settings, image_driver)
        found = self._found_for(caller, ident, image, image_driver)

        def write(tx: Transaction, pod: Pod) -> Pod:
            ran = derive(pod).status is Status.RUNNING
            spec = changes.with_image(tx, pod, self._means, image=image, image_driver=image_driver, found=found)
            return pods.change(
                tx,
                pod,
                wish=Wish.REBUILD,
                request_id=caller.request_id,
                sealer=self._means.sealer,
                desired=Desired.RUNNING if ran else Desired.CREATED,
                new_run=ran,
                new_build=True,
                spec=spec,
                image=None if spec is None else spec.containers[0].image,
                stop_timeout_s=DELETE_STOP_TIMEOUT_S,
            )

        return self._wishes.make(caller, ident, Wish.REBUILD, write, rule="container:rebuild", action=Action.REBUILD)

    def _found_for(self, caller: Caller, ident: str, image: str | None, image_driver: str | None) -> ImageGrant | None:
        """The image of Glance that a rebuild names, if it is one of Glance."""
        if image is None and image_driver is None:
            return None
        pod = self._wishes.find(caller, ident, "container:rebuild")
        built, project = pod.spec.containers[0], pod.project_id
        driver = image_driver or built.image_driver
        return picture.find(self._means, caller, image or built.image, driver, project=project)

    def rename(self, caller: Caller, ident: str, name: str) -> Pod:
        """Give it another name; ``Conflict`` when it has that name already."""

        def write(tx: Transaction, pod: Pod) -> Pod:
            if pod.name == name:
                raise Conflict(
                    f"The container is called {name} already. Choose another name.", code="container-already-exists"
                )
            return changes.write(tx, pod, self._means, caller, Wish.UPDATE, ContainerChange(name=name))

        return self._wishes.make(caller, ident, Wish.UPDATE, write, rule="container:rename")

    def update(self, caller: Caller, ident: str, change: ContainerChange) -> Pod:
        """PATCH: quota and the host's claim take the difference in the same transaction.

        ``OutOfCapacity`` when the host has no room. A change of nothing is no wish.
        """
        return self._change(caller, ident, change, Wish.UPDATE, Action.UPDATE)

    def resize(self, caller: Caller, ident: str, change: ContainerChange) -> Pod:
        """The POST form of ``update`` with a policy of its own."""
        return self._change(caller, ident, change, Wish.RESIZE, Action.RESIZE_CONTAINER)

    def _change(self, caller: Caller, ident: str, change: ContainerChange, wish: Wish, action: Action) -> Pod:
        def write(tx: Transaction, pod: Pod) -> Pod:
            if change == ContainerChange():
                return pod
            fits(pod)
            return changes.write(tx, pod, self._means, caller, wish, change)

        rule = f"container:{action}"
        with self._room(caller, ident, change, action, rule) as fits:
            return self._wishes.make(caller, ident, wish, write, rule=rule, action=action)

    def _room(
        self, caller: Caller, ident: str, change: ContainerChange, action: Action, rule: str
    ) -> AbstractContextManager[room.Check]:
        """Where Placement counts room too, it is asked before the wish is written."""
        services = self._means.services
        if services is None or services.placement is None or (change.cpu is None and change.memory_mib is None):
            return contextlib.nullcontext(lambda _pod: None)
        limits.check_size(self._means.settings, cpu=change.cpu, memory_mib=change.memory_mib)

        def find() -> Pod:
            pod = self._wishes.find(caller, ident, rule)
            check(pod, action)
            return pod

        cpu_milli = None if change.cpu is None else units.cpus_to_milli(change.cpu)
        return room.for_either(self._means, self._holder, find, cpu_milli=cpu_milli, memory_mib=change.memory_mib)

    def network_attach(
        self,
        caller: Caller,
        ident: str,
        *,
        network: str | None = None,
        port: str | None = None,
        fixed_ip: str | None = None,
    ) -> Pod:
        """Wish it on one more network, or on a port; ``Invalid`` when it is there already, else as ``create`` refuses networks.

        An attach that fails is taken out of the wish again, with its reason in the action; the container goes on as it was.
        """
        v6 = fixed_ip is not None and ":" in fixed_ip
        asked = NetworkRequest(network=network, port=port, v4=None if v6 else fixed_ip, v6=fixed_ip if v6 else None)
        return self._wiring.attach(caller, ident, asked)

    def network_detach(self, caller: Caller, ident: str, *, network: str | None = None, port: str | None = None) -> Pod:
        """Wish it off a network or port; ``Invalid`` when it is not there. Ports of the user's own are kept, the others deleted."""
        return self._wiring.detach(caller, ident, NetworkRequest(network=network, port=port))

    def network_list(self, caller: Caller, ident: str) -> Pod:
        """The container whose ``status.addresses`` are its networks."""
        return self._wishes.find(caller, ident, "container:network_list")

    def add_security_group(self, caller: Caller, ident: str, name: str) -> Pod:
        """Wish its ports in one more group; ``Invalid`` for an unknown group, or one it is in already."""
        return self._wiring.add_group(caller, ident, name)

    def remove_security_group(self, caller: Caller, ident: str, name: str) -> Pod:
        """Wish its ports out of a group; ``Invalid`` when it was not put there at its creation or by ``add_security_group``."""
        return self._wiring.remove_group(caller, ident, name)


def _asks_for_more(pod: Pod, *, force: bool) -> bool:
    """Whether another delete means anything: the last one failed, or this one does not want to wait for the container's end."""
    failed = pod.phase is Phase.FAILED and pod.observed_generation >= pod.generation
    return failed or (force and pod.stop_timeout_s > 0)
