"""The verbs that make a container: run and create."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from higgins.cli import output, tail
from higgins.cli.errors import OWN_FAILURE, CliError, own_failures
from higgins.cli.progress import Progress
from higgins.cli.session import Session, json_option, no_wait_option, pass_session
from higgins.cli.settle import TRANSIENT, Failed, look, pace, reason, settle
from higgins.cli.verbs.change import remove
from higgins.cli.verbs.creation import creation_body, creation_options

if TYPE_CHECKING:
    from higgins.cli.client.api import Api, Json

_ENDED = frozenset({"Stopped", "Dead", "Deleted", "Error"})
_RESTART_GRACE_S = 3.0
_SETTINGS = {"allow_interspersed_args": False}


@click.command("create", context_settings=_SETTINGS)
@click.argument("image")
@click.argument("command", nargs=-1)
@creation_options
@click.option("--rm", "auto_remove", is_flag=True, help="Remove it when it ends.")
@no_wait_option
@json_option
@pass_session
def create_verb(
    session: Session,
    /,
    image: str,
    command: tuple[str, ...],
    auto_remove: bool,
    no_wait: bool,
    as_json: bool,
    **told: Any,
) -> None:
    """Create a container from IMAGE without starting it, and print its uuid."""
    body = creation_body(image, command, told, is_higgins=session.api.is_higgins)
    made, _ = _make(session.api, body, auto_remove=auto_remove, run=False, wait=not no_wait, quiet=as_json)
    if as_json:
        output.print_json(made)
    else:
        click.echo(made["uuid"])


@click.command("run", context_settings=_SETTINGS)
@click.argument("image")
@click.argument("command", nargs=-1)
@creation_options
@click.option("--rm", "auto_remove", is_flag=True, help="Remove it when it ends.")
@click.option("-d", "--detach", is_flag=True, help="Print its uuid when it runs, and leave it to itself.")
@no_wait_option
@json_option
@pass_session
def run_verb(
    session: Session,
    /,
    image: str,
    command: tuple[str, ...],
    auto_remove: bool,
    detach: bool,
    no_wait: bool,
    as_json: bool,
    **told: Any,
) -> None:
    """Create a container from IMAGE and start it.

    Without --detach, print what it writes until it ends, and end with its exit code (125 when Higgins itself fails).
    Ctrl-C leaves the container running.
    """
    stays = detach or no_wait or as_json
    with own_failures():
        api = session.api
        body = creation_body(image, command, told, is_higgins=api.is_higgins)
        if told["interactive"] and not stays and sys.stdin.isatty():
            click.echo("Only the output is shown; what you type is not sent to the container.", err=True)
        # attached, we remove it ourselves: its last words and its exit code must be read first
        try:
            made, gone = _make(api, body, auto_remove=auto_remove and stays, run=True, wait=not no_wait, quiet=as_json)
        except Failed as failed:
            if auto_remove and not stays:
                remove(api, failed.container, force=False)
                failed.hint = "It was removed again, as --rm asks for."
            raise
        if as_json:
            output.print_json(made)
        elif stays:
            click.echo(made["uuid"])
        elif gone:
            raise CliError(f"{made['name']} was removed by somebody else before it ran.")
        else:
            raise click.exceptions.Exit(_attached(api, made, auto_remove=auto_remove))


def _make(
    api: Api, body: dict[str, Any], *, auto_remove: bool, run: bool, wait: bool, quiet: bool
) -> tuple[Json, bool]:
    """The container made, and whether it is gone again already (one that removes itself may be)."""
    if auto_remove:
        body["auto_remove"] = True
    reply = api.call("POST", "containers", query={"run": "true"} if run else None, body=body, once=True, timeout_s=120)
    made: Json = reply.body
    if not wait:
        return made, False
    what = "started" if run else "created"
    try:
        with Progress(api, quiet=quiet) as progress:
            passing = TRANSIENT | {"Created"} if run else TRANSIENT
            now = settle(api, made, reply.request_id, what, watch=progress, passing=passing)
            if now is not None and now.get("status") == "Error":
                raise Failed(now, what, reason(api, now))
    except KeyboardInterrupt:
        _say_how_to_look(made, "is still being made")
        raise
    except Failed as failed:
        name = failed.container["name"]
        failed.hint = f"It is kept for you to look at: higgins why {name}; remove it with: higgins rm {name}"
        failed.run_code = _code_of(failed)
        raise
    return (made, True) if now is None else (now, False)


def _code_of(failed: Failed) -> int:
    """127 for a program that the image does not have, 126 for one that may not be run, as shells and docker end."""
    if re.search(r"executable file .*not found|no such file or directory", failed.why, re.IGNORECASE):
        return 127
    return 126 if re.search(r"permission denied|exec format", failed.why, re.IGNORECASE) else OWN_FAILURE


def _attached(api: Api, container: Json, *, auto_remove: bool) -> int:
    """Print what the container writes until it ends; its exit code."""
    try:
        ended = follow(api, container)
    except KeyboardInterrupt:
        _say_how_to_look(container, "goes on running")
        return 130
    code = exit_code(ended) if ended else None
    if ended and ended.get("status") == "Error":
        if auto_remove:
            remove(api, ended, force=False)
        click.echo(f"higgins: {container['name']} failed: {reason(api, ended)}", err=True)
        return code if code is not None else OWN_FAILURE
    if ended and auto_remove:
        settle(api, ended, remove(api, ended, force=False).request_id, "removed")
    if code is None:
        raise CliError(f"{container['name']} is gone, and its exit code with it.", "Was it removed by somebody else?")
    return code


def follow(api: Api, container: Json, lines: tail.Tail | None = None, *, stamps: bool = False) -> Json | None:
    """Write what a container writes, until it ends; the container then, or ``None`` when it was removed."""
    lines = lines or tail.Tail(api, container)
    stopped_since: float | None = None
    pauses = pace()
    while True:
        now = look(api, container["uuid"])
        if now is None:
            return None
        new = _new(api, lines, now)
        tail.write(new, stamps=stamps)
        if now.get("status") in _ENDED and not now.get("task_state"):
            stopped_since = stopped_since or time.monotonic()
            if not _may_restart(now) or time.monotonic() - stopped_since > _RESTART_GRACE_S:
                return now
        else:
            stopped_since = None
        if new:
            pauses = pace()
        time.sleep(next(pauses))


def _new(api: Api, lines: tail.Tail, now: Json) -> list[tuple[str, str, str]]:
    try:
        return lines.new()
    except CliError:
        # a container that was removed or never started has no logs; what it is now says the rest
        if now.get("status") == "Running":
            raise
        return []


def _may_restart(container: Json) -> bool:
    policy = (container.get("restart_policy") or {}).get("Name", "no")
    if container.get("status") == "Error" or policy in {"", "no"}:
        return False
    return policy != "on-failure" or exit_code(container) != 0


def exit_code(container: Json) -> int | None:
    """The exit code of a container that ended; on a plain Zun, from its status text."""
    code = container.get("exit_code")
    if isinstance(code, int):
        return code
    found = re.search(r"Exited\s*\((\d+)\)", str(container.get("status_detail") or ""))
    return int(found.group(1)) if found else None


def _say_how_to_look(container: Json, what: str) -> None:
    name = container["name"]
    click.echo(
        f"\n{name} {what}. Look at it: higgins logs -f {name}   Stop it: higgins stop {name}   Remove it: higgins rm -f {name}",
        err=True,
    )
