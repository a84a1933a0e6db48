"""One run of the command: the global options, and the service they lead to, made when a verb first asks for it."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from higgins.cli.client.api import Api


class Session:
    """What every verb is given."""

    def __init__(self, cloud: str | None, state: str | None, *, debug: bool = False) -> None:
        self._cloud, self._state, self.debug = cloud, state, debug

    @functools.cached_property
    def api(self) -> Api:
        """The service of the cloud that was named; raises ``CliError`` when none can be found."""
        from higgins.cli.client.api import Api
        from higgins.cli.client.auth import make_auth
        from higgins.cli.client.cloud import find_cloud

        cloud = find_cloud(self._cloud, self._state, os.environ)
        return Api(cloud, make_auth(cloud, os.environ, debug=self.debug), debug=self.debug)


pass_session = click.make_pass_decorator(Session)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def no_wait_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--no-wait``."""
    return click.option("--no-wait", is_flag=True, help="Return at once; do not wait for the result.")(command)


def for_each(names: Iterable[str], act: Callable[[str], None]) -> None:
    """Call ``act`` with each name; one that fails is told and the others go on, and the command then ends with 1."""
    from higgins.cli.errors import CliError

    failed = False
    for name in names:
        try:
            act(name)
        except CliError as error:
            error.show()
            failed = True
    if failed:
        raise click.exceptions.Exit(1)
