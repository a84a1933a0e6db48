"""The REST API as a WSGI application, for granian (``higgins-api``) or any other WSGI server: ``higgins.cmd.wsgi:application()``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from oslo_config import cfg

from higgins.api.app import WSGI, make_app
from higgins.api.identity import Identity
from higgins.api.identity.basic import Basic
from higgins.api.identity.noauth import NoAuth
from higgins.api.metrics import Metrics, Sample
from higgins.cmd import clouds, logs, parts
from higgins.cmd.machine.lifeline import die_with_supervisor
from higgins.cmd.machine.memory import settle_memory
from higgins.conf import load
from higgins.control import service
from higgins.control.means import Means
from higgins.core.units import mib_to_bytes
from higgins.policy.enforce import Policy
from higgins.store.records import installation
from higgins.store.session import Database
from higgins.store.upkeep import gauges
from higgins.wire import hints


def application() -> WSGI:
    """The API of the configuration files that the command line, or HIGGINS_CONFIG_FILE, names."""
    die_with_supervisor(signal.SIGKILL)  # a granian worker would outlive a granian that was killed, and hold the port
    conf = load.load("higgins-api", sys.argv[1:] if "--config-file" in sys.argv else ())
    logs.set_up_logging(conf)
    database = parts.open_database(conf)
    means = _means(conf, database)
    app = make_app(
        service.build(means, parts.AgentQuestions(conf.wire.agents_ca_file)),
        _identity(conf),
        metrics=Metrics(_gather(database, means.settings.host_down_after_s)),
        healthy=_healthy(database),
        max_limit=conf.api.max_limit,
        threads=conf.api.threads,
        max_body_bytes=mib_to_bytes(conf.api.max_body_mib),
        proxy_headers=conf.api.enable_proxy_headers_parsing,
        cors_origins=conf.api.cors_allowed_origins,
    )
    settle_memory()
    return app


def _means(conf: cfg.ConfigOpts, database: Database) -> Means:
    sealer = parts.open_sealer(conf)
    with database.read() as tx:
        installation_uuid = installation.uuid(tx)
    path = load.hints_address(conf).removeprefix("unix:")
    return Means(
        db=database,
        sealer=sealer,
        policy=Policy(conf.policy.policy_file),
        hint=hints.after_wish(hints.DatagramHints(path)),
        installation=installation_uuid,
        settings=parts.settings(conf),
        services=clouds.open_services(conf),
    )


def _identity(conf: cfg.ConfigOpts) -> Identity:
    if conf.identity.backend == "noauth":
        return NoAuth(guarded=True, origins=conf.api.cors_allowed_origins)
    if conf.identity.backend == "keystone":
        return clouds.open_identity(conf)
    return Basic(Path(load.users_file(conf)), threads=conf.api.threads)


def _gather(database: Database, down_after_s: int) -> Callable[[], Iterable[Sample]]:
    def gather() -> Iterable[Sample]:
        with database.read() as tx:
            found = gauges.count(tx, down_after_s)
        yield "higgins_containers", "Containers by the phase their host reported.", ("phase",), found.containers
        yield "higgins_hosts", "Hosts by state.", ("state",), found.hosts

    return gather


def _healthy(database: Database) -> Callable[[], None]:
    def healthy() -> None:
        with database.read() as tx:
            installation.uuid(tx)

    return healthy
