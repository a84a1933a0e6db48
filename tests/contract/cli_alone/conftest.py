"""What the tests of the command line share: a cloud over HTTP, a clean person, and two ways to call the command."""

import os
import subprocess
import sys

import click.testing
import pytest

from higgins.cli.main import higgins
from tests.contract.cli_alone.cli_double import HASTY, REPOSITORY, CloudDouble, clouds_yaml


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Nothing of the person who runs the tests: no cloud, an empty home, an empty working directory."""
    for name in list(os.environ):
        if name.startswith(("OS_", "HIGGINS_", "XDG_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path):
    """What is in the containers of the double."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def cloud(environment, state, root):
    double = CloudDouble(root)
    (state / "clouds.yaml").write_text(clouds_yaml(double.url))
    yield double
    double.close()


@pytest.fixture
def zun(environment, state, root):
    double = CloudDouble(root, max_version="1.40")
    (state / "clouds.yaml").write_text(clouds_yaml(double.url))
    yield double
    double.close()


@pytest.fixture
def run(state):
    """Run the command in this process; gives click's result, with ``json`` for what it printed."""

    def call(*args, **more):
        result = click.testing.CliRunner().invoke(higgins, ["--state", str(state), *args], **more)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def process(state):
    """Run the command as a process of its own; gives the completed process."""

    def call(*args, popen=False, **more):
        command = [sys.executable, "-c", HASTY, "--state", str(state), *args]
        settings = {
            "env": {**os.environ, "PYTHONPATH": str(REPOSITORY)},
            "text": True,
            "stdin": subprocess.DEVNULL,
            **more,
        }
        if popen:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)
        return subprocess.run(command, capture_output=True, timeout=240, check=False, **settings)

    return call
