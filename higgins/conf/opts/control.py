"""Options of the control plane: API, database, quota, scheduling, housekeeping. Declares them, reads none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oslo_config import cfg

from higgins.core import defaults

API = [
    cfg.HostAddressOpt("host_ip", default="127.0.0.1", help="Address the API listens on."),
    cfg.PortOpt("port", default=9517, help="Port the API listens on."),
    cfg.IntOpt("workers", default=1, min=1, help="API processes."),
    cfg.IntOpt(
        "threads",
        default=defaults.API_THREADS,
        min=1,
        help="Requests that one API process handles side by side. A quarter of them is kept free of live questions, and half of them of "
        "those of one project.",
    ),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Most rows that one page of a list holds."),
    cfg.IntOpt(
        "max_body_mib",
        default=128,
        min=1,
        help="Largest request body, in MiB: that of an archive for a container, a third larger there than the archive. Others end at 16.",
    ),
    cfg.StrOpt("ssl_cert_file", help="Certificate of the API; without one it speaks plain HTTP."),
    cfg.StrOpt("ssl_key_file", help="Private key of the certificate."),
    cfg.IntOpt("live_timeout_s", default=60, min=1, help="Longest wait for a host's answer to a live question."),
    cfg.ListOpt("cors_allowed_origins", default=[], help="Origins of web pages that browsers may call the API from."),
    cfg.BoolOpt("enable_proxy_headers_parsing", default=False, help="Trust X-Forwarded headers of a proxy in front."),
]

DATABASE = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="SQLAlchemy URL of the database. The default is an SQLite file in the state directory.",
    ),
]

IDENTITY = [
    cfg.StrOpt(
        "backend",
        default="http_basic",
        choices=[
            ("http_basic", "users, projects and roles from a file, passwords over HTTP Basic"),
            ("keystone", "tokens of Keystone, checked as [keystone_authtoken] of keystonemiddleware says"),
            ("noauth", "everybody is an administrator: only for a machine of one's own"),
        ],
        help="How callers say who they are.",
    ),
    cfg.StrOpt("users_file", help="Users of http_basic. The default is users.json in the state directory."),
]

POLICY = [
    cfg.StrOpt("policy_file", help="YAML file with rules that replace the documented defaults."),
]

SECRETS = [
    cfg.StrOpt(
        "key_file", help="Key that seals secrets in the database. The default is secret.key in the state directory."
    ),
]

COMPUTE = [
    cfg.FloatOpt("default_cpu", default=1.0, min=0, help="Processors of a container that names none; 0 is no limit."),
    cfg.IntOpt("default_memory_mib", default=512, min=0, help="Memory of a container that names none; 0 is no limit."),
    cfg.IntOpt("default_disk_gib", default=0, min=0, help="Disk of a container that names none; 0 is no limit."),
    cfg.FloatOpt("minimum_cpus", default=0.1, help="Fewest processors of a container."),
    cfg.FloatOpt("maximum_cpus", default=16.0, help="Most processors of a container."),
    cfg.IntOpt("minimum_memory_mib", default=4, help="Least memory of a container."),
    cfg.IntOpt("maximum_memory_mib", default=8192, help="Most memory of a container."),
    cfg.IntOpt("minimum_disk_gib", default=1, help="Least disk of a container."),
    cfg.IntOpt("maximum_disk_gib", default=160, help="Most disk of a container."),
    cfg.IntOpt(
        "default_pids_limit", default=2048, min=0, help="Processes of a container that names no limit; 0 is none."
    ),
    cfg.StrOpt(
        "default_image_pull_policy",
        default="ifnotpresent",
        choices=[
            ("ifnotpresent", "only when the host has no image of that name"),
            ("always", "at each create, so that nobody runs an image that another project's credentials fetched"),
            ("never", "only images that hosts have"),
        ],
        help="When a host asks the registry for an image, for a container that does not say.",
    ),
    cfg.ListOpt(
        "registries",
        default=list(defaults.REGISTRIES),
        help="Registries that hosts may be asked to pull from, such as docker.io or *.example.com:5000; a * stands for any letters. Hosts reach "
        "what users may not: without a list here, a name like 10.0.0.1:8080/x makes a host knock there.",
    ),
    cfg.StrOpt(
        "unique_container_name_scope",
        default="",
        choices=[("", "names need not be unique"), ("project", "within a project"), ("global", "everywhere")],
        help="Where a container's name must be unique.",
    ),
    cfg.StrOpt("default_availability_zone", default="nova", help="Zone of a host that names none."),
]

QUOTA = [
    cfg.IntOpt(
        "containers", default=defaults.QUOTA_CONTAINERS, min=-1, help="Containers of a project; -1 is no limit."
    ),
    cfg.IntOpt("memory", default=defaults.QUOTA_MEMORY_MIB, min=-1, help="Memory of a project in MiB; -1 is no limit."),
    cfg.IntOpt("cpu", default=defaults.QUOTA_CPUS, min=-1, help="Processors of a project; -1 is no limit."),
    cfg.IntOpt("disk", default=defaults.QUOTA_DISK_GIB, min=-1, help="Disk of a project in GiB; -1 is no limit."),
    cfg.IntOpt(
        "local_volumes",
        default=defaults.QUOTA_LOCAL_VOLUMES,
        min=-1,
        help="Local volumes with names of a project; -1 is no limit.",
    ),
]

SCHEDULER = [
    cfg.FloatOpt(
        "cpu_allocation_ratio",
        default=defaults.CPU_RATIO,
        min=0.1,
        help="Processors promised for each one that is there.",
    ),
    cfg.FloatOpt(
        "ram_allocation_ratio",
        default=defaults.MEMORY_RATIO,
        min=0.1,
        help="Memory promised for each byte that is there.",
    ),
    cfg.FloatOpt(
        "disk_allocation_ratio", default=defaults.DISK_RATIO, min=0.1, help="Disk promised for each byte that is there."
    ),
    cfg.IntOpt(
        "host_down_after_s",
        default=defaults.HOST_DOWN_AFTER_S,
        min=1,
        help="Silence after which a host counts as down.",
    ),
    cfg.IntOpt(
        "no_host_deadline_s",
        default=300,
        min=0,
        help="How long a create waits for a host that would suit but is not up.",
    ),
    cfg.IntOpt("poll_s", default=5, min=1, help="How often the loops look even when no hint came."),
]

HOUSEKEEPING = [
    cfg.IntOpt("history_days", default=30, min=1, help="How long actions and events are kept."),
    cfg.IntOpt(
        "sweep_s",
        default=900,
        min=0,
        help="How often the controller looks through what Neutron, Cinder, Glance and Placement have of this installation and no container "
        "needs, such as what came of a request that was given up as unanswered. What it finds twice in a row it takes away. "
        "0 leaves that to higgins-manage audit.",
    ),
    cfg.IntOpt("idempotency_hours", default=24, min=1, help="How long an Idempotency-Key is remembered."),
]

GROUPS: Mapping[str, Sequence[cfg.Opt]] = {
    "api": API,
    "database": DATABASE,
    "identity": IDENTITY,
    "policy": POLICY,
    "secrets": SECRETS,
    "compute": COMPUTE,
    "quota": QUOTA,
    "scheduler": SCHEDULER,
    "housekeeping": HOUSEKEEPING,
}
