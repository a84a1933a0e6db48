"""The entry point: global options, and the verbs, each loaded only when it is called. It must not know what a verb does."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from higgins.cli.session import Session

if TYPE_CHECKING:
    from types import TracebackType

VERBS = {
    "run": ("run", "Create a container and start it."),
    "create": ("run", "Create a container without starting it."),
    "ps": ("lists", "List containers."),
    "inspect": ("lists", "Show all that is known of containers, as JSON."),
    "logs": ("live", "Show what a container has written."),
    "exec": ("live", "Run a command in a running container."),
    "top": ("live", "Show the processes of a container."),
    "stats": ("live", "Show what containers use."),
    "cp": ("files", "Copy files between a container and this machine."),
    "stop": ("life", "Stop containers."),
    "start": ("life", "Start containers."),
    "restart": ("life", "Stop containers and start them again."),
    "kill": ("life", "Send a signal to containers."),
    "pause": ("life", "Freeze the processes of containers."),
    "unpause": ("life", "Let the processes of paused containers go on."),
    "rename": ("change", "Give a container another name."),
    "update": ("change", "Change a container's processors and memory."),
    "rebuild": ("change", "Make containers anew, from the same image or another one."),
    "rm": ("change", "Remove containers."),
    "why": ("events", "Explain where a container is, why, and what to do next."),
    "events": ("events", "List what was done for a container, and why."),
    "images": ("images", "List the images on the hosts."),
    "pull": ("images", "Bring an image to a host beforehand."),
    "registries": ("images", "List, add and remove private registries."),
    "hosts": ("hosts", "List the hosts."),
    "quota": ("hosts", "Show how much the project may use, and uses."),
}
"""Each verb, the module under ``verbs`` that has it, and its line in the help."""


class Verbs(click.Group):
    """The group of all verbs; its help is printed without loading any of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"higgins.cli.verbs.{VERBS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_verb")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, and say what is near when there is none of that name."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, 1)
            ask = f" Did you mean {near[0]}?" if near else " higgins --help lists the verbs."
            ctx.fail(f"There is no verb {args[0]}.{ask}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs and their lines."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


def _version(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        import importlib.metadata

        try:
            click.echo(f"higgins {importlib.metadata.version('higgins')}")
        except importlib.metadata.PackageNotFoundError:
            click.echo("higgins, run from its source")
        ctx.exit()


@click.group(
    cls=Verbs, name="higgins", context_settings={"help_option_names": ["-h", "--help"]}, subcommand_metavar="VERB ..."
)
@click.option("--os-cloud", envvar="OS_CLOUD", metavar="NAME", help="The cloud of clouds.yaml to talk to (OS_CLOUD).")
@click.option(
    "--state", envvar="HIGGINS_STATE", metavar="DIR", help="The state directory of script/up to use (HIGGINS_STATE)."
)
@click.option("--debug", is_flag=True, help="Print each request, and where a failure of this program came from.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def higgins(ctx: click.Context, os_cloud: str | None, state: str | None, debug: bool) -> None:
    """Run containers on Higgins, or on any service that speaks Zun's container API.

    Containers are named by their name, their uuid, or the unique beginning of it.
    """
    ctx.obj = Session(os_cloud or None, state or None, debug=debug)


def main() -> None:
    """Run one command and end the process with its exit code: 0, 1 for an error, 2 for a wrong usage, or the container's."""
    if "--debug" not in sys.argv:
        sys.excepthook = _unforeseen
    try:
        code = higgins.main(prog_name="higgins", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = 130
    except BrokenPipeError:
        # whoever read our output has gone; nothing may be written at the end of the process either
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    text = f"higgins: this is a fault of the program itself ({kind.__name__}: {error}).\n"
    sys.stderr.write(text + "  Run it again with --debug and report what it prints.\n")


if __name__ == "__main__":
    main()
