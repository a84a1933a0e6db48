"""A full disk under a whole running Higgins: that of its state (database, journal, injected files) and that of podman's own storage."""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import subprocess
import tempfile

import pytest

from tests.engine import running
from tests.whole import Whole, until, whole

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.getuid() != 0, reason="a small file system to fill needs root"),
]

PATIENT = {"agent": {"wish_deadline_s": 120, "orphan_grace_s": 3600}}


@contextlib.contextmanager
def small_disk(mib):
    """A file system of its own that is soon full."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hgd-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def fill(folder):
    """Write until nothing fits any more; gives the file to remove."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * (1 << 20))
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 512)
    return ballast


def test_a_full_disk_under_the_state_refuses_with_a_sentence_and_loses_nothing(tmp_path):
    with small_disk(24) as disk:
        site = Whole(disk / "s", "fake", f"fake://{tmp_path}/engine", PATIENT)
        try:
            site.start()
            stays, goes = site.create(), site.create()
            for uid in (stays, goes):
                site.reached(uid, "Running")
            before = site.on_engine()[stays]
            ballast = fill(disk)
            refused = until(lambda: next((r for r in (ask(site) for _ in range(40)) if r.status != 202), None), "full")
            assert refused.status == 503, refused
            assert "disk" in refused.fault
            assert site.show(stays)["status"] == "Running"
            ballast.unlink()
            assert site.stubborn("DELETE", f"/v1/containers/{goes}?stop=true").status == 204
            site.gone(goes)
            for row in site.stubborn("GET", "/v1/containers").json["containers"]:
                site.reached(row["uuid"], "Running")
            assert site.on_engine()[stays] == before
            site.nothing_is_left()
        finally:
            site.stop()


def ask(site):
    """A create that needs room in the database and, for its file, on the host."""
    content = base64.b64encode(os.urandom(40_000)).decode()
    return site.request(
        "POST",
        "/v1/containers?run=true",
        {"image": "busybox", "mounts": [{"type": "bind", "source": content, "destination": "/x"}], "cpu": 0.1},
    )


@pytest.fixture
def small_podman():
    why = running.missing("podman")
    if why:
        pytest.skip(why)
    with small_disk(48) as disk, running.daemon("podman", disk) as private:
        yield disk, private


def test_a_full_disk_under_podman_is_told_and_work_goes_on_when_there_is_room(small_podman):
    disk, private = small_podman
    polite = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    with whole("podman", f"unix://{private.socket}", PATIENT) as site:
        stays = site.create(command=polite)
        site.reached(stays, "Running")
        before = site.on_engine()[stays].started_at
        ballast = fill(disk)
        late = site.create(command=polite)
        said = until(lambda: site.show(late)["status_reason"], "it says why nothing happens")
        assert "disk of the host is full" in said
        ballast.unlink()
        site.reached(late, "Running")
        assert site.on_engine()[stays].started_at == before
        site.nothing_is_left()
