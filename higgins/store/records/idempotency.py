"""Rows of ``idempotency_keys``: what a create with a client's key made, so that asking twice makes one."""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from higgins.core import errors
from higgins.store.session import Duplicate, Overtaken, Transaction
from higgins.store.tables import idempotency_keys as keys


def known(tx: Transaction, project_id: str, key: str, request_hash: str) -> str | None:
    """The uuid of what this key has made, if anything; ``Conflict`` (code ``idempotency-key-in-use``) when it came with another request."""
    found = tx.row(
        sa.select(keys.c.request_hash, keys.c.pod_uuid).where(keys.c.project_id == project_id, keys.c.key == key)
    )
    if found is None:
        return None
    if found[0] != request_hash:
        raise errors.Conflict(
            f"The Idempotency-Key {key} was used for another request. Use a new key.", code="idempotency-key-in-use"
        )
    return str(found[1])


def claim(tx: Transaction, project_id: str, key: str, request_hash: str, pod_uuid: str) -> str:
    """The uuid of what this key makes: ``pod_uuid`` the first time, the earlier one after that.

    ``Conflict`` as ``known``; ``Overtaken`` when the same request comes twice at this moment.
    """
    made = known(tx, project_id, key, request_hash)
    if made is not None:
        return made
    values = {"project_id": project_id, "key": key, "request_hash": request_hash, "pod_uuid": pod_uuid}
    try:
        tx.change(keys.insert().values(created_at=tx.now, **values))
    except Duplicate as error:
        raise Overtaken("The same request came twice at the same moment. Try again.") from error
    return pod_uuid


def purge(tx: Transaction, before: datetime.datetime) -> int:
    """Forget keys from before a time; how many."""
    return tx.change(keys.delete().where(keys.c.created_at < before))
