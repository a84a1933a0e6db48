"""Images as archives: taken in under exactly one name, given out whole, and refused when broken; the same for every engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import uuid

import pytest

from higgins.core import errors
from higgins.engine.api import abilities
from tests.engine.conftest import Bench
from tests.tars import tar_of

ability = pytest.mark.ability


def saved(bench: Bench, name: str) -> bytes:
    with bench.engine.save_image(name) as chunks:
        return b"".join(chunks)


def renamed(archive: bytes, name: str) -> bytes:
    """The archive with another name in its manifest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for entry in old:
            content = old.extractfile(entry).read() if entry.isfile() else b""
            if entry.name == "manifest.json":
                content = json.dumps([json.loads(content)[0] | {"RepoTags": [name]}]).encode()
            if entry.name in ("repositories", "index.json", "oci-layout"):
                continue
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def chunks_of(content: bytes):
    return (content[at : at + 65536] for at in range(0, len(content), 65536))


@pytest.fixture
def name(bench: Bench):
    made = f"higgins.local/glance:{uuid.uuid4()}"
    yield made
    for facts in list(bench.engine.list()):
        bench.engine.remove(facts.uuid)
    bench.engine.remove_image(made)


@ability("images as archives")
def test_every_engine_takes_in_and_gives_out(bench):
    assert {"load", "save"} <= set(abilities(bench.engine))


@ability("images as archives")
def test_what_was_given_out_is_taken_in_under_another_name_and_runs(bench, name):
    facts = bench.engine.load_image(name, chunks_of(renamed(saved(bench, "busybox:latest"), name)))
    assert name in facts.names
    assert facts.image_id
    assert bench.engine.image(name) == facts
    uid = bench.started(("sh", "-c", "echo from an archive"), image=name)
    assert bench.ended(uid).exit_code == 0
    assert b"".join(bench.engine.logs(uid)) == b"from an archive\n"


@ability("images as archives")
def test_it_may_be_taken_in_twice(bench, name):
    content = renamed(saved(bench, "busybox:latest"), name)
    first = bench.engine.load_image(name, chunks_of(content))
    assert bench.engine.load_image(name, chunks_of(content)).image_id == first.image_id


@ability("images as archives")
@pytest.mark.parametrize(
    "content",
    [b"", b"no archive at all" * 4000, bytes(20480), b"no archive at all" * 500000],
    ids=["empty", "text", "zeros", "long text"],
)
def test_what_is_no_archive_is_invalid_and_leaves_nothing(bench, name, content):
    with pytest.raises((errors.Invalid, errors.ImageNotFound)):
        bench.engine.load_image(name, chunks_of(content))
    with pytest.raises(errors.ImageNotFound):
        bench.engine.image(name)


@ability("images as archives")
@pytest.mark.parametrize("lies", [False, True], ids=["missing", "another"])
def test_an_archive_without_the_layer_that_its_config_names_is_invalid_and_leaves_nothing(bench, name, lies):
    layer = str(uuid.uuid4()).encode() * 512
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"]}]).encode()
    members = {"c.json": config, "manifest.json": manifest} | ({"l.tar": bytes(10240)} if lies else {})
    with pytest.raises(errors.Invalid):
        bench.engine.load_image(name, chunks_of(tar_of(**members)))
    with pytest.raises(errors.ImageNotFound):
        bench.engine.image(name)


@ability("images as archives")
def test_an_image_that_is_not_here_cannot_be_given_out(bench, name):
    with pytest.raises(errors.ImageNotFound), bench.engine.save_image(name):
        pass


@ability("images as archives")
def test_a_committed_container_is_given_out_and_taken_in(bench, name):
    uid = bench.started()
    bench.engine.exec(uid, ("sh", "-c", "echo kept >/kept"), timeout_s=30) if bench.name != "fake" else None
    bench.engine.commit(uid, "higgins.local/commit", uid)
    bench.engine.remove(uid)
    try:
        archive = saved(bench, f"higgins.local/commit:{uid}")
    finally:
        bench.engine.remove_image(f"higgins.local/commit:{uid}")
    facts = bench.engine.load_image(name, chunks_of(renamed(archive, name)))
    again = bench.started(("cat", "/kept") if bench.name != "fake" else ("echo", "kept"), image=name)
    assert bench.ended(again).exit_code == 0
    assert b"".join(bench.engine.logs(again)) == b"kept\n"
    assert bench.engine.inspect(again).image_digest
    assert facts.size_bytes > 0
