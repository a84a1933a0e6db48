"""``higgins-up``: the whole service on one machine, from one state directory.

It lays the directory out, then runs API, controller and agent as children. It decides nothing that they could decide.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import yaml

from higgins.cmd.machine import state
from higgins.cmd.machine.supervise import Child, Supervisor, end_left_over, hopeless
from higgins.conf.load import FILE_VARIABLE

LOG = logging.getLogger(__name__)

_READY_WITHIN_S = 180.0
_LAST_LINES = 8
_LAST_BYTES = 8192
_PROCESSES = ("controller", "api", "agent")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; with ``--detach`` return once the service answers. The exit status says whether it does."""
    options = _parser().parse_args(argv)
    settings = state.Settings(
        state=Path(options.state).absolute(),
        port=options.port,
        engine=options.engine,
        engine_address=options.engine_address,
        auth=options.auth,
    )
    try:
        if options.detach:
            return _detach(settings)
        return _run(settings)
    except state.StateError as error:
        print(f"higgins-up: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    root = os.geteuid() == 0
    state_home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    parser = argparse.ArgumentParser(prog="higgins-up", description="Run the whole of Higgins on this machine.")
    parser.add_argument(
        "--state", default="/var/lib/higgins" if root else f"{state_home}/higgins", help="state directory"
    )
    parser.add_argument("--port", type=int, default=9517, help="port of the API (default: 9517)")
    parser.add_argument("--engine", default="podman", help="container engine (default: podman)")
    parser.add_argument("--engine-address", default="unix:///run/podman/podman.sock", help="where the engine answers")
    parser.add_argument("--auth", choices=("basic", "none"), default="basic", help="how users say who they are")
    parser.add_argument("--detach", action="store_true", help="return when the service answers")
    return parser


def _run(settings: state.Settings, started: Callable[[], None] = lambda: None) -> int:
    """Run until told to stop; ``started`` is called once the state directory is laid out."""
    with state.locked(settings.state) as ours:
        if not ours:
            _say_already_running(settings)
            return 0
        marks = {FILE_VARIABLE: str(settings.config_file)}
        left_over = end_left_over(marks)  # they hold the port and the sockets
        state.lay_out(settings)
        logging.basicConfig(
            filename=settings.state / "log" / "up.log",
            level=logging.INFO,
            format="%(asctime)s %(levelname)s %(message)s",
        )
        if left_over:
            LOG.warning("Ended %d processes that were left over when Higgins was killed", left_over)
        supervisor = Supervisor(
            [_child(settings, name) for name in _PROCESSES],
            pid_dir=settings.state / "run",
            environment=marks,
        )
        if sys.stdout.isatty():
            print(f"Higgins starts at {settings.endpoint}; Ctrl-C stops it (containers go on running).")
        started()
        supervisor.run()
    return 0


def _child(settings: state.Settings, name: str) -> Child:
    return Child(
        name=name,
        command=[sys.executable, "-m", f"higgins.cmd.{name}", *config_arguments(settings.state)],
        log_file=settings.state / "log" / f"{name}.log",
    )


def config_arguments(state_dir: Path) -> list[str]:
    """Arguments that make a process read this state directory's configuration, and the user's own after it."""
    files = [state_dir / "higgins.conf", state_dir / "local.conf"]
    return [argument for file in files if file.exists() for argument in ("--config-file", str(file))]


def _detach(settings: state.Settings) -> int:
    """Run in a process of its own; what it says before it has started is said here."""
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        os._exit(_run_detached(settings, write_end))
    os.close(write_end)
    with os.fdopen(read_end) as said:
        words = said.read()
    if words:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(words, end="", file=sys.stderr if status else sys.stdout)
        return status
    problem = _wait_ready(settings, pid)
    if problem:
        print(f"higgins-up: {problem}", file=sys.stderr)
        return 1
    print(f"Higgins answers at {settings.endpoint} (pid {pid}, logs in {settings.state / 'log'}).")
    return 0


def _run_detached(settings: state.Settings, write_end: int) -> int:
    os.setsid()
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (write_end, 1), (write_end, 2)):
        os.dup2(descriptor, target)
    os.close(write_end)

    def started() -> None:
        log = os.open(settings.state / "log" / "up.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)  # the last copy of the pipe: whoever started us sees its end

    try:
        status = _run(settings, started)
    except state.StateError as error:
        print(f"higgins-up: {error}", file=sys.stderr)
        status = 1
    sys.stdout.flush()
    return status


def _say_already_running(settings: state.Settings) -> None:
    pid = (settings.state / "higgins.pid").read_text().strip()
    print(
        f"Higgins already runs on {settings.state} at {_recorded_endpoint(settings)} (pid {pid}). Nothing was changed."
    )


def _recorded_endpoint(settings: state.Settings) -> str:
    clouds_file = settings.state / "clouds.yaml"
    if not clouds_file.exists():
        return settings.endpoint
    return str(yaml.safe_load(clouds_file.read_text())["clouds"]["higgins"]["auth"]["endpoint"])


def _wait_ready(settings: state.Settings, pid: int) -> str:
    """Wait until the API answers and its host has reported; a service that does not get there is ended, and why is given."""
    problem = f"the service did not start; its logs are in {settings.state / 'log'}"
    deadline_s = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline_s:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return problem
        if _host_is_up(settings):
            return ""
        names = hopeless(settings.state / "run")
        if names:
            problem = _last_words(settings.state / "log" / f"{names[0]}.log", names[0])
            break
        time.sleep(0.05)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return problem


def _last_words(log_file: Path, name: str) -> str:
    """What a child that does not start wrote last."""
    with log_file.open("rb") as log:
        log.seek(max(0, log_file.stat().st_size - _LAST_BYTES))
        lines = log.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
    ended = f"the service did not start: its process {name} ends as soon as it has begun. The end of {log_file}:"
    return "\n".join([ended, *(f"  {line}" for line in lines)])


def _host_is_up(settings: state.Settings) -> bool:
    auth = yaml.safe_load((settings.state / "clouds.yaml").read_text())["clouds"]["higgins-admin"]["auth"]
    headers = {"OpenStack-API-Version": "container 1.4"}
    if "password" in auth:
        pair = f"{auth['username']}:{auth['password']}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=5)
    try:
        connection.request("GET", "/v1/services", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    if answer.status != http.client.OK:
        return False
    return any(service["state"] == "up" for service in msgspec.json.decode(body)["services"])


if __name__ == "__main__":
    sys.exit(main())
