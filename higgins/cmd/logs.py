"""Logging of every process, as oslo.log's options say."""

from __future__ import annotations

import logging

from oslo_config import cfg
from oslo_log import log

_NOISY = ("sqlalchemy", "aiohttp.access", "cheroot", "alembic")


def set_up_logging(conf: cfg.ConfigOpts) -> None:
    """Log as oslo.log's options say; to standard error unless a file is named."""
    log.setup(conf, "higgins")
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
