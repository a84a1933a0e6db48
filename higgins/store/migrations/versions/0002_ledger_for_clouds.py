"""What the ledger keeps of things of a cloud: their shape, what hosts are told of them, and when they are wanted no more"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SEALED = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    """Bring the tables to this version."""
    op.add_column("ledger", sa.Column("shape", sa.String(length=64), server_default="", nullable=False))
    op.add_column("ledger", sa.Column("sealed", SEALED, nullable=True))
    op.add_column("ledger", sa.Column("released_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_ledger_released_at", "ledger", ["released_at"], unique=False)
