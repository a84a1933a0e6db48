"""Which controller asks the outside for a pod, so that no other does at the same moment"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Bring the tables to this version."""
    op.add_column("pods", sa.Column("held_by", sa.String(length=255), nullable=True))
    op.add_column("pods", sa.Column("held_until", TIME, nullable=True))
