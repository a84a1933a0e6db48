"""Placement: providers with their inventories and traits, who could take what, and who has taken it.

Must not know hosts or pods, nor what of them counts as a resource.
"""

from __future__ import annotations

import dataclasses
import random
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from higgins.core import errors

if TYPE_CHECKING:  # so that types alone need no keystoneauth1
    from higgins.cloud.session import Caller, Session

MICROVERSION = "placement 1.38"
"""The first in which a consumer has a type."""

_TRIES = 6
_FULL = re.compile(r"Unable to allocate inventory")
_OF_CLASS = re.compile(r"for '?([A-Z0-9_]+)'?")


class Full(errors.OutOfCapacity):
    """A provider has not so much left; ``resource_class`` is what it lacks, where Placement says so."""

    def __init__(self, message: str, resource_class: str | None) -> None:
        super().__init__(message)
        self.resource_class = resource_class


@dataclasses.dataclass(frozen=True, slots=True)
class Provider:
    """One resource provider."""

    uuid: str
    name: str
    generation: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """How much of one resource class a provider has, how much of it nobody gets, and how often the rest is promised."""

    total: int
    reserved: int = 0
    allocation_ratio: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What one consumer takes: amounts by resource class, by the provider's uuid. ``generation`` is ``None`` for a consumer that has nothing."""

    consumer: str
    amounts: Mapping[str, Mapping[str, int]]
    project_id: str
    user_id: str
    consumer_type: str
    generation: int | None = None

    def same_amounts(self, other: Allocation) -> bool:
        """Whether both take the same of the same providers."""
        return {uuid: dict(taken) for uuid, taken in self.amounts.items()} == {
            uuid: dict(taken) for uuid, taken in other.amounts.items()
        }


