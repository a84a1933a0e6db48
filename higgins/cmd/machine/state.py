"""Lays out the state directory of a machine that runs by ``higgins-up``: configuration, keys, users, database, clouds.yaml.

Everything here is safe to repeat: what exists is kept. It starts no process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import yaml

from higgins.api.identity import users
from higgins.store import hosts, migrate, seal, session
from higgins.store.records import installation

ENGINE_FILE = "engine.name"
_LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes, unix(7)


class StateError(Exception):
    """The state directory cannot be used as asked; the message says what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the caller of ``higgins-up`` chose."""

    state: Path
    port: int
    engine: str
    engine_address: str
    auth: str

    @property
    def endpoint(self) -> str:
        """The API's URL, as it stands in clouds.yaml."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def config_file(self) -> Path:
        """The file that every process reads."""
        return self.state / "higgins.conf"


@contextlib.contextmanager
def locked(state: Path) -> Iterator[bool]:
    """Whether this process is now the one that runs this state directory; false when another one is."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(state)
        lock = (state / "higgins.pid").open("a+")
    except OSError as error:
        raise StateError(
            f"Cannot write to {state}: {error.strerror}. Choose another directory with --state."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield True
        lock.truncate(0)


def _check_private(state: Path) -> None:
    """Whoever else can write there puts files in our way; whoever can read there has the keys."""
    found = state.stat()
    if found.st_uid != os.geteuid():
        raise StateError(f"The directory {state} belongs to another user. Choose one of your own with --state.")
    if found.st_mode & 0o077:
        raise StateError(
            f"The directory {state} is open to other users, and passwords and keys go into it. Run: chmod 700 {state}"
        )


def lay_out(settings: Settings) -> None:
    """Make or complete everything in the state directory; StateError says what is in the way."""
    _check(settings)
    for folder in ("log", "agent", "run"):
        (settings.state / folder).mkdir(mode=0o700, exist_ok=True)
    (settings.state / ENGINE_FILE).write_text(settings.engine + "\n")
    host_token = _host_token(settings.state)
    url = f"sqlite:///{settings.state / 'higgins.db'}"
    migrate.upgrade(url)
    sealer = seal.Sealer(seal.load_or_create_key(settings.state / "secret.key"))
    database = session.Database(url)
    with database.write() as tx:
        installation_uuid = installation.ensure(tx, sealer)
        hosts.enroll(tx, socket.gethostname(), hashlib.sha256(host_token.encode()).hexdigest())
    database.close()
    _write_configuration(settings, installation_uuid)
    _write_clouds(settings)


def _check(settings: Settings) -> None:
    longest = settings.state / "run" / "hints.sock"
    if len(os.fsencode(longest)) > _LONGEST_SOCKET_PATH:
        raise StateError(
            f"The path {settings.state} is too long for the sockets inside it. Choose a shorter one with --state."
        )
    recorded = settings.state / ENGINE_FILE
    if recorded.exists() and (made_with := recorded.read_text().strip()) != settings.engine:
        raise StateError(
            f"{settings.state} was made with the engine {made_with}: its containers live there. "
            f"Use --engine {made_with}, or another --state for {settings.engine}."
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError as error:
            raise StateError(
                f"Port {settings.port} is in use by another program. Choose another with --port."
            ) from error


def _host_token(state: Path) -> str:
    path = state / "agent" / "credential"
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def _write_configuration(settings: Settings, installation_uuid: str) -> None:
    separator = "&" if "?" in settings.engine_address else "?"
    run = settings.state / "run"
    lines = [
        "# Written by higgins-up at each start. Your own options go into local.conf beside this file: it is read after this one.",
        "[DEFAULT]",
        f"state_dir = {settings.state}",
        "[api]",
        f"port = {settings.port}",
        "[identity]",
        f"backend = {'noauth' if settings.auth == 'none' else 'http_basic'}",
        "[wire]",
        f"listen = unix:{run / 'wire.sock'}",
        f"hints = unix:{run / 'hints.sock'}",
        "[agent]",
        f"controller = unix:{run / 'wire.sock'}",
        f"live_listen = unix:{run / 'live.sock'}",
        "[engine]",
        f"name = {settings.engine}",
        f"address = {settings.engine_address}{separator}installation={installation_uuid}",
    ]
    _write_private(settings.config_file, "\n".join(lines))


def _write_clouds(settings: Settings) -> None:
    clouds_file = settings.state / "clouds.yaml"
    users_file = settings.state / "users.json"
    accounts = {"higgins": "demo", "higgins-admin": "admin"}
    passwords: dict[str, str] = {}
    if settings.auth == "basic":
        passwords = _known_passwords(clouds_file)
        if not users_file.exists() or not set(accounts.values()) <= set(passwords):
            users_file.unlink(missing_ok=True)
            passwords = users.create_first(users_file)
    _write_private(
        clouds_file,
        yaml.safe_dump(
            {"clouds": {cloud: _cloud(settings, user, passwords) for cloud, user in accounts.items()}}, sort_keys=False
        ),
    )


def _known_passwords(clouds_file: Path) -> dict[str, str]:
    """Passwords of an earlier start, by user: only hashes of them stand anywhere else."""
    if not clouds_file.exists():
        return {}
    clouds = yaml.safe_load(clouds_file.read_text()).get("clouds", {})
    accounts = [cloud.get("auth", {}) for cloud in clouds.values()]
    return {auth["username"]: auth["password"] for auth in accounts if "password" in auth}


def _cloud(settings: Settings, user: str, passwords: dict[str, str]) -> dict[str, object]:
    if settings.auth == "none":
        return {"auth_type": "none", "auth": {"endpoint": settings.endpoint}}
    return {
        "auth_type": "http_basic",
        "auth": {"endpoint": settings.endpoint, "username": user, "password": passwords[user]},
    }


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)  # of a start that was broken off
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text.rstrip("\n") + "\n")
    temporary.replace(path)
