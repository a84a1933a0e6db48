"""Nothing grows past what one reader can hold: lines of a file and of a function, modules of a folder; names that say something."""

from __future__ import annotations

import ast
import collections

from tests.check import tree

FILE_LINES = 400
FUNCTION_LINES = 50
FOLDER_MODULES = 12
BANNED_NAMES = {"utils", "util", "common", "base", "manager", "helpers", "helper", "misc"}


def test_no_file_is_longer_than_400_lines() -> None:
    long = {
        str(path): lines
        for path in tree.python_files()
        if (lines := len((tree.TOP / path).read_text().splitlines())) > FILE_LINES
    }
    assert long == {}


def test_no_shell_script_is_longer_than_400_lines() -> None:
    scripts = [path for path in tree.files() if path.parts[0] in {"script", ".ci"} and path.suffix != ".lock"]
    assert scripts
    long = {
        str(path): lines for path in scripts if (lines := len((tree.TOP / path).read_text().splitlines())) > FILE_LINES
    }
    assert long == {}


def test_no_function_is_longer_than_50_lines() -> None:
    long = {}
    for path in tree.python_files():
        for node in ast.walk(tree.parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{path}:{node.lineno} {node.name}"] = lines
    assert long == {}


def test_no_folder_holds_more_modules_than_a_reader_can_keep_apart() -> None:
    modules = collections.Counter(
        str(path.parent) for path in tree.python_files() if path.parts[0] == "higgins" and path.name != "__init__.py"
    )
    assert {folder: count for folder, count in modules.items() if count > FOLDER_MODULES} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    places = [path for path in tree.python_files() if BANNED_NAMES & {path.stem, *path.parts[:-1]}]
    assert places == []


def test_every_module_says_why_it_exists() -> None:
    silent = [
        str(path)
        for path in tree.python_files()
        if (tree.TOP / path).stat().st_size and not ast.get_docstring(tree.parsed(path))
    ]
    assert silent == []
