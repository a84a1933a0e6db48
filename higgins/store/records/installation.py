"""The one row of ``installation``: its uuid, and a check that the key file belongs to this database."""

from __future__ import annotations

import uuid as uuids

import sqlalchemy as sa

from higgins.core import errors
from higgins.store.seal import Sealer
from higgins.store.session import Duplicate, Overtaken, Transaction
from higgins.store.tables import installation

_CONTEXT = "installation/key_check"
_WORDS = b"this key opens this installation"


def ensure(tx: Transaction, sealer: Sealer) -> str:
    """The installation's uuid; made the first time. ``NotReady`` when the key is not the one it was made with."""
    row = tx.row(sa.select(installation.c.uuid, installation.c.key_check).where(installation.c.id == 1))
    if row is not None:
        if row[1] is not None:
            sealer.open(row[1], _CONTEXT)
        return str(row[0])
    uuid = str(uuids.uuid4())
    values = {"id": 1, "uuid": uuid, "key_check": sealer.seal(_WORDS, _CONTEXT)}
    try:
        tx.change(installation.insert().values(created_at=tx.now, **values))
    except Duplicate as error:
        raise Overtaken("Another process is making this installation at the same moment. Try again.") from error
    return uuid


def uuid(tx: Transaction) -> str:
    """The installation's uuid; ``NotReady`` before it was made."""
    found = tx.scalar(sa.select(installation.c.uuid).where(installation.c.id == 1))
    if found is None:
        raise errors.NotReady("This installation has not been set up. Run: higgins-manage db upgrade")
    return str(found)
