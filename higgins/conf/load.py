"""Reads configuration files into one object of options; knows every option and nothing that uses one."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from higgins.conf.opts import cloud, control, host

FILE_VARIABLE = "HIGGINS_CONFIG_FILE"


def load(
    program: str, args: Sequence[str] = (), files: Sequence[str] = (), cli: Sequence[cfg.Opt] = ()
) -> cfg.ConfigOpts:
    """All options as the files and the command line set them.

    Without ``--config-file`` in ``args`` and without ``files``, the file that HIGGINS_CONFIG_FILE names is read, else oslo.config's usual places.
    """
    conf = prepared(cli)
    conf(list(args), project="higgins", prog=program, default_config_files=list(files) or default_files())
    return conf


def prepared(cli: Sequence[cfg.Opt] = ()) -> cfg.ConfigOpts:
    """An object that knows every option and has read nothing yet."""
    conf = cfg.ConfigOpts()
    for group, options in list_opts():
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    if cli:
        conf.register_cli_opts(cli)
    log.register_options(conf)
    return conf


def default_files() -> list[str] | None:
    """The files that HIGGINS_CONFIG_FILE names (separated as in PATH); None for oslo.config's usual places."""
    named = os.environ.get(FILE_VARIABLE)
    return named.split(os.pathsep) if named else None


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Every group with its options, for the sample generator."""
    return [
        (group, list(options))
        for groups in (host.GROUPS, control.GROUPS, cloud.GROUPS)
        for group, options in groups.items()
    ]


def in_state(conf: cfg.ConfigOpts, value: str | None, default: str) -> str:
    """``value``, or the path of ``default`` inside the state directory when it is not set."""
    return value or str(Path(conf.state_dir) / default)


def hostname(conf: cfg.ConfigOpts) -> str:
    """The name this host goes by."""
    return str(conf.host or socket.gethostname())


def database_url(conf: cfg.ConfigOpts) -> str:
    """The database's URL; an SQLite file in the state directory when none is set."""
    return str(conf.database.connection or f"sqlite:///{Path(conf.state_dir) / 'higgins.db'}")


def wire_address(conf: cfg.ConfigOpts) -> str:
    """Where the controller listens for agents."""
    return str(conf.wire.listen or f"unix:{Path(conf.state_dir) / 'wire.sock'}")


def hints_address(conf: cfg.ConfigOpts) -> str:
    """Where API processes wake the controller."""
    return str(conf.wire.hints or f"unix:{Path(conf.state_dir) / 'hints.sock'}")


def users_file(conf: cfg.ConfigOpts) -> str:
    """Where the users of http_basic stand."""
    return in_state(conf, conf.identity.users_file, "users.json")
