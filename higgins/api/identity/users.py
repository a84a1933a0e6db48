"""The users file of an installation without Keystone: who there is, with scrypt hashes of their passwords.

Knows no HTTP. The file is JSON, readable by its owner alone; an operator edits it, or lets the functions here do so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
import pathlib
import secrets
import tempfile

import msgspec

from higgins.core import errors
from higgins.threads import typed_json

_COST, _BLOCK, _LANES = 2**14, 8, 1  # of scrypt; a hash says its own, so that another cost may be given to new ones


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One user in one project."""

    name: str
    user_id: str
    project_id: str
    project_name: str
    roles: tuple[str, ...]
    password_hash: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    users: tuple[User, ...]
    version: int = 1


def hash_password(password: str, *, cost: int = _COST) -> str:
    """A salted scrypt hash with its parameters, as it stands in the file."""
    salt = secrets.token_bytes(16)
    return f"scrypt${cost}${_BLOCK}${_LANES}${salt.hex()}${_scrypt(password, salt, cost, _BLOCK, _LANES).hex()}"


def check_password(password: str, password_hash: str) -> bool:
    """Whether the password has this hash; takes as long when it has not. A hash of another form has no password."""
    try:
        name, cost, block, lanes, salt, wanted = password_hash.split("$")
        found = _scrypt(password, bytes.fromhex(salt), int(cost), int(block), int(lanes))
        return hmac.compare_digest(found, bytes.fromhex(wanted)) and name == "scrypt"
    except ValueError:
        return False


def new_user(
    name: str,
    password: str,
    *,
    project_name: str,
    roles: tuple[str, ...],
    project_id: str | None = None,
    cost: int = _COST,
) -> User:
    """A user with a new id, in a new project unless an id is given."""
    return User(
        name=name,
        user_id=secrets.token_hex(16),
        project_id=project_id or secrets.token_hex(16),
        project_name=project_name,
        roles=roles,
        password_hash=hash_password(password, cost=cost),
    )


def load(path: pathlib.Path) -> dict[str, User]:
    """The users by name; ``Unavailable`` with what is wrong when the file cannot be read."""
    try:
        users = typed_json.decode(path.read_bytes(), _File).users
    except OSError as error:
        raise errors.Unavailable(f"The users file {path} cannot be read: {error.strerror}.") from error
    except msgspec.MsgspecError as error:
        raise errors.Unavailable(f"The users file {path} is not what it should be: {error}.") from error
    return {user.name: user for user in users}


def save(path: pathlib.Path, users: tuple[User, ...]) -> None:
    """Write the file anew, for its owner alone, at one stroke."""
    data = msgspec.json.format(msgspec.json.encode(_File(users=users)), indent=2) + b"\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def create_first(path: pathlib.Path, *, cost: int = _COST) -> dict[str, str]:
    """Make the file with ``admin`` and an ordinary user ``demo``, unless it is there; gives the passwords made, by user name.

    They are told this once: only their hashes are kept.
    """
    if path.exists():
        return {}
    passwords = {"admin": secrets.token_urlsafe(18), "demo": secrets.token_urlsafe(18)}
    path.parent.mkdir(parents=True, exist_ok=True)
    everything = ("admin", "manager", "member", "reader")
    admin = new_user("admin", passwords["admin"], project_name="admin", roles=everything, cost=cost)
    demo = new_user("demo", passwords["demo"], project_name="demo", roles=("member", "reader"), cost=cost)
    save(path, (admin, demo))
    return passwords


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=256 * 1024 * 1024, dklen=32)
