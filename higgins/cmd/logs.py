"""Logging of every process, as oslo.log's options say."""

from __future__ import annotations

import logging
import sys

from oslo_config import cfg
from oslo_log import formatters, log

_NOISY = ("sqlalchemy", "aiohttp.access", "cheroot", "alembic")


class _SaidOnce(formatters.ContextFormatter):
    """Lines without the error that oslo.log adds to a warning wherever one is handled, if the message tells it already."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        said = str(sys.exc_info()[1] or "")
        if record.exc_info or not said or said not in record.getMessage():
            return line
        return line.removesuffix(f": {getattr(record, 'error_summary', '')}")


def set_up_logging(conf: cfg.ConfigOpts) -> None:
    """Log as oslo.log's options say; to standard output unless they name something else."""
    log.setup(conf, "higgins")
    for handler in logging.getLogger().handlers:
        if type(handler.formatter) is formatters.ContextFormatter:
            handler.setFormatter(_SaidOnce(project="higgins", datefmt=conf.log_date_format, config=conf))
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
