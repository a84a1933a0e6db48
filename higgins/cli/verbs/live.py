"""The verbs that ask a container's host: logs, exec, top, stats."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any

import click

from higgins.cli import output, parse, tail
from higgins.cli.errors import OWN_FAILURE, CliError, own_failures
from higgins.cli.session import Session, for_each, json_option, pass_session

_LONG_S = 3600.0


@click.command("logs")
@click.argument("name")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until it ends.")
@click.option("-n", "--tail", "last", type=click.IntRange(0), metavar="LINES", help="Only the last lines.")
@click.option("--since", metavar="TIME", help="Only from then on: a time, or how long ago, such as 10m.")
@click.option("-t", "--timestamps", is_flag=True, help="With the time of each line.")
@json_option
@pass_session
def logs_verb(
    session: Session, name: str, following: bool, last: int | None, since: str | None, timestamps: bool, as_json: bool
) -> None:
    """Show what a container has written; what it wrote to standard error goes there."""
    container = session.api.container(name)
    lines = tail.Tail(session.api, container, _since(since) if since else None)
    first = lines.new(last)
    if as_json:
        output.print_json([{"stream": stream, "time": stamp, "text": text} for stream, stamp, text in first])
        return
    tail.write(first, stamps=timestamps)
    if following:
        from higgins.cli.verbs.run import follow

        try:
            follow(session.api, container, lines, stamps=timestamps)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None


def _since(text: str) -> str:
    """Seconds since 1970, for a time or for how long ago."""
    if re.fullmatch(r"\d{9,}(\.\d+)?", text):
        return text
    when = output.parse_time(text) if "-" in text else None
    if when is not None:
        return str(int(when.timestamp()))
    return str(int(time.time()) - parse.seconds(text))


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.option("-i", "--interactive", is_flag=True, hidden=True)
@click.option("-t", "--tty", is_flag=True, hidden=True)
@click.argument("name")
@click.argument("command", nargs=-1, required=True)
@json_option
@pass_session
def exec_verb(
    session: Session, name: str, command: tuple[str, ...], interactive: bool, tty: bool, as_json: bool
) -> None:
    """Run a command in a running container, print its output, and end with its exit code (125 when Higgins itself fails)."""
    if interactive or tty:
        raise click.UsageError("exec runs a command and shows its output; it takes no input, so leave -i and -t out.")
    with own_failures():
        container = session.api.container(name)
        asked = {"command": shlex.join(command), "run": True, "interactive": False}
        answer = session.api.act(container, "execute", body=asked, timeout_s=_LONG_S).body or {}
        if as_json:
            output.print_json({"output": answer.get("output"), "exit_code": answer.get("exit_code")})
        else:
            click.echo(answer.get("output") or "", nl=False)
    code = answer.get("exit_code")
    raise click.exceptions.Exit(code if isinstance(code, int) else OWN_FAILURE)


@click.command("top", context_settings={"allow_interspersed_args": False})
@click.argument("name")
@click.argument("ps_args", nargs=-1)
@json_option
@pass_session
def top_verb(session: Session, name: str, ps_args: tuple[str, ...], as_json: bool) -> None:
    """Show the processes of a container; what follows NAME are options of ps, such as -o pid,cmd."""
    container = session.api.container(name)
    answer = session.api.ask(container, "top", {"ps_args": " ".join(ps_args) or None})
    if as_json:
        output.print_json(answer)
        return
    titles = [str(title) for title in answer.get("Titles") or []]
    rows = [(row + [""] * len(titles))[: len(titles)] for row in answer.get("Processes") or []]
    output.print_table(titles, rows)


@click.command("stats")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@json_option
@pass_session
def stats_verb(session: Session, names: tuple[str, ...], as_json: bool) -> None:
    """Show what containers use of processors, memory, disk and network; without a name, all that run."""
    found: list[tuple[str, dict[str, Any]]] = []

    def ask(container: dict[str, Any]) -> None:
        found.append((str(container["name"]), session.api.ask(container, "stats")))

    def show() -> None:
        if as_json:
            output.print_json([{"name": name, **told} for name, told in found])
        else:
            output.print_table(
                ["NAME", "CPU", "MEMORY", "OF", "MEM %", "READ / WRITTEN", "RECEIVED / SENT"], map(_row, found)
            )

    try:
        if names:
            for_each(names, lambda name: ask(session.api.container(name)))
        else:
            _all_running(session, ask)
    finally:
        if found or not names:
            show()


def _all_running(session: Session, ask: Any) -> None:
    for container in session.api.pages("containers", {"status": "Running"}):
        try:
            ask(container)
        except CliError as error:
            error.show()  # it may just have ended; the others still count


def _row(entry: tuple[str, dict[str, Any]]) -> list[object]:
    name, told = entry
    return [
        name,
        _percent(told.get("CPU %")),
        _mib(told.get("MEM USAGE(MiB)")),
        _mib(told.get("MEM LIMIT(MiB)")),
        _percent(told.get("MEM %")),
        _two_sizes(told.get("BLOCK I/O(B)")),
        _two_sizes(told.get("NET I/O(B)")),
    ]


def _percent(value: object) -> str:
    return f"{value:.1f} %" if isinstance(value, int | float) else str(value or "")


def _mib(value: object) -> str:
    return output.size(value * 1024 * 1024) if isinstance(value, int | float) else str(value or "")


def _two_sizes(value: object) -> str:
    parts = str(value or "").split("/")
    return " / ".join(output.size(float(p)) if p.strip().isdigit() else p.strip() for p in parts)
