"""Creates containers: everything is checked, looked up, counted and written in one transaction, so that a refusal leaves nothing behind."""

from __future__ import annotations

import dataclasses
import secrets
import uuid

from higgins.control.container import limits, mounts, picture, shape
from higgins.control.means import Means
from higgins.control.network.driver import Chosen, choose, networking_of
from higgins.control.requests import NewContainer
from higgins.core import names, units
from higgins.core.caller import Caller, Scope
from higgins.core.errors import Conflict, HigginsError, NotFound
from higgins.core.model import ImageGrant, Mount, PodSpec
from higgins.core.phase import Desired, Wish
from higgins.store import actions, hosts, pods, quotas
from higgins.store.pods import NewPod, Pod
from higgins.store.records import idempotency, registries
from higgins.store.session import Transaction
from higgins.threads.together import both


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """A request with what does not need the store decided."""

    caller: Caller
    new: NewContainer
    uuid: str
    name: str
    chosen: Chosen
    clouded: tuple[Mount | None, ...]
    found_image: ImageGrant | None
    run: bool


class Creator:
    """Makes containers of requests."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._networking = networking_of(means)

    def create(
        self, caller: Caller, new: NewContainer, *, run: bool, idempotency_key: str | None, request_hash: str
    ) -> Pod:
        """See ``Containers.create``."""
        self._check_policy(caller, new)
        limits.check_new(self._means.settings, new)
        key = None if idempotency_key is None else (caller.project_id, idempotency_key, request_hash)
        before = self._made_before(caller, key)
        if before is not None:
            return before
        try:
            chosen, found_image, clouded = self._looked_up(caller, new)
        except HigginsError:
            before = self._made_before(caller, key)  # by the first try, which ended while this one asked
            if before is None:
                raise
            return before
        order = _Order(
            caller=caller,
            new=new,
            uuid=str(uuid.uuid4()),
            name=new.name or names.default_name(secrets.randbelow(names.DEFAULT_NAMES)),
            chosen=chosen,
            found_image=found_image,
            clouded=clouded,
            run=run,
        )

        def work(tx: Transaction) -> Pod:
            if key is not None:
                made = idempotency.claim(tx, *key, order.uuid)
                if made != order.uuid:
                    return _made_before(tx, made, caller)
            return self._insert(tx, order)

        pod = self._means.db.retrying(work)
        self._means.hint(pod.host_id)
        return pod

    def _looked_up(
        self, caller: Caller, new: NewContainer
    ) -> tuple[Chosen, ImageGrant | None, tuple[Mount | None, ...]]:
        """What the request means by the services' words; of several services that must be asked, each at the same time as the others."""
        means = self._means

        def connected() -> Chosen:
            return choose(self._networking, caller, new.nets, new.security_groups)

        def pictured() -> ImageGrant | None:
            return picture.find(means, caller, new.image, new.image_driver)

        def mounted() -> tuple[Mount | None, ...]:
            return mounts.in_cloud(means, caller, new.mounts)

        if means.services is None or not (new.mounts or picture.of_glance(means, new.image_driver)):
            return connected(), pictured(), mounted()
        chosen, (found_image, clouded) = both(connected, lambda: both(pictured, mounted))
        return chosen, found_image, clouded

    def _made_before(self, caller: Caller, key: tuple[str, str, str] | None) -> Pod | None:
        """What the same request made before, which now has what the request names: so it is asked for before any service is."""
        if key is None:
            return None
        with self._means.db.read() as tx:
            made = idempotency.known(tx, *key)
            return None if made is None else _made_before(tx, made, caller)

    def _check_policy(self, caller: Caller, new: NewContainer) -> None:
        gated = (
            ("container:create", True),
            ("container:create:image_pull_policy", new.image_pull_policy is not None),
            ("container:create:runtime", new.runtime is not None),
            ("container:create:privileged", new.privileged),
            ("container:create:requested_destination", new.host is not None),
        )
        for rule, asked in gated:
            if asked:
                self._means.policy.require(caller, rule)

    def _insert(self, tx: Transaction, order: _Order) -> Pod:
        caller, means = order.caller, self._means
        unmounted = self._unmounted(tx, order)
        container = unmounted.containers[0]
        size = {
            "cpu_milli": units.cpus_to_milli(container.cpus or 0),
            "memory_mib": container.memory_mib or 0,
            "disk_gib": container.disk_gib or 0,
        }
        # Before volumes are looked for: the project's other creates wait for this one here, and then find what it makes.
        quotas.take(tx, caller.project_id, means.settings.quota, containers=1, **size)
        spec = self._mounted(tx, order, unmounted)
        new = NewPod(
            uuid=order.uuid,
            project_id=caller.project_id,
            user_id=caller.user_id,
            name=order.name,
            unique_name=limits.unique_name(means.settings, caller.project_id, order.name),
            image=container.image,
            spec=spec,
            desired=Desired.RUNNING if order.run else Desired.CREATED,
            run=1 if order.run else 0,
            request_id=caller.request_id,
            auto_remove=spec.auto_remove,
            cpu_milli=size["cpu_milli"],
            memory_mib=size["memory_mib"],
            disk_gib=size["disk_gib"],
            dedicated_cpus=container.dedicated_cpus,
        )
        pod = pods.insert(tx, new, means.sealer)
        actions.start(
            tx, pod.uuid, pod.project_id, pod.user_id, caller.request_id, Wish.CREATE, generation=pod.generation
        )
        return pod

    def _unmounted(self, tx: Transaction, order: _Order) -> PodSpec:
        new, scope = order.new, Scope(order.caller.project_id)
        registry = None if new.registry is None else registries.get(tx, new.registry, scope)
        return shape.pod_spec(
            new,
            self._means.settings,
            uuid=order.uuid,
            name=order.name,
            chosen=order.chosen,
            found_image=order.found_image,
            mounts=(),
            registry=None if registry is None else (registry.uuid, registry.domain),
            requested_host=None if new.host is None else _host(tx, new.host),
        )

    def _mounted(self, tx: Transaction, order: _Order, unmounted: PodSpec) -> PodSpec:
        complete = tuple(
            mounts.complete(tx, self._means, asked, found, project_id=order.caller.project_id, pod_uuid=order.uuid)
            for asked, found in zip(order.new.mounts, order.clouded, strict=True)
        )
        container = dataclasses.replace(unmounted.containers[0], mounts=complete)
        return dataclasses.replace(unmounted, containers=(container,))


def _made_before(tx: Transaction, pod_uuid: str, caller: Caller) -> Pod:
    try:
        return pods.get(tx, pod_uuid, Scope(caller.project_id))
    except NotFound as error:
        raise Conflict(
            "The container that was made with this Idempotency-Key is gone. Use a new key to make another.",
            code="idempotency-key-in-use",
        ) from error


def _host(tx: Transaction, ident: str) -> str:
    try:
        return hosts.get(tx, ident).hostname
    except NotFound as error:
        raise NotFound(f"The requested host {ident} could not be found.", code="requested-host-not-found") from error