class Placement:
    """Placement's REST API. Errors are those of ``Service.call``; a guarded change that came too late is a ``Conflict``."""

    def __init__(self, service: Caller) -> None:
        self._service = service

    @classmethod
    def of(cls, session: Session) -> Placement:
        """The Placement of the catalogue."""
        return cls(session.service("placement", "Placement", microversion=MICROVERSION))

    def provider(self, uuid: str) -> Provider | None:
        """The provider of this uuid, if there is one."""
        found = self._providers({"uuid": uuid})
        return found[0] if found else None

    def providers(self, *, required: Iterable[str] = (), forbidden: Iterable[str] = ()) -> list[Provider]:
        """All providers that have the traits ``required`` and none that are ``forbidden``; none when a trait does not exist."""
        traits = ",".join((*required, *(f"!{one}" for one in forbidden)))
        try:
            return self._providers({"required": traits} if traits else {})
        except errors.Invalid:
            return []

    def create_provider(self, uuid: str, name: str) -> Provider:
        """Make a root provider; ``Conflict`` when its uuid or name is in use."""
        return _provider(self._service.call("POST", "/resource_providers", body={"uuid": uuid, "name": name}))

    def rename_provider(self, uuid: str, name: str) -> None:
        """Give a provider another name; ``Conflict`` when that is in use."""
        self._service.call("PUT", f"/resource_providers/{uuid}", body={"name": name})

    def delete_provider(self, uuid: str) -> None:
        """Delete a provider; nothing happens when it is not there, ``Conflict`` while somebody takes something of it."""
        _unless_gone(lambda: self._service.call("DELETE", f"/resource_providers/{uuid}"))

    def inventories(self, uuid: str) -> tuple[int, dict[str, Inventory]]:
        """The provider's generation, and its inventories by resource class."""
        found = self._service.call("GET", f"/resource_providers/{uuid}/inventories")
        kept = {name: _inventory(one) for name, one in found["inventories"].items()}
        return int(found["resource_provider_generation"]), kept

    def set_inventories(self, uuid: str, generation: int, inventories: Mapping[str, Inventory]) -> int:
        """Replace all inventories; gives the provider's new generation. ``Conflict`` when one that goes is taken of."""
        body = {
            "resource_provider_generation": generation,
            "inventories": {name: dataclasses.asdict(one) for name, one in inventories.items()},
        }
        found = self._service.call("PUT", f"/resource_providers/{uuid}/inventories", body=body)
        return int(found["resource_provider_generation"])

    def traits(self, uuid: str) -> tuple[int, frozenset[str]]:
        """The provider's generation, and its traits."""
        found = self._service.call("GET", f"/resource_providers/{uuid}/traits")
        return int(found["resource_provider_generation"]), frozenset(found["traits"])

    def set_traits(self, uuid: str, generation: int, traits: Collection[str]) -> int:
        """Replace all traits; gives the provider's new generation. ``Invalid`` when one does not exist."""
        body = {"resource_provider_generation": generation, "traits": sorted(traits)}
        found = self._service.call("PUT", f"/resource_providers/{uuid}/traits", body=body)
        return int(found["resource_provider_generation"])

    def make_trait(self, name: str) -> None:
        """Have a trait of this name; nothing happens when it exists."""
        self._service.call("PUT", f"/traits/{name}")

    def drop_trait(self, name: str) -> None:
        """Delete a trait of our own that no provider has; nothing happens when it is not there."""
        _unless_gone(lambda: self._service.call("DELETE", f"/traits/{name}"))

    def candidates(
        self, amounts: Mapping[str, int], *, required: Iterable[str] = (), forbidden: Iterable[str] = ()
    ) -> frozenset[str]:
        """The uuids of the providers that could give all of this by themselves now; none when a trait does not exist."""
        resources = ",".join(f"{name}:{amount}" for name, amount in sorted(amounts.items()))
        traits = ",".join((*required, *(f"!{one}" for one in forbidden)))
        query = {"resources": resources} | ({"required": traits} if traits else {})
        try:
            found = self._service.call("GET", "/allocation_candidates", query=query)
        except errors.Invalid:
            return frozenset()
        requests = (one["allocations"] for one in found["allocation_requests"])
        return frozenset(next(iter(given)) for given in requests if len(given) == 1)

    def allocation(self, consumer: str) -> Allocation | None:
        """What a consumer takes, if anything."""
        found = self._service.call("GET", f"/allocations/{consumer}")
        if not found["allocations"]:
            return None
        return Allocation(
            consumer=consumer,
            amounts={uuid: one["resources"] for uuid, one in found["allocations"].items()},
            project_id=found["project_id"],
            user_id=found["user_id"],
            consumer_type=found["consumer_type"],
            generation=found["consumer_generation"],
        )

    def taken_of(self, provider: str) -> dict[str, dict[str, int]]:
        """Who takes what of a provider: amounts by resource class, by the consumer's uuid."""
        found = self._service.call("GET", f"/resource_providers/{provider}/allocations")
        return {consumer: one["resources"] for consumer, one in found["allocations"].items()}

    def allocate(self, wanted: Allocation) -> None:
        """Have a consumer take exactly this, whatever it took before and whatever became of an earlier request of this kind.

        ``Full`` when a provider has not so much left; ``Conflict`` when others were first several times.
        """
        for attempt in range(_TRIES):
            try:
                self._service.call("PUT", f"/allocations/{wanted.consumer}", body=_body(wanted))
            except errors.Conflict as error:
                if _is_full(error):
                    raise _full(error) from error
                if attempt == _TRIES - 1:
                    raise
            else:
                return
            time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - only spreads the writers
            there = self.allocation(wanted.consumer)
            if there is not None and there.same_amounts(wanted):
                return
            # A consumer whose first request broke off may be known without taking anything; its generation is 0 then.
            stale = 0 if wanted.generation is None else None
            wanted = dataclasses.replace(wanted, generation=stale if there is None else there.generation)

    def allocate_new(self, wanted: Sequence[Allocation]) -> None:
        """Have these consumers, who take nothing yet, take this, or none of them: then ``Conflict`` (which may be ``Full``)."""
        try:
            self._service.call("POST", "/allocations", body={one.consumer: _body(one) for one in wanted})
        except errors.Conflict as error:
            if _is_full(error):
                raise _full(error) from error
            raise

    def give_back(self, consumer: str) -> None:
        """Have a consumer take nothing; nothing happens when it does not."""
        try:
            self._service.call("DELETE", f"/allocations/{consumer}")
        except errors.NotFound as error:
            # A gateway on the way may answer so too, and then the room would be taken for ever.
            if self.allocation(consumer) is not None:
                raise errors.Unavailable("Placement contradicts itself. Try again later.") from error

    def _providers(self, query: Mapping[str, str]) -> list[Provider]:
        found = self._service.call("GET", "/resource_providers", query=query)
        return [_provider(one) for one in found["resource_providers"]]


def _unless_gone(call: Any) -> None:
    try:
        call()
    except errors.NotFound:
        return


def _provider(found: Mapping[str, Any]) -> Provider:
    return Provider(found["uuid"], found["name"], int(found["generation"]))


def _inventory(found: Mapping[str, Any]) -> Inventory:
    return Inventory(
        total=int(found["total"]),
        reserved=int(found["reserved"]),
        allocation_ratio=float(found["allocation_ratio"]),
    )


def _body(wanted: Allocation) -> dict[str, Any]:
    return {
        "allocations": {uuid: {"resources": dict(taken)} for uuid, taken in wanted.amounts.items()},
        "project_id": wanted.project_id,
        "user_id": wanted.user_id,
        "consumer_type": wanted.consumer_type,
        "consumer_generation": wanted.generation,
    }


def _is_full(error: errors.Conflict) -> bool:
    return _FULL.search(error.message) is not None


def _full(error: errors.Conflict) -> Full:
    named = _OF_CLASS.search(error.message)
    return Full(error.message, named.group(1) if named else None)
