"""The verbs about the room there is: hosts and quota."""

from __future__ import annotations

from typing import Any

import click

from higgins.cli import output
from higgins.cli.errors import CliError
from higgins.cli.session import Session, json_option, pass_session

_UNITS = {"memory": " MiB", "disk": " GiB"}


@click.command("hosts")
@json_option
@pass_session
def hosts_verb(session: Session, as_json: bool) -> None:
    """List the hosts and the room on them (administrators)."""
    found = list(session.api.pages("hosts"))
    if as_json:
        output.print_json(found)
        return
    rows = [
        [
            host.get("hostname"),
            _of(host.get("cpu_used"), host.get("cpus")),
            _of(host.get("mem_used"), host.get("mem_total"), " MiB"),
            _of(host.get("disk_used"), host.get("disk_total"), " GiB"),
            host.get("total_containers"),
            f"{host.get('os') or ''} {host.get('architecture') or ''}".strip(),
        ]
        for host in found
    ]
    output.print_table(["HOST", "CPUS USED", "MEMORY USED", "DISK USED", "CONTAINERS", "SYSTEM"], rows)


def _of(used: object, total: object, unit: str = "") -> str:
    return f"{_number(used)} of {_number(total)}{unit}"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value if value is not None else "?")


@click.command("quota")
@click.argument("project", required=False)
@json_option
@pass_session
def quota_verb(session: Session, project: str | None, as_json: bool) -> None:
    """Show how much a project may use, and uses; without PROJECT, one's own."""
    path = f"quotas/{project}" if project else _own(session)
    told: dict[str, Any] = session.api.call("GET", path, query={"usages": "True"}).body
    if as_json:
        output.print_json(told)
        return
    rows = []
    for resource in ("containers", "cpu", "memory", "disk"):
        entry = told.get(resource)
        if isinstance(entry, dict):
            limit = entry.get("limit")
            unit = _UNITS.get(resource, "")
            allowed = "no limit" if limit == -1 else f"{_number(limit)}{unit}"
            rows.append([resource, f"{_number(entry.get('in_use'))}{unit}", allowed])
    output.print_table(["RESOURCE", "USED", "ALLOWED"], rows)


def _own(session: Session) -> str:
    """The path of the quota of the caller's project: of his token, as Higgins knows him, or of one of his containers."""
    known = session.api.project_id
    if known:
        return f"quotas/{known}"
    if session.api.is_higgins:
        return "quotas"
    for container in session.api.pages("containers", {"limit": 1}):
        return f"quotas/{container['project_id']}"
    raise CliError("Which project this is cannot be known yet.", "Name it: higgins quota PROJECT")
