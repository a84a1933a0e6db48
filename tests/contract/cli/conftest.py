"""The command line, pointed at the whole service that the contract tests share."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import secrets
import subprocess
import sys

import click.testing
import pytest

from higgins.cli.main import higgins

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


@dataclasses.dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class Service:
    """The running service, and the command line pointed at it."""

    def __init__(self, state):
        self.state = state

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "HIGGINS_", "XDG_"))}
        return {
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.state / "home"),
            "HIGGINS_STATE": str(self.state),
        }

    def start(self, *args):
        """The command as a process of its own, running."""
        command = [sys.executable, "-m", "higgins.cli.main", *args]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=self.environment(), **streams)

    def __call__(self, *args, cloud=None):
        """The command in this process, to its end."""
        command = [*(["--os-cloud", cloud] if cloud else []), *args]
        clean = {key: None for key in os.environ if key.startswith(("OS_", "HIGGINS_"))}
        result = click.testing.CliRunner(env=clean).invoke(higgins, ["--state", str(self.state), *command])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    def admin(self, *args):
        return self(*args, cloud="higgins-admin")


@pytest.fixture(scope="session")
def service(running_service):
    (running_service.state / "home").mkdir()
    return Service(running_service.state)


@pytest.fixture
def name(service):
    """A name that no other test has; what has it is removed afterwards."""
    made = f"c-{secrets.token_hex(4)}"
    yield made
    for container in service("ps", "-a", "--json").json:
        if container["name"].startswith(made):
            service("rm", "-f", container["uuid"])
