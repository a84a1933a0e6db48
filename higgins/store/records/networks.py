"""Rows of ``networks``: the networks that an operator made known to containers."""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import uuid as uuids

import sqlalchemy as sa

from higgins.core import errors
from higgins.core.caller import Scope
from higgins.store.session import Duplicate, Transaction
from higgins.store.tables import networks


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """One row, typed."""

    id: int
    uuid: str
    project_id: str
    user_id: str
    name: str
    network_id: str
    neutron_net_id: str
    created_at: datetime.datetime


_SELECT = sa.select(*(networks.c[field.name] for field in dataclasses.fields(Network)))


def insert(
    tx: Transaction, *, project_id: str, user_id: str, name: str, network_id: str, neutron_net_id: str
) -> Network:
    """Make a network known; ``Conflict`` when this one is known already."""
    values = {"uuid": str(uuids.uuid4()), "project_id": project_id, "user_id": user_id, "name": name}
    values |= {"network_id": network_id, "neutron_net_id": neutron_net_id}
    try:
        tx.change(networks.insert().values(created_at=tx.now, **values))
    except Duplicate as error:
        raise errors.Conflict(
            f"The network {neutron_net_id} is known already.", code="network-already-exists"
        ) from error
    return get(tx, neutron_net_id, Scope(None))


def get(tx: Transaction, neutron_net_id: str, scope: Scope) -> Network:
    """The network of this Neutron id; ``NotFound``."""
    row = tx.row(_SELECT.where(networks.c.neutron_net_id == neutron_net_id, *_visible(scope)))
    if row is None:
        raise errors.NotFound(f"The network {neutron_net_id} could not be found.", code="network-not-found")
    return Network(*row)


def list(tx: Transaction, scope: Scope) -> builtins.list[Network]:  # noqa: A001 - reads as networks.list
    """The networks within a scope."""
    return [Network(*row) for row in tx.rows(_SELECT.where(*_visible(scope)).order_by(networks.c.id))]


def delete(tx: Transaction, network: Network) -> None:
    """Forget a network."""
    tx.change(networks.delete().where(networks.c.id == network.id))


def _visible(scope: Scope) -> builtins.list[sa.ColumnElement[bool]]:
    return [] if scope.project_id is None else [networks.c.project_id == scope.project_id]
