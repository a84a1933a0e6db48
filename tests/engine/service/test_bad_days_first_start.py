"""A service that cannot start: whoever started it is told which process ends and what it wrote, and nothing goes on running."""

from __future__ import annotations

import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile

import pytest

from higgins.cmd.machine.supervise import hopeless
from tests.whole import REPOSITORY, Whole

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def broken():
    state = pathlib.Path(tempfile.mkdtemp(prefix="hg"))
    yield Whole(state / "s", "fake", f"fake://{state}/engine", {"database": {"connection": "nonsense"}})
    shutil.rmtree(state)


def detached(service):
    words = [*service.command(), "--detach"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "HIGGINS_", "XDG_"))}
    return subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False)


def end(pid):
    handle = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    assert select.select([handle], [], [], 60)[0]
    os.close(handle)


def test_a_process_that_ends_at_its_start_is_told_with_its_last_words(broken):
    done = detached(broken)
    assert done.returncode == 1, done
    name = hopeless(broken.state / "run")[0]
    assert f"its process {name} ends as soon as it has begun" in done.stderr
    assert str(broken.state / "log" / f"{name}.log") in done.stderr
    assert "Could not parse SQLAlchemy URL" in done.stderr
    assert list((broken.state / "run").glob("*.pid")) == []
    up = (broken.state / "log" / "up.log").read_text()
    assert up.count(f"{name} ended with") >= 3

    (broken.state / "local.conf").unlink()
    mended = detached(broken)
    assert mended.returncode == 0, mended
    assert hopeless(broken.state / "run") == []
    end(int((broken.state / "higgins.pid").read_text()))
