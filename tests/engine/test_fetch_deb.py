"""Several workers that want one Debian package at the same moment: it is downloaded once, and whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess

import pytest

from tests.engine.conftest import wait_until
from tests.engine.running import LIBRARY

APT_GET = """#!/bin/sh
printf half >"$3_1_all.deb"
echo "$*" >>"$ROOT/begun"
until [ -e "$ROOT/go" ]; do sleep 0.05; done
printf whole >"$3_1_all.deb"
"""
DPKG_DEB = '#!/bin/sh\ncp "$2" "$3/unpacked"\n'


@pytest.fixture
def fetched(tmp_path):
    """Starts a worker that unpacks the package into a folder of that name."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("apt-get", APT_GET), ("dpkg-deb", DPKG_DEB)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path), "ROOT": str(tmp_path)}
    with contextlib.ExitStack() as workers:

        def start(folder):
            command = ["bash", "-c", '. "$0"; fetch_deb busybox-static "$1"', str(LIBRARY), str(tmp_path / folder)]
            worker = workers.enter_context(subprocess.Popen(command, env=os.environ | own))
            workers.callback((tmp_path / "go").touch)
            return worker

        yield start


def test_a_package_that_another_downloads_is_waited_for(fetched, tmp_path):
    cache = tmp_path / "higgins" / "debs"
    first = fetched("one")
    wait_until((tmp_path / "begun").exists, "the download has begun")
    assert list(cache.glob("*.deb")) == []
    with (cache / "lock").open("w") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    second = fetched("two")
    (tmp_path / "go").touch()
    assert [worker.wait(60) for worker in (first, second)] == [0, 0]
    assert [(tmp_path / folder / "unpacked").read_text() for folder in ("one", "two")] == ["whole", "whole"]
    assert (tmp_path / "begun").read_text() == "download -qq busybox-static\n"
