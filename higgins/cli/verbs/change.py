"""The verbs that change what a container is, or end it: rename, update, rebuild, rm."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from higgins.cli import output, parse
from higgins.cli.client.api import Reply
from higgins.cli.errors import ApiError
from higgins.cli.session import Session, json_option, no_wait_option, pass_session
from higgins.cli.settle import Failed, settle
from higgins.cli.verbs.wish import Wishes

if TYPE_CHECKING:
    from higgins.cli.client.api import Api, Json


@click.command("rename")
@click.argument("name")
@click.argument("new_name")
@json_option
@pass_session
def rename_verb(session: Session, name: str, new_name: str, as_json: bool) -> None:
    """Give a container another name."""
    container = session.api.container(name)
    path = f"containers/{container['uuid']}"
    changed = session.api.call("PATCH", path, body={"name": new_name}, about=name).body
    if as_json:
        output.print_json(changed)
    else:
        click.echo(new_name)


@click.command("update")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--cpus", type=click.FloatRange(0, min_open=True), metavar="N", help="Processors it may use, such as 0.5."
)
@click.option("-m", "--memory", metavar="AMOUNT", help="Memory it may use: 512 (MiB), 512m or 1g.")
@no_wait_option
@json_option
@pass_session
def update_verb(
    session: Session, names: tuple[str, ...], cpus: float | None, memory: str | None, no_wait: bool, as_json: bool
) -> None:
    """Change how many processors and how much memory containers may use."""
    change: dict[str, Any] = {}
    if cpus is not None:
        change["cpu"] = cpus
    if memory is not None:
        change["memory"] = str(parse.memory_mib(memory))
    if not change:
        raise click.UsageError("Say what to change: --cpus, --memory, or both.")

    def ask(container: Json) -> Reply:
        about = str(container["name"])
        return session.api.call("PATCH", f"containers/{container['uuid']}", body=change, about=about, timeout_s=120)

    Wishes(session.api, "changed", as_json=as_json, no_wait=no_wait).all(names, ask)


@click.command("rebuild")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--image", metavar="IMAGE", help="Another image to make it from.")
@click.option("--image-driver", type=click.Choice(["docker", "glance"]), help="Where that image is.")
@no_wait_option
@json_option
@pass_session
def rebuild_verb(
    session: Session, names: tuple[str, ...], image: str | None, image_driver: str | None, no_wait: bool, as_json: bool
) -> None:
    """Make containers anew: what they wrote into themselves is lost, their name, address and volumes stay.

    A container that runs is started again afterwards.
    """
    query = {"image": image, "image_driver": image_driver}
    wishes = Wishes(session.api, "rebuilt", as_json=as_json, no_wait=no_wait)
    wishes.all(names, lambda container: session.api.act(container, "rebuild", query))


@click.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("-f", "--force", is_flag=True, help="Also when it runs: kill it first.")
@no_wait_option
@json_option
@pass_session
def rm_verb(session: Session, names: tuple[str, ...], force: bool, no_wait: bool, as_json: bool) -> None:
    """Remove containers."""
    wishes = Wishes(session.api, "removed", as_json=as_json, no_wait=no_wait)
    wishes.all(names, lambda container: remove(session.api, container, force=force))


def remove(api: Api, container: Json, *, force: bool) -> Reply:
    """Ask for a container's removal; with ``force`` whatever it does now."""
    path, about = f"containers/{container['uuid']}", str(container["name"])
    if not force:
        return api.call("DELETE", path, about=about)
    if container.get("status") == "Running":
        with contextlib.suppress(ApiError, Failed):  # what cannot be killed may still be stopped below
            if settle(api, container, api.act(container, "kill").request_id, "killed") is None:
                return Reply(None, "")
    try:
        return _delete(api, path, {"stop": "true"}, about)
    except ApiError as error:
        if error.status != 409:
            raise
        if container.get("status") == "Paused":  # Zun stops nothing that is paused
            settle(api, container, api.act(container, "unpause").request_id, "unpaused")
            return _delete(api, path, {"stop": "true"}, about)
        try:  # Zun lets only an administrator remove a container that is in the middle of something
            return _delete(api, path, {"force": "true"}, about)
        except ApiError as second:
            raise (error if second.status in {400, 403} else second) from second


def _delete(api: Api, path: str, query: dict[str, str], about: str) -> Reply:
    return api.call("DELETE", path, query=query, about=about, timeout_s=120)
