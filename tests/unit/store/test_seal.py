"""Sealing: what is sealed opens only with its key and in its place; the key file is made once."""

from __future__ import annotations

import pathlib
import stat
import threading

import pytest

from higgins.core import errors
from higgins.store.seal import KEY_BYTES, Sealer, load_or_create_key

KEY = bytes(range(KEY_BYTES))


def test_what_is_sealed_opens_in_its_place_alone() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(b"secret", "here")
    assert b"secret" not in sealed
    assert sealed != sealer.seal(b"secret", "here")
    assert sealer.open(sealed, "here") == b"secret"
    with pytest.raises(errors.NotReady, match="damaged"):
        sealer.open(sealed, "there")


@pytest.mark.parametrize("byte", [20, -1])
def test_what_was_tampered_with_does_not_open(byte: int) -> None:
    sealed = bytearray(Sealer(KEY).seal(b"secret", "here"))
    sealed[byte] ^= 1
    with pytest.raises(errors.NotReady, match="damaged"):
        Sealer(KEY).open(bytes(sealed), "here")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"nonsense that was never sealed"])
def test_nonsense_and_other_keys_are_named(sealed: bytes) -> None:
    with pytest.raises(errors.NotReady, match="another key"):
        Sealer(KEY).open(sealed, "here")
    with pytest.raises(errors.NotReady, match="another key"):
        Sealer(KEY).open(Sealer(bytes(KEY_BYTES)).seal(b"x", "here"), "here")


def test_a_key_file_is_made_once_for_all_who_ask_at_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "key"
    keys: list[bytes] = []
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        keys.append(load_or_create_key(path))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert set(keys) == {path.read_bytes()}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_damaged_key_file_is_refused_and_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"short")
    with pytest.raises(errors.Invalid, match="32 bytes"):
        load_or_create_key(path)
    assert path.read_bytes() == b"short"
