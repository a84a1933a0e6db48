"""Fills the configuration templates in for one cloud, so that each file reads as an operator would write it. Knows names and places, no service.

Between two at signs stand: a value given on the command line (`dir`), `password NAME` (made once and kept in DIR/secret, as is `key NAME`),
or `part NAME [USER]`: a file of etc/parts, with `user` being USER.
"""

from __future__ import annotations

import pathlib
import re
import secrets
import sys

TEMPLATES = pathlib.Path(__file__).parent / "etc"
HOLE = re.compile(r"@([a-z]+)(?: ([a-z_-]+))?(?: ([a-z_-]+))?@")


def secret(directory: pathlib.Path, name: str) -> str:
    """The secret of that name, made when it is asked for the first time: 32 hexadecimal digits."""
    path = directory / "secret" / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16))
    return path.read_text()


def filled(text: str, values: dict[str, str]) -> str:
    """The template's text with each hole filled; KeyError for a hole that has no value."""

    def fill(hole: re.Match[str]) -> str:
        what, name, user = hole.groups()
        match what:
            case "password" | "key":
                return secret(pathlib.Path(values["dir"]), values["user"] if name == "user" else name)
            case "part":
                part = (TEMPLATES / "parts" / name).read_text().rstrip("\n")
                return filled(part, {**values, "user": user} if user else values)
            case _:
                return values[what]

    return HOLE.sub(fill, text)


def main() -> None:
    """configure.py dir=DIR NAME=VALUE...: writes DIR/etc, and what clients read (openrc, clouds.yaml) into DIR itself."""
    values = dict(argument.split("=", 1) for argument in sys.argv[1:])
    top = pathlib.Path(values["dir"])
    # Higgins has an account and a database before it has files here.
    secret(top, "higgins")
    for template in sorted(TEMPLATES.rglob("*")):
        path = template.relative_to(TEMPLATES)
        if template.is_dir() or path.parts[0] == "parts":
            continue
        target = top / "etc" / path if len(path.parts) > 1 else top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_text(filled(template.read_text(), values))


if __name__ == "__main__":
    main()
