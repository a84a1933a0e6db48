"""What a process writes into its log when something goes wrong; in a process of its own, since logging is one thing for all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging
from higgins.cmd import logs
from higgins.conf import load
from higgins.core import errors

logs.set_up_logging(load.load("higgins-test", files=["/dev/null"]))
log = logging.getLogger("higgins.test")
try:
    raise errors.Unavailable("Neutron does not answer.")
except errors.HigginsError as error:
    {call}
"""
TOLD = "higgins.core.errors.Unavailable: Neutron does not answer."


def written(call: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(call=call)], capture_output=True, text=True, check=True, timeout=240
    )
    return done.stdout.splitlines()


def test_an_error_that_the_message_tells_is_told_once() -> None:
    (line,) = written('log.warning("It is tried again: %s", error.message)')
    assert line.endswith("WARNING higgins.test [-] It is tried again: Neutron does not answer.")


@pytest.mark.parametrize("call", ['log.warning("It is tried again")', 'log.error("It is tried again: %s", "no")'])
def test_one_that_it_does_not_tell_is_added(call: str) -> None:
    (line,) = written(call)
    assert line.endswith(f": {TOLD}")


def test_one_that_nobody_foresaw_is_told_with_where_it_came_from() -> None:
    lines = written('log.exception("It broke: %s", error.message)')
    assert lines[0].endswith(f"It broke: Neutron does not answer.: {TOLD}")
    assert any("Traceback (most recent call last)" in line for line in lines)
