"""Image data on the wire: for hosts that were granted the image, from any byte on, and no faster than the host takes it."""

from __future__ import annotations

import contextlib
import pathlib
import threading
from collections.abc import Iterator

import pytest

from higgins.core import errors
from higgins.store.agents.desk import Desk
from higgins.store.loops import ledger
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import hints
from higgins.wire.client import WireClient
from higgins.wire.server import Server
from tests.contract.store_rows import Rows

CHUNK = bytes(range(256)) * 4096
SIZE = 64 * len(CHUNK)


class Source:
    """64 MiB, counted as they are read; ``fails_after`` so many chunks they break off."""

    def __init__(self) -> None:
        self.read, self.fails_after = 0, 1000
        self.closed = threading.Event()

    @contextlib.contextmanager
    def download(self, uuid: str, offset: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        if uuid == "gone":
            raise errors.ImageNotFound("Glance has no image gone.")
        try:
            yield SIZE - offset, self._chunks(offset)
        finally:
            self.closed.set()

    def _chunks(self, offset: int) -> Iterator[bytes]:
        for number in range(offset // len(CHUNK), 64):
            if number >= self.fails_after:
                raise errors.Unavailable("Glance went away.")
            self.read += 1
            yield CHUNK[offset % len(CHUNK) :] if number == offset // len(CHUNK) else CHUNK


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def wire(db: Database, sealer: Sealer, rows: Rows, source: Source, tmp_path: pathlib.Path) -> Iterator[WireClient]:
    server = Server(Desk(db, sealer), hints.LocalHints(), f"unix:{tmp_path}/wire.sock", sweep_s=60, images=source)
    server.start()
    host, other = rows.host("host1"), rows.host("host2")
    for uuid, host_id in (("mine", host), ("gone", host), ("theirs", other)):
        grant(db, sealer, rows, uuid, host_id)
    client = WireClient(f"unix:{tmp_path}/wire.sock", "token of host1")
    yield client
    client.close()
    server.stop()


def grant(db: Database, sealer: Sealer, rows: Rows, uuid: str, host_id: int) -> None:
    pod = rows.pod(f"of-{uuid}")
    with db.write() as tx:
        ledger.ask(tx, pod.uuid, [ledger.Asked(kind="image", key=uuid)], host_id=host_id)
        made = ledger.Answered(kind="image", key=uuid, shape="", external_id=uuid)
        ledger.made(tx, pod.uuid, [made], sealer)


def test_a_host_gets_what_it_was_granted_from_any_byte_on(wire: WireClient) -> None:
    for offset in (0, 1, len(CHUNK) + 7, SIZE - 1):
        with wire.image("mine", offset) as chunks:
            assert b"".join(chunks) == (CHUNK * 64)[offset:]


def test_nobody_else_gets_it(wire: WireClient, source: Source, tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.NotFound), wire.image("theirs"):
        pass
    with pytest.raises(errors.Unauthorized), WireClient(f"unix:{tmp_path}/wire.sock", "a stranger's").image("mine"):
        pass
    assert source.read == 0


def test_what_was_released_is_granted_no_more(wire: WireClient, db: Database, rows: Rows) -> None:
    with db.write() as tx:
        [pod] = [entry.pod_uuid for entry in ledger.every(tx, ["image"]) if entry.key == "mine"]
        ledger.release(tx, pod, [("image", "mine")], 2)
    with pytest.raises(errors.NotFound), wire.image("mine"):
        pass


def test_what_glance_says_before_there_is_data_reaches_the_host(wire: WireClient) -> None:
    with pytest.raises(errors.ImageNotFound, match="Glance has no image gone"), wire.image("gone"):
        pass


def test_data_that_break_off_are_never_taken_for_whole(wire: WireClient, source: Source) -> None:
    source.fails_after = 3
    got = 0
    with contextlib.suppress(errors.Unavailable), wire.image("mine") as chunks:
        for chunk in chunks:
            got += len(chunk)
    assert got <= 3 * len(CHUNK)
    assert source.closed.wait(120)


def test_no_more_is_read_than_a_host_takes_and_one_that_goes_away_ends_it(wire: WireClient, source: Source) -> None:
    with wire.image("mine") as chunks:
        for _ in range(20):
            next(chunks)
    assert source.closed.wait(120)
    assert 2 <= source.read <= 4  # of 64: what was taken, and what the socket and one write hold
