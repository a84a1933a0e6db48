"""Processors that a container has for itself; and the ledger's entries found by what they are of"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this version."""
    op.add_column("hosts", sa.Column("dedicated_cpus", sa.Integer(), server_default="0", nullable=False))
    op.add_column("hosts", sa.Column("dedicated_cpus_claimed", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("pods", sa.Column("dedicated_cpus", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("ix_ledger_kind", "ledger", ["kind", "key"], unique=False)
