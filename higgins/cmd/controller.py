"""``higgins-controller``: scheduler, provisioning, housekeeping and the agents' endpoint. Any number may run; none leads."""

from __future__ import annotations

import contextlib
import logging
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from oslo_config import cfg

from higgins.cloud.services import Services
from higgins.cmd import clouds, logs, parts
from higgins.cmd.machine.lifeline import block_stop_signals, die_with_supervisor, wait_for_stop
from higgins.cmd.machine.memory import settle_memory
from higgins.conf import load
from higgins.control.container import commit
from higgins.core import errors
from higgins.provision.audits.housekeeping import Housekeeper
from higgins.provision.audits.sweep import Sweep
from higgins.provision.loop import Provisioner
from higgins.provision.undo import Undo
from higgins.scheduler.inventories import Publisher, Reserved
from higgins.scheduler.loop import Scheduler
from higgins.scheduler.placement import PlacementClaims
from higgins.store.agents.desk import Desk
from higgins.store.loops.holds import Holder
from higgins.store.records import installation
from higgins.store.session import Database
from higgins.threads import private_sockets
from higgins.wire import hints
from higgins.wire.server import Server

LOG = logging.getLogger(__name__)

_QUESTION_S = 300.0
_PODS_AT_ONCE = 16


class Part(Protocol):
    """Something that runs on threads of its own between ``start`` and ``stop``."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End."""
        ...


def main() -> int:
    """Run every part until told to stop."""
    die_with_supervisor()
    conf = load.load("higgins-controller", sys.argv[1:])
    logs.set_up_logging(conf)
    block_stop_signals()
    running: list[Part] = []
    with contextlib.ExitStack() as alone:
        try:
            alone.enter_context(_alone(load.wire_address(conf)))
            for part in build(conf):
                part.start()
                running.append(part)
            settle_memory()
            LOG.info("The controller answers agents at %s", load.wire_address(conf))
            wait_for_stop()
        except (errors.HigginsError, OSError) as error:
            LOG.error("The controller cannot start: %s", error)
            return 1
        finally:
            for part in reversed(running):
                part.stop()
    return 0


@contextlib.contextmanager
def _alone(address: str) -> Iterator[None]:
    """A socket's file can be replaced while its owner lives, and then two would hold pods by one name. A port has one owner anyway."""
    if not address.startswith("unix:"):
        yield
        return
    with private_sockets.owned(address.removeprefix("unix:")) as is_ours:
        if not is_ours:
            raise errors.Conflict(
                f"Another controller answers agents at {address}. Stop it first, or give this one another listen in [wire]."
            )
        yield


def build(conf: cfg.ConfigOpts) -> list[Part]:
    """The controller's parts, in the order in which they start."""
    database = parts.open_database(conf)
    sealer = parts.open_sealer(conf)
    local = hints.LocalHints()
    chosen = conf.scheduler
    # Nobody else listens there at the same time, and after a restart this one does again.
    holder = Holder(f"{load.hostname(conf)} {load.wire_address(conf)}"[:255])
    services = clouds.open_services(conf)
    return [
        # First and until the end: where it cannot listen, another controller has this one's name.
        Server(
            Desk(database, sealer),
            local,
            load.wire_address(conf),
            tls=_tls(conf),
            images=None if services is None else services.glance,
        ),
        *_scheduling(conf, services, database, local, holder),
        Provisioner(
            database,
            local,
            clouds.open_kinds(services, database),
            sealer,
            interval_s=chosen.poll_s,
            at_once=_PODS_AT_ONCE,
            holder=holder,
        ),
        Housekeeper(
            database,
            local,
            history_days=conf.housekeeping.history_days,
            idempotency_hours=conf.housekeeping.idempotency_hours,
            question_s=max(_question_s(services), 2.0 * conf.api.live_timeout_s),
            down_after_s=chosen.host_down_after_s,
        ),
        hints.DatagramEar(Path(load.hints_address(conf).removeprefix("unix:")), local),
        *([Undo(database, local, sealer)] if services is not None and services.neutron is not None else []),
        *_sweeping(conf, services, database, local),
    ]


def _question_s(services: Services | None) -> float:
    """How long an answer is waited for: a commit to Glance goes on while its caller goes his way."""
    return _QUESTION_S if services is None or services.glance is None else _QUESTION_S + commit.LONGEST_S


def _sweeping(
    conf: cfg.ConfigOpts, services: Services | None, database: Database, local: hints.LocalHints
) -> list[Part]:
    """What takes away what nobody needs of a cloud, unless that is left to an operator."""
    every_s = conf.housekeeping.sweep_s
    if services is None or not every_s:
        return []
    return [Sweep(database, local, clouds.open_audits(services, database), every_s=every_s)]


def _scheduling(
    conf: cfg.ConfigOpts, services: Services | None, database: Database, local: hints.LocalHints, holder: Holder
) -> list[Part]:
    """The scheduler, and where Placement counts too what tells it of hosts."""
    chosen = conf.scheduler
    ratios = parts.ratios(conf)
    found: list[Part] = []
    keeper = None
    if services is not None and services.placement is not None:
        with database.read() as tx:
            installed = installation.uuid(tx)
        keeper = PlacementClaims(database, ratios, services.placement, installed, holder)
        found.append(
            Publisher(
                database,
                local,
                services.placement,
                installed,
                ratios=ratios,
                reserved=Reserved(
                    cpus=conf.cloud.reserved_host_cpus,
                    memory_mib=conf.cloud.reserved_host_memory_mib,
                    disk_gib=conf.cloud.reserved_host_disk_gib,
                ),
                interval_s=chosen.poll_s,
                down_after_s=chosen.host_down_after_s,
            )
        )
    scheduler = Scheduler(
        database,
        local,
        ratios=ratios,
        interval_s=chosen.poll_s,
        down_after_s=chosen.host_down_after_s,
        first_host_s=chosen.no_host_deadline_s,
        keeper=keeper,
        holder=holder,
    )
    return [*found, scheduler]


def _tls(conf: cfg.ConfigOpts) -> ssl.SSLContext | None:
    if not conf.wire.ssl_cert_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(conf.wire.ssl_cert_file, conf.wire.ssl_key_file)
    return context


if __name__ == "__main__":
    sys.exit(main())
