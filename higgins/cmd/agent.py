"""``higgins-agent``: looks after the pods of one host with one engine. Builds the agent; imports nothing of the control plane."""

from __future__ import annotations

import logging
import secrets
import sys
from pathlib import Path

from oslo_config import cfg

from higgins.agent.hands.block.brick import Brick, own_address
from higgins.agent.hands.block.volumes import BlockVolumes
from higgins.agent.hands.network import kernel
from higgins.agent.hands.network.names import mark_of
from higgins.agent.hands.network.plugs import Network
from higgins.agent.hands.network.switch import Switch
from higgins.agent.journal import Journal
from higgins.agent.live.server import TlsFiles
from higgins.agent.loop import Timings
from higgins.agent.service import Agent
from higgins.cmd import logs
from higgins.cmd.machine.lifeline import block_stop_signals, die_with_supervisor, wait_for_stop
from higgins.cmd.machine.memory import settle_memory
from higgins.conf import load
from higgins.core import cpusets, errors, units
from higgins.engine.load import open_engine
from higgins.engine.ports import TakesPorts
from higgins.wire.client import WireClient

LOG = logging.getLogger(__name__)


def main() -> int:
    """Look after this host's pods until told to stop; containers go on when it ends."""
    die_with_supervisor()
    conf = load.load("higgins-agent", sys.argv[1:])
    logs.set_up_logging(conf)
    try:
        agent = _agent(conf)
    except (errors.HigginsError, OSError) as error:
        LOG.error("The agent cannot start: %s", error)
        return 1
    block_stop_signals()
    agent.start()
    settle_memory()
    LOG.info("The agent of %s looks after %s at %s", load.hostname(conf), conf.engine.name, conf.engine.address)
    wait_for_stop()
    agent.stop()
    return 0


def _agent(conf: cfg.ConfigOpts) -> Agent:
    token = Path(load.in_state(conf, conf.agent.credential_file, "agent/credential")).read_text().strip()
    state_dir = Path(conf.state_dir) / "agent"
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    controller = conf.agent.controller or f"unix:{load.in_state(conf, None, 'wire.sock')}"
    engine = open_engine(conf.engine.name, conf.engine.address)
    return Agent(
        engine,
        WireClient(controller, token, ca_file=conf.agent.controller_ca_file),
        hostname=load.hostname(conf),
        state_dir=state_dir,
        live_address=conf.agent.live_listen or f"unix:{load.in_state(conf, None, 'live.sock')}",
        live_token=secrets.token_urlsafe(32),
        timings=Timings(
            wish_deadline_s=conf.agent.wish_deadline_s,
            pull_deadline_s=conf.agent.pull_deadline_s,
            orphan_grace_s=conf.agent.orphan_grace_s,
            image_unused_s=conf.agent.image_unused_s,
        ),
        workers=conf.agent.workers,
        most_image_bytes=units.mib_to_bytes(conf.agent.image_max_mib),
        dedicated_cpus=_dedicated_cpus(conf),
        network_host=conf.agent.network_host,
        network=Network(
            mark_of(str(state_dir.resolve())),
            kernel,
            Switch(conf.agent.ovsdb_connection),
            joins=not isinstance(engine, TakesPorts),
            eager=conf.cloud.network_driver == "neutron",
        ),
        blocks=_blocks(conf, state_dir) if "cinder" in conf.cloud.volume_drivers else None,
        journal=Journal(state_dir / "journal.sqlite", lost=conf.agent.lost_journal),
        tls=TlsFiles(certificate=conf.agent.ssl_cert_file, key=conf.agent.ssl_key_file)
        if conf.agent.ssl_cert_file
        else None,
    )


def _dedicated_cpus(conf: cfg.ConfigOpts) -> frozenset[int]:
    try:
        return cpusets.parse(conf.agent.dedicated_cpus)
    except errors.Invalid as error:
        raise errors.Invalid(f"dedicated_cpus: {error.message}") from error


def _blocks(conf: cfg.ConfigOpts, state_dir: Path) -> BlockVolumes:
    return BlockVolumes(
        state_dir / "volumes",
        state_dir / "formatting",
        Brick(state_dir / "locks"),
        hostname=load.hostname(conf),
        address=conf.agent.storage_address or own_address(),
    )


if __name__ == "__main__":
    sys.exit(main())
