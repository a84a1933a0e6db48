"""``higgins-api``: serves the REST API with granian. Imports nothing of the API itself: its workers do."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces
from oslo_config import cfg

from higgins.cmd import logs
from higgins.cmd.machine.lifeline import die_with_supervisor
from higgins.conf import load

LOG = logging.getLogger(__name__)


def main() -> int:
    """Serve until told to stop."""
    die_with_supervisor(signal.SIGKILL)  # granian loses a SIGTERM that comes while it starts
    conf = load.load("higgins-api", sys.argv[1:])
    logs.set_up_logging(conf)
    _check_users(conf)
    if conf.api.workers > 1:
        _share_metrics(Path(conf.state_dir) / "metrics")
    Granian(
        "higgins.cmd.wsgi:application",
        address=conf.api.host_ip,
        port=conf.api.port,
        interface=Interfaces.WSGI,
        workers=conf.api.workers,
        blocking_threads=conf.api.threads,
        factory=True,
        websockets=False,
        respawn_failed_workers=True,
        log_level="warning",  # type: ignore[arg-type]  # an enum of strings
        ssl_cert=Path(conf.api.ssl_cert_file) if conf.api.ssl_cert_file else None,
        ssl_key=Path(conf.api.ssl_key_file) if conf.api.ssl_key_file else None,
    ).serve()
    return 0


def _share_metrics(folder: Path) -> None:
    """Have all workers count into one folder, which starts empty: any of them then answers for all."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _check_users(conf: cfg.ConfigOpts) -> None:
    if conf.identity.backend == "noauth":
        LOG.warning(
            "Identity is noauth: everybody who reaches %s:%d is an administrator.", conf.api.host_ip, conf.api.port
        )
    elif conf.identity.backend == "http_basic" and not Path(load.users_file(conf)).exists():
        sys.exit(
            f"There is no users file at {load.users_file(conf)}. Make one with: higgins-manage user create NAME --project NAME"
        )


if __name__ == "__main__":
    sys.exit(main())
