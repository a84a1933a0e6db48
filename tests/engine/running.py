"""Starts private engines and registries for the tests by the same shell functions that script/up uses, and takes all of it away again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[2]
LIBRARY = ROOT / "script" / "lib" / "engines.sh"
PROGRAMS = {"podman": "podman", "docker": "dockerd"}
USER, PASSWORD = "alice", "open-sesame"
BCRYPT = "$2b$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO"


def shell(command: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one of the functions of the library."""
    script = f'. "$0"; {command} "$@"'
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            ["bash", "-c", script, str(LIBRARY), *words], stdout=output, stderr=output, text=True, check=False
        )
        output.seek(0)
        done.stdout = output.read()
    if check and done.returncode:
        raise AssertionError(f"{command} {' '.join(words)}: {done.stdout}")
    return done


def busybox_tar() -> pathlib.Path:
    """The root file system that the image of busybox is made of; this machine itself need have no busybox."""
    return pathlib.Path(shell("busybox_tar").stdout.strip())


@dataclasses.dataclass(frozen=True, slots=True)
class Daemon:
    """A private engine."""

    name: str
    state: pathlib.Path
    socket: pathlib.Path

    @property
    def pid(self) -> int:
        """The daemon's process."""
        return int((self.state / f"{self.name}.pid").read_text())

    def start(self) -> None:
        """Start it; a second time finds the containers of the first."""
        shell(f"start_{self.name}", str(self.state), str(self.socket), "private")

    def registry(self, address: str, image: str, *, login: bool) -> None:
        """A registry beside the engine, in its network namespace, that holds busybox under that name (a layer of two megabytes)."""
        state = self.state / ("login" if login else "open")
        state.mkdir(exist_ok=True)
        passwords = state / "htpasswd"
        passwords.write_text(f"{USER}:{BCRYPT}\n")
        # One that an earlier test started may stand in the network of a daemon that has ended since.
        shell("stop_engine", str(state / "registry.pid"), check=False)
        shell("start_registry", str(state), address, str(passwords) if login else "", str(self.pid))
        layer = state / "busybox.tar.gz"
        with layer.open("wb") as packed:
            subprocess.run(["gzip", "-nc", busybox_tar()], check=True, stdout=packed)
        config = '{"Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}}'
        push = ["python3", str(ROOT / "script/lib/registry_push.py"), address, image, config, str(layer)]
        secrets = {"REGISTRY_AUTH": f"{USER}:{PASSWORD}"} if login else {}
        self.inside(push, env=os.environ | secrets)

    def inside(self, command: list[str], **words: object) -> str:
        """Run a program in the engine's network namespace and answer what it writes."""
        entered = ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command]
        return subprocess.run(entered, check=True, stdout=subprocess.PIPE, text=True, **words).stdout


def missing(name: str) -> str:
    """Why this machine cannot run a private engine of that name; empty when it can."""
    if shutil.which(PROGRAMS[name]) is None:
        return f"{name} is not installed (script/test installs it)"
    if os.getuid() != 0:
        return "a private engine in a network namespace of its own needs root"
    return ""


@contextlib.contextmanager
def daemon(name: str, folder: pathlib.Path = pathlib.Path("/tmp")) -> Iterator[Daemon]:
    """A private engine, kept in a folder, with busybox in its store; nothing is left of it afterwards."""
    # A short path: that of a socket has at most 107 bytes.
    state = pathlib.Path(tempfile.mkdtemp(prefix="hig-", dir=folder))
    private = Daemon(name, state, state / "e.sock")
    try:
        private.start()
        shell("make_busybox_image", name, str(private.socket))
        yield private
    finally:
        for each in ("open", "login"):
            shell("stop_engine", str(state / each / "registry.pid"), check=False)
        shell("wipe_engine", str(state), check=False)
        shutil.rmtree(state, ignore_errors=True)


SILENT = "import socket; s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True); input()"


@contextlib.contextmanager
def silent_server(private: Daemon, port: int) -> Iterator[None]:
    """Something in the engine's network that takes connections and never says a word."""
    entered = ["nsenter", f"--net=/proc/{private.pid}/ns/net", "python3", "-c", SILENT.format(port=port)]
    with subprocess.Popen(entered, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()
        try:
            yield
        finally:
            server.kill()
