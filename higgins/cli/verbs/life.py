"""The verbs that change whether a container runs: stop, start, restart, kill, pause, unpause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from higgins.cli.session import Session, json_option, no_wait_option, pass_session
from higgins.cli.verbs.wish import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable

    from higgins.cli.client.api import Json, Reply

_names = click.argument("names", nargs=-1, required=True, metavar="NAME...")
_timeout = click.option(
    "-t", "--time", "timeout", type=click.IntRange(0), metavar="SECONDS", help="How long to let it end by itself (10)."
)


def _asker(session: Session, action: str, **query: object) -> Callable[[Json], Reply]:
    return lambda container: session.api.act(container, action, query)


def _extra(timeout: int | None) -> dict[str, float]:
    return {"timeout_s": 60.0 + (timeout or 0)}


def _timed(session: Session, action: str, timeout: int | None) -> Callable[[Json], Reply]:
    # Zun answers only when the host took the request, so a long grace time needs a long answer time
    return lambda container: session.api.act(container, action, {"timeout": timeout}, **_extra(timeout))


@click.command("stop")
@_names
@_timeout
@no_wait_option
@json_option
@pass_session
def stop_verb(session: Session, names: tuple[str, ...], timeout: int | None, no_wait: bool, as_json: bool) -> None:
    """Stop containers: a polite signal first, and after the grace time an end that cannot be refused."""
    wishes = Wishes(session.api, "stopped", as_json=as_json, no_wait=no_wait)
    wishes.all(names, _timed(session, "stop", timeout), frozenset({"Stopped"}))


@click.command("start")
@_names
@no_wait_option
@json_option
@pass_session
def start_verb(session: Session, names: tuple[str, ...], no_wait: bool, as_json: bool) -> None:
    """Start containers that were created, stopped or failed."""
    wishes = Wishes(session.api, "started", as_json=as_json, no_wait=no_wait)
    wishes.all(names, _asker(session, "start"), frozenset({"Running"}))


@click.command("restart")
@_names
@_timeout
@no_wait_option
@json_option
@pass_session
def restart_verb(session: Session, names: tuple[str, ...], timeout: int | None, no_wait: bool, as_json: bool) -> None:
    """Stop containers and start them again."""
    wishes = Wishes(session.api, "restarted", as_json=as_json, no_wait=no_wait)
    wishes.all(names, _timed(session, "reboot", timeout))


@click.command("kill")
@_names
@click.option("-s", "--signal", metavar="SIGNAL", help="The signal, such as HUP or 15 (KILL).")
@no_wait_option
@json_option
@pass_session
def kill_verb(session: Session, names: tuple[str, ...], signal: str | None, no_wait: bool, as_json: bool) -> None:
    """Send a signal to containers; without --signal, end them at once."""
    wishes = Wishes(session.api, "sent the signal", as_json=as_json, no_wait=no_wait)
    wishes.all(names, _asker(session, "kill", signal=signal))


@click.command("pause")
@_names
@no_wait_option
@json_option
@pass_session
def pause_verb(session: Session, names: tuple[str, ...], no_wait: bool, as_json: bool) -> None:
    """Freeze all processes of containers; their memory stays as it is."""
    wishes = Wishes(session.api, "paused", as_json=as_json, no_wait=no_wait)
    wishes.all(names, _asker(session, "pause"), frozenset({"Paused"}))


@click.command("unpause")
@_names
@no_wait_option
@json_option
@pass_session
def unpause_verb(session: Session, names: tuple[str, ...], no_wait: bool, as_json: bool) -> None:
    """Let the processes of paused containers go on."""
    wishes = Wishes(session.api, "unpaused", as_json=as_json, no_wait=no_wait)
    wishes.all(names, _asker(session, "unpause"), frozenset({"Running"}))
