"""The verbs about where containers come from: images, pull and registries."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from higgins.cli import output
from higgins.cli.errors import ApiError, CliError
from higgins.cli.session import Session, for_each, json_option, no_wait_option, pass_session
from higgins.cli.settle import pace

if TYPE_CHECKING:
    from higgins.cli.client.api import Api, Json

_PULL_PATIENCE_S = 1800.0


@click.command("images")
@json_option
@pass_session
def images_verb(session: Session, as_json: bool) -> None:
    """List the images that the hosts were told to keep (administrators)."""
    found = list(session.api.pages("images"))
    if as_json:
        output.print_json(found)
        return
    rows = [
        [i.get("repo"), i.get("tag"), str(i.get("image_id") or "")[:19], _size(i.get("size")), i.get("host")]
        for i in found
    ]
    output.print_table(["IMAGE", "TAG", "ID", "SIZE", "HOST"], rows)


def _size(value: object) -> str:
    text = str(value or "")
    return output.size(float(text)) if text.isdigit() else text


@click.command("pull")
@click.argument("image")
@click.option("--host", help="The host to bring it to; all of them when not given.")
@no_wait_option
@json_option
@pass_session
def pull_verb(session: Session, image: str, host: str | None, no_wait: bool, as_json: bool) -> None:
    """Bring an image to hosts, so that containers start there without waiting for it (administrators)."""
    api = session.api
    hosts = [host] if host else [str(found["hostname"]) for found in api.pages("hosts")]
    if not hosts:
        raise CliError("There is no host to bring it to.", "Start an agent, and look: higgins hosts")
    repo, tag = _split(image)
    results: list[Json] = []

    def pull(name: str) -> None:
        body = {"repo": repo, "tag": tag, "host": name}
        asked = api.call("POST", "images", body={k: v for k, v in body.items() if v}, about=image).body
        done = asked if no_wait else _arrived(api, asked, image, name)
        results.append(done)
        if not as_json:
            click.echo(f"{image} is {'asked for' if no_wait else 'there'} on {name}.")

    try:
        for_each(hosts, pull)
    except KeyboardInterrupt:
        click.echo("\nThe hosts go on pulling; look again with: higgins images", err=True)
        raise
    finally:
        if as_json:
            output.print_json(results)


def _split(image: str) -> tuple[str, str | None]:
    """The repository and the tag; a digest stays with the repository."""
    head, colon, tag = image.rpartition(":")
    if not colon or "/" in tag or "@" in image:
        return image, None
    return head, tag


def _arrived(api: Api, asked: Json, image: str, host: str) -> Json:
    """The image once the host has it."""
    until = time.monotonic() + _PULL_PATIENCE_S
    told = False
    for pause_s in pace():
        try:
            now: Json = api.call("GET", f"images/{asked['uuid']}", about=image).body
        except ApiError as error:
            if error.status != 404:
                raise
            raise CliError(
                f"{host} could not pull {image}.", "Check its name and tag, and whether the registry answers."
            ) from error
        if now.get("image_id") or now.get("size"):
            return now
        if now.get("status") == "failed":  # Higgins tells; on Zun the record is gone
            raise CliError(f"{host} could not pull {image}: {now.get('status_reason') or 'it does not say why.'}")
        if time.monotonic() > until:
            break
        if not told and pause_s >= 1.0:
            told = True
            click.echo(f"{host} pulls {image} ...", err=True)
        time.sleep(pause_s)
    raise CliError(f"{host} does not have {image} yet.", "It goes on pulling; look again with: higgins images")


@click.group("registries", invoke_without_command=True)
@json_option
@click.pass_context
def registries_verb(ctx: click.Context, as_json: bool) -> None:
    """List, add and remove private registries; their passwords are never shown."""
    if ctx.invoked_subcommand is not None:
        return
    session = ctx.find_object(Session)
    assert session is not None
    found = list(session.api.pages("registries"))
    if as_json:
        output.print_json(found)
        return
    output.print_table(
        ["NAME", "DOMAIN", "USER", "ID"],
        [[r.get("name"), r.get("domain"), r.get("username"), r["uuid"]] for r in found],
    )


@registries_verb.command("add")
@click.argument("name")
@click.argument("domain")
@click.option("-u", "--username", help="The user there.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
@json_option
@pass_session
def registries_add(
    session: Session, name: str, domain: str, username: str | None, password_stdin: bool, as_json: bool
) -> None:
    """Add a registry, such as: higgins registries add ours registry.example.org -u me."""
    password = None
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    elif username:
        password = click.prompt(f"Password of {username} at {domain}", hide_input=True, err=True)
    entry: dict[str, Any] = {"name": name, "domain": domain, "username": username, "password": password}
    told = {key: value for key, value in entry.items() if value is not None}
    made = session.api.call("POST", "registries", body={"registry": told}).body
    made = made.get("registry", made)
    if as_json:
        output.print_json(made)
    else:
        click.echo(made["uuid"])


@registries_verb.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_session
def registries_rm(session: Session, names: tuple[str, ...]) -> None:
    """Remove registries, by name or uuid."""
    known = list(session.api.pages("registries"))

    def remove(name: str) -> None:
        found = [r["uuid"] for r in known if name in {r["uuid"], r.get("name")}]
        if len(found) != 1:
            many = "Several registries are" if found else "There is no registry"
            raise CliError(f"{many} named {name}.", "higgins registries lists them with their ids.")
        session.api.call("DELETE", f"registries/{found[0]}")
        click.echo(name)

    for_each(names, remove)
