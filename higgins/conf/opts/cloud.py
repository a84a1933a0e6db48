"""Options of a Higgins inside an OpenStack: its own account at Keystone, and what comes from the cloud. Declares them, reads none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oslo_config import cfg, types

KEYSTONE = [
    cfg.StrOpt("auth_url", help="Keystone's address, such as http://keystone.example:5000/v3."),
    cfg.StrOpt("username", default="higgins", help="The service's own user; it has the role service (and admin)."),
    cfg.StrOpt("password", secret=True, help="That user's password. Hosts never get it."),
    cfg.StrOpt("project_name", default="service", help="The project in which that user works."),
    cfg.StrOpt("user_domain_name", default="Default", help="The user's domain."),
    cfg.StrOpt("project_domain_name", default="Default", help="The project's domain."),
    cfg.StrOpt("region_name", help="Which region's endpoints of the catalogue are used; any when it is not set."),
    cfg.StrOpt(
        "valid_interface",
        default="internal",
        choices=["internal", "public", "admin"],
        help="Which endpoints of the catalogue are used.",
    ),
    cfg.StrOpt("cafile", help="Certificates that sign those of Keystone and of the services, for https."),
    cfg.IntOpt("timeout_s", default=30, min=1, help="Longest wait for one answer of a service."),
    cfg.IntOpt(
        "token_cache_s",
        default=60,
        min=0,
        max=60,
        help="How long a user's token that Keystone has confirmed is believed without asking again, and so how late its revocation may be seen.",
    ),
]

CLOUD = [
    cfg.StrOpt(
        "network_driver",
        default="bridge",
        choices=[
            ("bridge", "a network of the host's engine"),
            ("neutron", "ports of Neutron, plugged by os-vif"),
        ],
        help="What connects containers.",
    ),
    cfg.ListOpt(
        "volume_drivers",
        default=["local"],
        item_type=types.String(choices=["local", "cinder"]),
        help="Which volumes containers may mount: local ones of their host, and Cinder's. With cinder, a name or a size means one of Cinder's.",
    ),
    cfg.ListOpt(
        "image_drivers",
        default=["docker"],
        item_type=types.String(choices=["docker", "glance"]),
        help="Where images may come from; the first is used when a container names none.",
    ),
    cfg.StrOpt(
        "claims",
        default="embedded",
        choices=[
            ("embedded", "room on hosts is claimed in Higgins' own database"),
            ("placement", "room on hosts is claimed at Placement too, with everything else in the cloud"),
        ],
        help="Who keeps count of room on hosts.",
    ),
    cfg.IntOpt(
        "reserved_host_cpus",
        default=0,
        min=0,
        help="Processors of each host that Placement gives to nobody: the host's own, or those of another service on it.",
    ),
    cfg.IntOpt("reserved_host_memory_mib", default=512, min=0, help="The same of memory, in MiB."),
    cfg.IntOpt("reserved_host_disk_gib", default=0, min=0, help="The same of disk space, in GiB."),
]

GROUPS: Mapping[str, Sequence[cfg.Opt]] = {"keystone": KEYSTONE, "cloud": CLOUD}
