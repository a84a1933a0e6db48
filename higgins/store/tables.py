"""The tables, and who writes each column. Nothing but structure; the migrations make them, a test compares both.

Owners: [api] the use cases, [sched] the scheduler, [prov] provisioning, [agent] the host's report. Nobody else writes a column,
but for a claim, which moves with its pod's size when [api] changes that.
JSON stands in text columns, encoded by msgspec; times are UTC without a zone.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Uuid = sa.String(36)
Project = sa.String(64)
Json = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Sealed = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
Time = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("uuid", Uuid, nullable=False, unique=True),
    sa.Column("hostname", sa.String(255), nullable=False, unique=True),
    sa.Column("credential_hash", sa.String(64), nullable=False),  # [manage] SHA-256 of the enrolled token
    sa.Column("availability_zone", sa.String(255), nullable=False, server_default="nova"),  # [api]
    sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),  # [api]
    sa.Column("disabled_reason", sa.String(255)),  # [api]
    sa.Column("forced_down", sa.Boolean, nullable=False, server_default=sa.false()),  # [api]
    sa.Column(
        "version", sa.BigInteger, nullable=False, server_default="0"
    ),  # bumped by each change of this host's wishes
    sa.Column("cpu_milli_claimed", sa.BigInteger, nullable=False, server_default="0"),  # [sched]
    sa.Column("memory_mib_claimed", sa.BigInteger, nullable=False, server_default="0"),  # [sched]
    sa.Column("disk_gib_claimed", sa.BigInteger, nullable=False, server_default="0"),  # [sched]
    sa.Column("dedicated_cpus_claimed", sa.BigInteger, nullable=False, server_default="0"),  # [sched] in cpu_milli too
    sa.Column("pods_claimed", sa.BigInteger, nullable=False, server_default="0"),  # [sched]
    sa.Column("cpus", sa.Integer, nullable=False, server_default="0"),  # [agent] this and all below
    sa.Column("dedicated_cpus", sa.Integer, nullable=False, server_default="0"),  # so many of them
    sa.Column("memory_mib", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("disk_gib", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("facts", Json),  # HostFacts
    sa.Column("live_address", sa.String(255)),
    sa.Column("live_token", Sealed),
    sa.Column("report_number", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("report_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_seen_at", Time),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time),
    sa.Index("ix_hosts_credential_hash", "credential_hash"),
)

pods = sa.Table(
    "pods",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("uuid", Uuid, nullable=False, unique=True),  # [api] this and all to updated_at
    sa.Column("kind", sa.String(16), nullable=False),  # container | capsule
    sa.Column("project_id", Project, nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("unique_name", sa.String(330), unique=True),  # set where names must be unique: "<project or *>/<name>"
    sa.Column("image", sa.String(255), nullable=False),  # of the first container, to filter on
    sa.Column("spec", Json, nullable=False),  # PodSpec without what is sealed
    sa.Column("sealed", Sealed),  # environments and injected files
    sa.Column("spec_version", sa.Integer, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("desired", sa.String(16), nullable=False),
    sa.Column("run", sa.BigInteger, nullable=False),
    sa.Column("build", sa.BigInteger, nullable=False),
    sa.Column("wish", sa.String(32), nullable=False),
    sa.Column("wished_at", Time, nullable=False),
    sa.Column("request_id", sa.String(64)),
    sa.Column("stop_timeout_s", sa.Integer, nullable=False, server_default="10"),
    sa.Column("stop_signal", sa.String(16)),
    sa.Column("auto_remove", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("cpu_milli", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("memory_mib", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("disk_gib", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("dedicated_cpus", sa.BigInteger, nullable=False, server_default="0"),  # so many processors of cpu_milli
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time),
    sa.Column("host_id", Id, sa.ForeignKey("hosts.id")),  # [sched]
    sa.Column("schedule_generation", sa.BigInteger, nullable=False, server_default="0"),  # [sched] last one decided on
    sa.Column("schedule_reason", sa.Text),  # [sched] why there is no host
    sa.Column("provision_generation", sa.BigInteger, nullable=False, server_default="0"),  # [prov] last one dealt with
    sa.Column("provision_reason", sa.Text),  # [prov] why the cloud's part failed
    sa.Column("held_by", sa.String(255)),  # the controller that asks the outside for it now: see loops.holds
    sa.Column("held_until", Time),
    sa.Column(
        "host_version", sa.BigInteger, nullable=False, server_default="0"
    ),  # the host's version at the last change
    sa.Column("phase", sa.String(16)),  # [agent] this and all below
    sa.Column("observed_generation", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("observed_run", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("reason", sa.Text),
    sa.Column("status", Json),  # PodStatus
    sa.Column("reported_at", Time),
    sa.Index("ix_pods_project_id_kind_id", "project_id", "kind", "id"),
    sa.Index("ix_pods_project_id_name", "project_id", "name"),
    sa.Index("ix_pods_name", "name"),
    sa.Index("ix_pods_host_id_host_version", "host_id", "host_version"),
    sa.Index("ix_pods_kind_id", "kind", "id"),
    # The loops ask for these few rows all the time; where a database knows no partial index, it is a plain one.
    sa.Index(
        "ix_pods_unprovisioned",
        "host_id",
        "provision_generation",
        "generation",
        **_where("host_id IS NOT NULL AND provision_generation < generation"),
    ),
    sa.Index("ix_pods_gone", "phase", **_where("phase = 'gone'")),
)

actions = sa.Table(
    "actions",  # [api] starts one, [agent]'s report or [prov] finishes it; outlives its pod
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("pod_uuid", Uuid, nullable=False),
    sa.Column("project_id", Project, nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("generation", sa.BigInteger),  # finished when the pod has observed this one; null for a live action
    sa.Column("started_at", Time, nullable=False),
    sa.Column("finished_at", Time),
    sa.Column("message", sa.String(255)),  # null, or "Error"
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("pod_uuid", "request_id"),
    sa.Index("ix_actions_started_at", "started_at"),
)

events = sa.Table(
    "events",  # [agent]: steps done on a host, and why
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("pod_uuid", Uuid, nullable=False),
    sa.Column("host_id", Id),
    sa.Column("key", sa.String(64), nullable=False),  # unique per pod: a report sent twice stores it once
    sa.Column("request_id", sa.String(64)),
    sa.Column("verb", sa.String(32), nullable=False),
    sa.Column("target", sa.String(512), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("finished_at", Time),
    sa.Column("result", sa.String(16), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.UniqueConstraint("pod_uuid", "key"),
    sa.Index("ix_events_started_at", "started_at"),
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("uuid", Uuid, nullable=False, unique=True),  # [api] this and all to created_at
    sa.Column("host_id", Id, sa.ForeignKey("hosts.id"), nullable=False),
    sa.Column("project_id", Project, nullable=False),
    sa.Column("repo", sa.String(255), nullable=False),
    sa.Column("tag", sa.String(255), nullable=False),
    sa.Column("pull_policy", sa.String(16), nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("wanted", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("host_version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("phase", sa.String(16)),  # [agent] this and all below
    sa.Column("observed_generation", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("reason", sa.Text),
    sa.Column("image_id", sa.String(255)),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Index("ix_images_host_id_host_version", "host_id", "host_version"),
)

volumes = sa.Table(
    "volumes",  # [api] makes and drops a row, [sched] and [prov] bind it to a host
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("uuid", Uuid, nullable=False, unique=True),
    sa.Column("project_id", Project, nullable=False),
    sa.Column("name", sa.String(255)),
    sa.Column("driver", sa.String(16), nullable=False),
    sa.Column("size_gib", sa.Integer),
    sa.Column("pod_uuid", Uuid),  # set for a volume that goes with its pod
    sa.Column("host_id", Id, sa.ForeignKey("hosts.id")),
    sa.Column("created_at", Time, nullable=False),
    sa.UniqueConstraint("project_id", "name"),
    sa.Index("ix_volumes_pod_uuid", "pod_uuid"),
)

registries = sa.Table(
    "registries",  # [api]
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("uuid", Uuid, nullable=False, unique=True),
    sa.Column("project_id", Project, nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255)),
    sa.Column("domain", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255)),
    sa.Column("password", Sealed),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time),
    sa.Index("ix_registries_project_id_id", "project_id", "id"),
)

networks = sa.Table(
    "networks",  # [api]
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("uuid", Uuid, nullable=False, unique=True),
    sa.Column("project_id", Project, nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("network_id", sa.String(255), nullable=False),
    sa.Column("neutron_net_id", sa.String(255), nullable=False, unique=True),
    sa.Column("created_at", Time, nullable=False),
)

quotas = sa.Table(
    "quotas",  # [api] limits set for a project; -1 is no limit
    metadata,
    sa.Column("project_id", Project, primary_key=True),
    sa.Column("resource", sa.String(32), primary_key=True),
    sa.Column("hard_limit", sa.BigInteger, nullable=False),
)

quota_classes = sa.Table(
    "quota_classes",  # [api] limits of a class; "default" feeds every project
    metadata,
    sa.Column("class_name", sa.String(255), primary_key=True),
    sa.Column("resource", sa.String(32), primary_key=True),
    sa.Column("hard_limit", sa.BigInteger, nullable=False),
)

usages = sa.Table(
    "usages",  # [api] takes in the transaction of the wish; given back with the row
    metadata,
    sa.Column("project_id", Project, primary_key=True),
    sa.Column("containers", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("cpu_milli", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("memory_mib", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("disk_gib", sa.BigInteger, nullable=False, server_default="0"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",  # [api] what a create with this key made
    metadata,
    sa.Column("project_id", Project, primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("request_hash", sa.String(64), nullable=False),
    sa.Column("pod_uuid", Uuid, nullable=False),
    sa.Column("created_at", Time, nullable=False),
)

ledger = sa.Table(
    "ledger",  # [prov] every outside thing, written before it is asked for and struck after it is gone
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("pod_uuid", Uuid, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),  # volume, port, attachment, allocation, ...
    sa.Column("key", sa.String(255), nullable=False),  # what makes it this one: a network's or volume's uuid
    sa.Column("host_id", Id),
    sa.Column("external_id", sa.String(255)),  # null until the outside answered
    sa.Column(
        "shape", sa.String(64), nullable=False, server_default=""
    ),  # how it was asked for; another one is asked for again
    sa.Column("data", Json),  # what the host is told of it
    sa.Column("sealed", Sealed),  # and what nobody else may read
    sa.Column(
        "released_at", sa.BigInteger
    ),  # the pod's generation that wants it no more: taken back once the host has left it
    sa.Column("asked_at", Time, nullable=False),
    sa.Column("made_at", Time),
    sa.UniqueConstraint("pod_uuid", "kind", "key"),
    sa.Index("ix_ledger_released_at", "released_at"),
    sa.Index("ix_ledger_kind", "kind", "key"),
)

installation = sa.Table(
    "installation",  # [manage] one row: what makes this installation itself
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uuid", Uuid, nullable=False),
    sa.Column("key_check", Sealed),  # a known text sealed with the installation's key: a wrong key is refused at start
    sa.Column("created_at", Time, nullable=False),
)
