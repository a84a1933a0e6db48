"""Options of a host's agent, its engine, and the wire between both sides. Declares them, reads none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oslo_config import cfg

DEFAULT = [
    cfg.StrOpt("state_dir", default="/var/lib/higgins", help="Where this service keeps what it must not lose."),
    cfg.StrOpt("host", help="Name of this host. The default is its hostname."),
]

WIRE = [
    cfg.StrOpt(
        "listen",
        help="Where the controller answers agents: unix:PATH or https://ADDRESS:PORT. The default is wire.sock in the state directory.",
    ),
    cfg.StrOpt("ssl_cert_file", help="Certificate for https."),
    cfg.StrOpt("ssl_key_file", help="Private key for https."),
    cfg.StrOpt("agents_ca_file", help="Certificates that sign the agents' own, for live questions over https."),
    cfg.StrOpt(
        "hints",
        help="Where API processes wake the controller: unix:PATH. The default is hints.sock in the state directory.",
    ),
]

AGENT = [
    cfg.StrOpt(
        "controller",
        help="Where the controller answers: unix:PATH or https://HOST:PORT. The default is wire.sock in the state directory.",
    ),
    cfg.StrOpt("controller_ca_file", help="Certificates that sign the controller's own, for https."),
    cfg.StrOpt(
        "credential_file",
        help="This host's enrolled credential. The default is agent/credential in the state directory.",
    ),
    cfg.StrOpt(
        "live_listen",
        help="Where this agent answers live questions: unix:PATH or https://ADDRESS:PORT. The default is live.sock in the state directory.",
    ),
    cfg.StrOpt("ssl_cert_file", help="Certificate of this agent, for https."),
    cfg.StrOpt("ssl_key_file", help="Private key of this agent, for https."),
    cfg.StrOpt(
        "network_host",
        default="",
        help="What Neutron calls this machine, when it is not this host's name: two agents of one machine share one switch.",
    ),
    cfg.StrOpt(
        "ovsdb_connection",
        default="unix:/run/openvswitch/db.sock",
        help="Where the database of this host's Open vSwitch answers: unix:PATH or tcp:ADDRESS:PORT. Asked only for ports of Neutron.",
    ),
    cfg.HostAddressOpt(
        "storage_address",
        help="This host's address in the network of Cinder's back ends. The default is the one from which it reaches other networks.",
    ),
    cfg.IntOpt("workers", default=8, min=1, help="Pods looked after side by side."),
    cfg.StrOpt(
        "dedicated_cpus",
        default="",
        help="Processors of this host for containers with the cpu_policy dedicated, as 2-5,8; all others run on the rest, which must be one at"
        " least. Containers that were made before this was changed run where they ran until they are rebuilt.",
    ),
    cfg.IntOpt(
        "wish_deadline_s", default=600, min=1, help="How long a wish is tried before the pod is failed with a reason."
    ),
    cfg.IntOpt("pull_deadline_s", default=120, min=1, help="How long an unreachable registry is asked again."),
    cfg.IntOpt(
        "orphan_grace_s", default=60, min=0, help="How long a container of ours that nobody was assigned is left alone."
    ),
    cfg.IntOpt(
        "image_max_mib",
        default=20480,
        min=1,
        help="The biggest image of Glance that is fetched to this host; its layers may have as much again when unpacked.",
    ),
    cfg.IntOpt(
        "image_unused_s",
        default=3600,
        min=0,
        help="How long an image that came from Glance stays on this host when no container here is made of it any more.",
    ),
    cfg.StrOpt(
        "lost_journal",
        default="leave",
        choices=[
            ("leave", "containers found ended stay ended"),
            ("start", "containers found ended are started once more"),
        ],
        help="What to do about ended containers when the journal of past starts is gone.",
    ),
]

ENGINE = [
    cfg.StrOpt("name", default="podman", help="Which engine driver, by its entry point."),
    cfg.StrOpt("address", default="unix:///run/podman/podman.sock", help="Where the engine answers."),
]

GROUPS: Mapping[str, Sequence[cfg.Opt]] = {"DEFAULT": DEFAULT, "wire": WIRE, "agent": AGENT, "engine": ENGINE}
