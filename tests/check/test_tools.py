"""The stock tools, each a test, so that one summary counts them all."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from tests.check import tree

BIN = pathlib.Path(sys.executable).parent
TOOLS = {
    "ruff": ["ruff", "check", "--no-cache", "."],
    "format": ["ruff", "format", "--no-cache", "--check", "."],
    "mypy": ["mypy", "--strict"],
    "imports": ["lint-imports", "--no-cache"],
    "release-notes": ["reno", "-q", "lint"],
}


def run(command: list[str]) -> None:
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(tree.TOP)}
    done = subprocess.run(command, cwd=tree.TOP, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


@pytest.mark.timeout(1200)  # mypy reads everything anew on a fresh clone
@pytest.mark.parametrize("tool", TOOLS)
def test_tool(tool: str) -> None:
    run([str(BIN / TOOLS[tool][0]), *TOOLS[tool][1:]])


def test_shell_scripts_parse() -> None:
    scripts = [str(path) for path in tree.files() if path.parts[0] in {"script", ".ci"} and is_bash(path)]
    assert scripts
    for script in scripts:
        run(["bash", "-n", script])


def is_bash(path: pathlib.PurePosixPath) -> bool:
    return path.suffix == ".sh" or (tree.TOP / path).read_text().startswith("#!/usr/bin/env bash")
