"""Prints, separated by zeros, what a directory tree has that another has not, or has otherwise: the files of an image's upper layer.

``tree_diff.py BASE TREE``: the tree is a copy of the base that keeps times, to which something was added since.
"""

from __future__ import annotations

import os
import sys


def facts(path: str) -> tuple[int, int, int, int, int] | None:
    """What tells two versions of a file apart; nothing when there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    size, time = (0, 0) if os.path.isdir(path) and not os.path.islink(path) else (found.st_size, found.st_mtime_ns)
    return found.st_mode, found.st_uid, found.st_gid, size, time


def main(base: str, tree: str) -> None:
    """Walk the tree."""
    for folder, folders, files in os.walk(tree):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, tree)
            if facts(path) != facts(os.path.join(base, inside)):
                sys.stdout.write(inside + "\0")


if __name__ == "__main__":
    main(*sys.argv[1:3])
