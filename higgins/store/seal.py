"""Seals what must not stand readable in the database: environments, injected files, passwords, tokens.

AES-256-GCM with one key per installation, kept in a file outside the database. Must not know what it seals.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from higgins.core import errors

KEY_BYTES = 32
_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES + _NONCE_BYTES


class Sealer:
    """Seals and opens with one key. Safe to share between threads.

    A sealed value is: version (1 byte), key id (4), nonce (12), ciphertext and tag. ``context`` says what the value belongs to
    and must be the same when it is opened, so that a value moved to another row does not open there.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise errors.Invalid(f"The installation's key must have {KEY_BYTES} bytes, but this one has {len(key)}.")
        self._cipher = AESGCM(key)
        self._key_id = hashlib.sha256(b"higgins key id:" + key).digest()[:_KEY_ID_BYTES]

    def seal(self, plain: bytes, context: str) -> bytes:
        """The sealed form of ``plain``; a different one each time."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + self._key_id + nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed; ``NotReady`` when the key is another one or the value was tampered with."""
        if sealed[:1] != _VERSION or sealed[1 : 1 + _KEY_ID_BYTES] != self._key_id:
            raise errors.NotReady(
                "This value was sealed with another key. Give this installation the key file it was made with."
            )
        nonce = sealed[1 + _KEY_ID_BYTES : _HEAD_BYTES]
        try:
            return self._cipher.decrypt(nonce, sealed[_HEAD_BYTES:], context.encode())
        except InvalidTag as error:
            raise errors.NotReady("A sealed value in the database is damaged. Restore it from a backup.") from error


def load_or_create_key(path: str | os.PathLike[str]) -> bytes:
    """The installation's key; made (mode 0600) when the file is not there. Two processes at once get the same one."""
    file = pathlib.Path(path)
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        key = _create_key(file)
    if len(key) != KEY_BYTES:
        raise errors.Invalid(
            f"The key file {file} is damaged: it must have {KEY_BYTES} bytes. Restore it from a backup."
        )
    return key


def _create_key(file: pathlib.Path) -> bytes:
    # Written whole beside its place and linked into it, so that nobody ever reads half a key or replaces one.
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_bytes(KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return file.read_bytes()
