"""Asking something of several containers: all are asked first, then each is waited for. It must not know which verb it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from higgins.cli import output
from higgins.cli.errors import ApiError, CliError
from higgins.cli.settle import TRANSIENT, look, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from higgins.cli.client.api import Api, Reply

Json = dict[str, Any]


class Wishes:
    """The wishes of one command; ``what`` completes "NAME could not be ..."."""

    def __init__(self, api: Api, what: str, *, as_json: bool, no_wait: bool) -> None:
        self._api, self._what, self._as_json, self._no_wait = api, what, as_json, no_wait
        self._failed = False
        self._results: list[Json] = []

    def all(self, names: Iterable[str], ask: Callable[[Json], Reply], already: frozenset[str] = frozenset()) -> None:
        """Ask for each container, wait, and print it; a container in a status of ``already`` that refuses is no failure.

        Ends the command with 1 when one of them failed, after all the others were dealt with.
        """
        asked = [(name, *found) for name in names if (found := self._ask(name, ask, already)) is not None]
        for name, container, request_id in asked:
            self._finish(name, container, request_id)
        if self._as_json:
            output.print_json(self._results)
        if self._failed:
            raise click.exceptions.Exit(1)

    def _ask(self, name: str, ask: Callable[[Json], Reply], already: frozenset[str]) -> tuple[Json, str | None] | None:
        try:
            container = self._api.container(name)
            try:
                return container, ask(container).request_id
            except ApiError as error:
                if error.status != 409 or container.get("status") not in already:
                    raise
                state = str(container["status"]).lower()
                click.echo(f"{name} is {state} already.", err=True)
                return container, None
        except CliError as error:
            self._tell(error)
            return None

    def _finish(self, name: str, container: Json, request_id: str | None) -> None:
        now: Json | None = container
        try:
            if self._no_wait:
                now = look(self._api, container["uuid"])
            elif request_id is not None:
                now = settle(self._api, container, request_id, self._what, passing=TRANSIENT)
        except CliError as error:
            self._tell(error)
            return
        if self._as_json:
            self._results.append(now or {"uuid": container["uuid"], "name": container["name"], "status": "Deleted"})
        else:
            click.echo(name)

    def _tell(self, error: CliError) -> None:
        error.show()
        self._failed = True
