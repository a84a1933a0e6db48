"""Lets an upgrade that broke off go on when it is run anew, where each change of a table is committed by itself and the revision later: MariaDB.

Tables, columns and indexes that are there already are not made again; whatever else a migration does must bear to be done twice.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.ddl.mysql import MySQLImpl


class ResumedMySQL(MySQLImpl):
    """Alembic takes it for this dialect because it was defined last."""

    __dialect__ = "mysql"

    def create_table(self, table: sa.Table, **options: Any) -> None:
        """Unless it is there."""
        if not self._there().has_table(table.name):
            super().create_table(table, **options)

    def add_column(self, table_name: str, column: sa.Column[Any], **options: Any) -> None:
        """Unless it is there."""
        if column.name not in {one["name"] for one in self._there().get_columns(table_name)}:
            super().add_column(table_name, column, **options)

    def create_index(self, index: sa.Index, **options: Any) -> None:
        """Unless it is there."""
        table = "" if index.table is None else index.table.name
        if index.name not in {one["name"] for one in self._there().get_indexes(table)}:
            super().create_index(index, **options)

    def _there(self) -> sa.Inspector:
        if self.connection is None:
            raise TypeError("migrations are run on a connection")
        return sa.inspect(self.connection)


class ResumedMariaDB(ResumedMySQL):
    """The same by its own name."""

    __dialect__ = "mariadb"
