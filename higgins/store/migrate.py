"""Brings a database to this release's tables, and says where it stands. Alembic is run from here, without an ini file."""

from __future__ import annotations

import pathlib

from alembic import autogenerate, command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from higgins.store.dialect import lock_while_connected
from higgins.store.session import Database
from higgins.store.tables import metadata

_FOLDER = pathlib.Path(__file__).parent / "migrations"
_ANOTHER_UPGRADE_S = 600


def upgrade(url: str) -> None:
    """Bring the database to ``head``; nothing happens when it is there. Two at once: the second waits and finds it done."""
    db = Database(url, patient=True)
    try:
        with db.write() as tx:
            lock_while_connected(tx.connection, "higgins db upgrade", wait_s=_ANOTHER_UPGRADE_S)
            config = _config()
            config.attributes["connection"] = tx.connection
            command.upgrade(config, "head")
    finally:
        db.close()


def current(url: str) -> str | None:
    """The revision a database is at; ``None`` for an empty one."""
    db = Database(url)
    try:
        with db.read() as tx:
            return MigrationContext.configure(tx.connection).get_current_revision()
    finally:
        db.close()


def head() -> str:
    """The revision of this release."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise LookupError(f"no migrations in {_FOLDER}")
    return found


def differences(url: str) -> list[object]:
    """How a database's tables differ from what the code expects; empty when they do not."""
    db = Database(url)
    try:
        with db.read() as tx:
            return list(autogenerate.compare_metadata(MigrationContext.configure(tx.connection), metadata))
    finally:
        db.close()


def write_revision(url: str, message: str, revision: str) -> None:
    """For developers: write the next version from how the tables differ from a database that is at ``head``."""
    db = Database(url)
    try:
        with db.read() as tx:
            config = _config()
            config.attributes["connection"] = tx.connection
            command.revision(config, message, autogenerate=True, rev_id=revision)
    finally:
        db.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config
