"""The verbs that show containers: ps and inspect."""

from __future__ import annotations

import sys
from typing import Any

import click

from higgins.cli import output
from higgins.cli.session import Session, for_each, json_option, pass_session

_STATUS_WIDTH = 70
_AT_REST = frozenset({"Stopped", "Created"})


@click.command("ps")
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that are stopped or were never started.")
@click.option("-q", "--quiet", is_flag=True, help="Print the uuids only.")
@click.option("--all-projects", is_flag=True, help="Of all projects (administrators).")
@json_option
@pass_session
def ps_verb(session: Session, everything: bool, quiet: bool, all_projects: bool, as_json: bool) -> None:
    """List containers: those that run, or need attention; with --all every one."""
    query = {"all_projects": "true"} if all_projects else None
    found = list(session.api.pages("containers", query))
    shown = [c for c in found if everything or c.get("status") not in _AT_REST]
    if as_json:
        output.print_json(shown)
        return
    if quiet:
        for container in shown:
            click.echo(container["uuid"])
        return
    headers = ["ID", "NAME", "IMAGE", "STATUS", "ADDRESS", "CREATED"]
    output.print_table([*headers, "PROJECT"] if all_projects else headers, [_row(c, all_projects) for c in shown])
    if len(shown) < len(found) and sys.stdout.isatty():
        click.echo(f"{len(found) - len(shown)} more are stopped: higgins ps -a", err=True)
    elif not found and sys.stdout.isatty():
        click.echo("There are no containers yet. Make one: higgins run -d --name NAME IMAGE", err=True)


def _row(container: dict[str, Any], all_projects: bool) -> list[object]:
    row: list[object] = [
        container["uuid"][:8],
        container.get("name"),
        container.get("image"),
        output.cut(output.status(container), _STATUS_WIDTH),
        ", ".join(output.addresses(container)),
        output.ago(container.get("created_at")),
    ]
    return [*row, container.get("project_id")] if all_projects else row


@click.command("inspect")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
@pass_session
def inspect_verb(session: Session, names: tuple[str, ...], as_json: bool) -> None:
    """Print all that is known of containers, as a JSON list."""
    found: list[dict[str, Any]] = []
    try:
        for_each(names, lambda name: found.append(session.api.container(name)))
    finally:
        output.print_json(found, indented=True)
