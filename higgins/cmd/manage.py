"""``higgins-manage``: what an operator does to the installation itself, on a machine of the control plane."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from oslo_config import cfg

from higgins.api.identity import users
from higgins.cmd import audit as audits
from higgins.cmd import clouds, parts
from higgins.conf import load
from higgins.core import errors
from higgins.store import hosts, migrate
from higgins.store.records import installation


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 1 when it could not, and for ``audit`` when something is left to do."""
    try:
        return int(group.main(args=argv, prog_name="higgins-manage", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (errors.HigginsError, OSError, cfg.ConfigFilesNotFoundError) as error:
        click.echo(f"higgins-manage: {error}", err=True)
        return 1


@click.group(help=__doc__)
@click.option("--config-file", multiple=True, help="Configuration file; may be given more than once.")
@click.option(
    "--state", type=click.Path(path_type=Path), help="State directory of script/up (instead of --config-file)."
)
@click.pass_context
def group(context: click.Context, config_file: tuple[str, ...], state: Path | None) -> None:
    """Read the configuration for the command that follows."""
    files = list(config_file)
    if state is not None:
        files = [str(file) for file in (state / "higgins.conf", state / "local.conf") if file.exists()]
        if not files:
            raise click.UsageError(f"{state} is no state directory of script/up: it has no higgins.conf.")
    context.obj = load.load("higgins-manage", files=files)


@group.group()
def db() -> None:
    """The database's tables."""


@db.command()
@click.pass_obj
def upgrade(conf: cfg.ConfigOpts) -> None:
    """Bring the tables to this code's schema, and make the installation's own row."""
    migrate.upgrade(load.database_url(conf))
    sealer = parts.open_sealer(conf)
    parts.open_database(conf).retrying(lambda tx: installation.ensure(tx, sealer))
    click.echo(f"The database is at {migrate.head()}.")


@db.command()
@click.pass_obj
def current(conf: cfg.ConfigOpts) -> None:
    """Say which schema the tables have."""
    click.echo(migrate.current(load.database_url(conf)) or "The database is empty. Run: higgins-manage db upgrade")


@group.group()
def host() -> None:
    """The hosts that may take containers."""


@host.command()
@click.argument("name")
@click.option(
    "--credential-file",
    type=click.Path(path_type=Path),
    required=True,
    help="Where the host's credential is written (mode 0600).",
)
@click.option("--availability-zone", help="The host's zone.")
@click.pass_obj
def enroll(conf: cfg.ConfigOpts, name: str, credential_file: Path, availability_zone: str | None) -> None:
    """Let a host in, or give it a new credential; carry the file to the host's agent."""
    token = secrets.token_urlsafe(32)
    zone = availability_zone or conf.compute.default_availability_zone
    descriptor = os.open(credential_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    with parts.open_database(conf).write() as tx:
        hosts.enroll(tx, name, hashlib.sha256(token.encode()).hexdigest(), availability_zone=zone)
    click.echo(f"Host {name} is enrolled in zone {zone}; its credential is in {credential_file}.")


@host.command("list")
@click.pass_obj
def list_hosts(conf: cfg.ConfigOpts) -> None:
    """List the hosts, and whether they are up."""
    database = parts.open_database(conf)
    with database.read() as tx:
        for one in hosts.list(tx):
            state = "up" if one.is_up(database.now(), conf.scheduler.host_down_after_s) else "down"
            click.echo(f"{one.hostname}\t{state}\t{one.availability_zone}\t{one.uuid}")


@group.group()
def user() -> None:
    """The users of the http_basic identity."""


@user.command()
@click.argument("name")
@click.option("--project", required=True, help="Name of the user's project; one of that name is joined, else made.")
@click.option("--role", "roles", multiple=True, default=("member", "reader"), help="Roles (default: member, reader).")
@click.pass_obj
def create(conf: cfg.ConfigOpts, name: str, project: str, roles: tuple[str, ...]) -> None:
    """Make a user; the generated password is printed once, and only its hash is kept."""
    path = Path(load.users_file(conf))
    known = users.load(path) if path.exists() else {}
    if name in known:
        raise click.UsageError(f"There is a user {name} already.")
    project_id = next((one.project_id for one in known.values() if one.project_name == project), None)
    password = secrets.token_urlsafe(18)
    made = users.new_user(name, password, project_name=project, roles=tuple(roles), project_id=project_id)
    users.save(path, (*known.values(), made))
    click.echo(password)


@user.command("remove")
@click.argument("name")
@click.pass_obj
def remove_user(conf: cfg.ConfigOpts, name: str) -> None:
    """Take a user out; containers of the project stay."""
    path = Path(load.users_file(conf))
    known = users.load(path)
    if known.pop(name, None) is None:
        raise click.UsageError(f"There is no user {name}.")
    users.save(path, tuple(known.values()))
    click.echo(f"User {name} is removed.")


@group.command()
@click.option(
    "--repair", is_flag=True, help="Put right what has one right answer, and remove what nobody was assigned."
)
@click.option(
    "--stuck-after", default=900.0, show_default=True, help="Seconds after which an unanswered wish is a finding."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def audit(conf: cfg.ConfigOpts, repair: bool, stuck_after: float, as_json: bool) -> int:
    """Compare the database with itself, with every host and with the cloud; exit status 1 when something is left that is not right."""
    database = parts.open_database(conf)
    services = clouds.open_audits(clouds.open_services(conf), database)
    result = audits.look(
        database,
        parts.open_sealer(conf),
        services,
        repair=repair,
        stuck_after_s=stuck_after,
        agents_ca_file=conf.wire.agents_ca_file,
    )
    if as_json:
        rows = [
            {"kind": one.kind, "ident": one.ident, "text": one.text, "repairable": one.repairable}
            for one in result.findings
        ]
        click.echo(json.dumps({"findings": rows, "repaired": result.repaired}))
    else:
        for one in result.findings:
            hint = "" if not one.repairable else "  (put right)" if repair else "  (--repair puts it right)"
            click.echo(f"{one.kind} {one.ident}: {one.text}{hint}")
        click.echo(f"{len(result.findings)} findings, {result.repaired} put right.")
    left = [one for one in result.findings if not (repair and one.repairable)]
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
