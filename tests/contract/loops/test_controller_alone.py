"""No two controllers that live answer at one address: each holds pods by its own."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from higgins.cmd import controller
from higgins.conf import load
from higgins.store import seal
from higgins.threads import private_sockets
from higgins.wire.server import Server


@pytest.fixture
def config(url: str, tmp_path: pathlib.Path) -> pathlib.Path:
    """A machine on which a controller could start; one has left its socket."""
    seal.load_or_create_key(tmp_path / "secret.key")
    (tmp_path / "wire.sock").touch()
    file = tmp_path / "higgins.conf"
    file.write_text(f"[DEFAULT]\nstate_dir = {tmp_path}\n[database]\nconnection = {url}\n")
    return file


def test_a_second_one_ends_before_it_has_begun_anything_and_says_what_to_do(config: pathlib.Path) -> None:
    wire = config.with_name("wire.sock")
    before = wire.stat().st_ino
    with private_sockets.owned(wire) as is_ours:
        assert is_ours
        second = subprocess.run(
            [sys.executable, "-m", "higgins.cmd.controller", "--config-file", str(config)],
            capture_output=True,
            check=False,
            cwd=pathlib.Path(controller.__file__).parents[2],
            text=True,
            timeout=240,
        )
    assert second.returncode == 1
    assert f"Another controller answers agents at unix:{wire}. Stop it first" in second.stdout + second.stderr
    assert wire.stat().st_ino == before
    assert not config.with_name("hints.sock").exists()


def test_the_address_is_taken_before_any_loop_begins(config: pathlib.Path) -> None:
    parts = controller.build(load.load("higgins-controller", files=[str(config)]))
    assert [isinstance(part, Server) for part in parts] == [True] + [False] * (len(parts) - 1)
