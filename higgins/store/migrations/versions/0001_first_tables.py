"""The tables of the first release"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
SEALED = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Bring the tables to this version."""
    op.create_table(
        "actions",
        sa.Column("id", ID, nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("pod_uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("message", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_actions"),
        sa.UniqueConstraint("pod_uuid", "request_id", name="uq_actions_pod_uuid_request_id"),
    )
    op.create_index("ix_actions_started_at", "actions", ["started_at"], unique=False)

    op.create_table(
        "events",
        sa.Column("id", ID, nullable=False),
        sa.Column("pod_uuid", sa.String(length=36), nullable=False),
        sa.Column("host_id", ID, nullable=True),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("verb", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=512), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("pod_uuid", "key", name="uq_events_pod_uuid_key"),
    )
    op.create_index("ix_events_started_at", "events", ["started_at"], unique=False)

    op.create_table(
        "hosts",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("credential_hash", sa.String(length=64), nullable=False),
        sa.Column("availability_zone", sa.String(length=255), server_default="nova", nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("disabled_reason", sa.String(length=255), nullable=True),
        sa.Column("forced_down", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cpu_milli_claimed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("memory_mib_claimed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_gib_claimed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pods_claimed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cpus", sa.Integer(), server_default="0", nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("facts", JSON, nullable=True),
        sa.Column("live_address", sa.String(length=255), nullable=True),
        sa.Column("live_token", SEALED, nullable=True),
        sa.Column("report_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("report_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_seen_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_hosts"),
        sa.UniqueConstraint("hostname", name="uq_hosts_hostname"),
        sa.UniqueConstraint("uuid", name="uq_hosts_uuid"),
    )
    op.create_index("ix_hosts_credential_hash", "hosts", ["credential_hash"], unique=False)

    op.create_table(
        "idempotency_keys",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("pod_uuid", sa.String(length=36), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "key", name="pk_idempotency_keys"),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("key_check", SEALED, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )
    op.create_table(
        "ledger",
        sa.Column("id", ID, nullable=False),
        sa.Column("pod_uuid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("host_id", ID, nullable=True),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("data", JSON, nullable=True),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("made_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
        sa.UniqueConstraint("pod_uuid", "kind", "key", name="uq_ledger_pod_uuid_kind_key"),
    )
    op.create_table(
        "networks",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("network_id", sa.String(length=255), nullable=False),
        sa.Column("neutron_net_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_networks"),
        sa.UniqueConstraint("neutron_net_id", name="uq_networks_neutron_net_id"),
        sa.UniqueConstraint("uuid", name="uq_networks_uuid"),
    )
    op.create_table(
        "quota_classes",
        sa.Column("class_name", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=32), nullable=False),
        sa.Column("hard_limit", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("class_name", "resource", name="pk_quota_classes"),
    )
    op.create_table(
        "quotas",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=32), nullable=False),
        sa.Column("hard_limit", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name="pk_quotas"),
    )
    op.create_table(
        "registries",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=True),
        sa.Column("password", SEALED, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_registries"),
        sa.UniqueConstraint("uuid", name="uq_registries_uuid"),
    )
    op.create_index("ix_registries_project_id_id", "registries", ["project_id", "id"], unique=False)

    op.create_table(
        "usages",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("containers", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cpu_milli", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_usages"),
    )
    op.create_table(
        "images",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("host_id", ID, nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("repo", sa.String(length=255), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.Column("pull_policy", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("wanted", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("host_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("observed_generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("image_id", sa.String(length=255), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name="fk_images_host_id_hosts"),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.UniqueConstraint("uuid", name="uq_images_uuid"),
    )
    op.create_index("ix_images_host_id_host_version", "images", ["host_id", "host_version"], unique=False)

    op.create_table(
        "pods",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("unique_name", sa.String(length=330), nullable=True),
        sa.Column("image", sa.String(length=255), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("sealed", SEALED, nullable=True),
        sa.Column("spec_version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("desired", sa.String(length=16), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("build", sa.BigInteger(), nullable=False),
        sa.Column("wish", sa.String(length=32), nullable=False),
        sa.Column("wished_at", TIME, nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("stop_timeout_s", sa.Integer(), server_default="10", nullable=False),
        sa.Column("stop_signal", sa.String(length=16), nullable=True),
        sa.Column("auto_remove", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cpu_milli", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=True),
        sa.Column("host_id", ID, nullable=True),
        sa.Column("schedule_generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("schedule_reason", sa.Text(), nullable=True),
        sa.Column("provision_generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("provision_reason", sa.Text(), nullable=True),
        sa.Column("host_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("observed_generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("observed_run", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("status", JSON, nullable=True),
        sa.Column("reported_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name="fk_pods_host_id_hosts"),
        sa.PrimaryKeyConstraint("id", name="pk_pods"),
        sa.UniqueConstraint("unique_name", name="uq_pods_unique_name"),
        sa.UniqueConstraint("uuid", name="uq_pods_uuid"),
    )
    op.create_index(
        "ix_pods_gone",
        "pods",
        ["phase"],
        unique=False,
        sqlite_where=sa.text("phase = 'gone'"),
        postgresql_where=sa.text("phase = 'gone'"),
    )
    op.create_index("ix_pods_host_id_host_version", "pods", ["host_id", "host_version"], unique=False)
    op.create_index("ix_pods_kind_id", "pods", ["kind", "id"], unique=False)
    op.create_index("ix_pods_name", "pods", ["name"], unique=False)
    op.create_index("ix_pods_project_id_kind_id", "pods", ["project_id", "kind", "id"], unique=False)
    op.create_index("ix_pods_project_id_name", "pods", ["project_id", "name"], unique=False)
    op.create_index(
        "ix_pods_unprovisioned",
        "pods",
        ["host_id", "provision_generation", "generation"],
        unique=False,
        sqlite_where=sa.text("host_id IS NOT NULL AND provision_generation < generation"),
        postgresql_where=sa.text("host_id IS NOT NULL AND provision_generation < generation"),
    )

    op.create_table(
        "volumes",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("driver", sa.String(length=16), nullable=False),
        sa.Column("size_gib", sa.Integer(), nullable=True),
        sa.Column("pod_uuid", sa.String(length=36), nullable=True),
        sa.Column("host_id", ID, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name="fk_volumes_host_id_hosts"),
        sa.PrimaryKeyConstraint("id", name="pk_volumes"),
        sa.UniqueConstraint("project_id", "name", name="uq_volumes_project_id_name"),
        sa.UniqueConstraint("uuid", name="uq_volumes_uuid"),
    )
    op.create_index("ix_volumes_pod_uuid", "volumes", ["pod_uuid"], unique=False)
