"""The tree as the checks read it: the files git would commit, and Python files parsed once. Knows no rule."""

from __future__ import annotations

import ast
import functools
import pathlib
import subprocess
from collections.abc import Iterator

TOP = pathlib.Path(__file__).resolve().parents[2]
GENERATED = "higgins/store/migrations/versions"


@functools.cache
def files() -> tuple[pathlib.PurePosixPath, ...]:
    """Every file that is committed or would be, relative to the top."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(
        pathlib.PurePosixPath(name)
        for name in sorted(set(listed.stdout.split("\0")))
        if name and (TOP / name).is_file()
    )


def python_files() -> Iterator[pathlib.PurePosixPath]:
    """Every Python file that people write (migrations are generated once and then frozen)."""
    return (path for path in files() if path.suffix == ".py" and not path.as_posix().startswith(GENERATED))


@functools.cache
def parsed(path: pathlib.PurePosixPath) -> ast.Module:
    """The syntax tree of one Python file."""
    return ast.parse((TOP / path).read_text(), filename=str(path))
