"""The options of ``run`` and ``create``, and the request body they make. It must not send it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from higgins.cli import parse
from higgins.cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PULL = {"always": "always", "missing": "ifnotpresent", "never": "never"}

_OPTIONS = (
    click.option("--name", help="Its name; made up when not given."),
    click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="A variable of its environment."),
    click.option("--env-file", multiple=True, metavar="FILE", help="A file of such variables, one a line."),
    click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="A label."),
    click.option("--cpus", type=click.FloatRange(0, min_open=True), metavar="N", help="Processors it may use."),
    click.option("--cpu-policy", type=click.Choice(["shared", "dedicated"]),
                 help="Whether it has its processors for itself: whole ones."),
    click.option("--cpu-shares", type=click.IntRange(2), metavar="N", help="Its weight when processors are short."),
    click.option("-m", "--memory", metavar="AMOUNT", help="Memory it may use: 512 (MiB), 512m or 1g."),
    click.option("--pids-limit", type=click.IntRange(1), metavar="N", help="How many processes it may have."),
    click.option("--disk", type=click.IntRange(1), metavar="GIB", help="How much it may write."),
    click.option("-w", "--workdir", metavar="DIR", help="The directory it starts in."),
    click.option("--hostname", help="Its host name."),
    click.option("--restart", metavar="POLICY", help="no, always, on-failure[:TIMES] or unless-stopped."),
    click.option("-v", "--volume", multiple=True, metavar="SRC:/DST[:ro]",
                 help="A file of this machine, a volume by name, or size=GIB for a new one."),
    click.option("--network", multiple=True, metavar="NET", help="NETWORK, NETWORK,ip=ADDRESS or port=PORT."),
    click.option("--security-group", multiple=True, metavar="GROUP", help="A security group, by name or id."),
    click.option("--expose", multiple=True, metavar="PORT[/udp]", help="A port to open."),
    click.option("--entrypoint", metavar="COMMAND", help="What to run instead of the image's entry point."),
    click.option("--health-cmd", metavar="COMMAND", help="A command that succeeds while it is well."),
    click.option("--health-interval", metavar="TIME", help="How often to run it, such as 30s."),
    click.option("--health-timeout", metavar="TIME", help="How long it may take."),
    click.option("--health-retries", type=click.IntRange(1), metavar="N", help="Failures in a row that mean unwell."),
    click.option("--pull", type=click.Choice(list(_PULL)), help="When to ask the registry for the image."),
    click.option("--registry", metavar="NAME", help="The private registry to take the image from."),
    click.option("--image-driver", type=click.Choice(["docker", "glance"]), help="Where the image is."),
    click.option("--runtime", help="The runtime to use, such as kata."),
    click.option("--privileged", is_flag=True, help="Give it the host's own powers."),
    click.option("--host", help="The host to place it on (administrators)."),
    click.option("--availability-zone", metavar="ZONE", help="The zone to place it in."),
    click.option("-t", "--tty", is_flag=True, help="Give it a terminal."),
    click.option("-i", "--interactive", is_flag=True, help="Keep its standard input open."),
)  # fmt: skip


def creation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds every option that describes a container."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def creation_body(image: str, command: tuple[str, ...], told: Mapping[str, Any], *, is_higgins: bool) -> dict[str, Any]:
    """The body of the request; what was not told is not in it.

    Raises a usage error for a value that cannot be right, and ``CliError`` for what a plain Zun does not have.
    """
    body = {
        "image": image,
        "command": list(command),
        "entrypoint": parse.words(told["entrypoint"]) if told["entrypoint"] else None,
        "name": told["name"],
        "environment": parse.environment(told["env"], told["env_file"], os.environ),
        "labels": parse.pairs(told["label"], "label"),
        "cpu": told["cpus"],
        "cpu_policy": told["cpu_policy"],
        "memory": str(parse.memory_mib(told["memory"])) if told["memory"] else None,
        "disk": told["disk"],
        "workdir": told["workdir"],
        "hostname": told["hostname"],
        "restart_policy": parse.restart_policy(told["restart"]) if told["restart"] else None,
        "mounts": [parse.mount(text) for text in told["volume"]],
        "nets": [parse.network(text) for text in told["network"]],
        "security_groups": list(told["security_group"]),
        "exposed_ports": {port: {} for port in told["expose"]},
        "healthcheck": _healthcheck(told),
        "image_pull_policy": _PULL.get(told["pull"]),
        "registry": told["registry"],
        "image_driver": told["image_driver"],
        "runtime": told["runtime"],
        "privileged": told["privileged"],
        "host": told["host"],
        "availability_zone": told["availability_zone"],
        "tty": told["tty"],
        "interactive": told["interactive"],
        "cpu_shares": told["cpu_shares"],
        "pids_limit": told["pids_limit"],
    }
    if not is_higgins:
        _refuse_ours(body)
    return {key: value for key, value in body.items() if value not in (None, False, [], {}, "")}


def _healthcheck(told: Mapping[str, Any]) -> dict[str, Any] | None:
    more = {
        "interval": parse.seconds(told["health_interval"]) if told["health_interval"] else None,
        "timeout": parse.seconds(told["health_timeout"]) if told["health_timeout"] else None,
        "retries": told["health_retries"],
    }
    given = {key: value for key, value in more.items() if value is not None}
    if not told["health_cmd"]:
        if given:
            raise click.UsageError("--health-interval, --health-timeout and --health-retries need --health-cmd.")
        return None
    return {"cmd": told["health_cmd"], **given}


def _refuse_ours(body: Mapping[str, Any]) -> None:
    for key in ("cpu_shares", "pids_limit"):
        if body[key] is not None:
            option = "--" + key.replace("_", "-")
            raise CliError(f"This cloud's service is Zun, which has no {option}.", "Leave it out, or use Higgins.")
    if any("read_only" in mount for mount in body["mounts"]):
        raise CliError("This cloud's service is Zun, which has no read-only mounts.", "Leave :ro out, or use Higgins.")
