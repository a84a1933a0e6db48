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
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from higgins.cmd import state
from higgins.cmd.supervise import Child, Supervisor
from higgins.conf.load import FILE_VARIABLE

_READY_WITHIN_S = 60.0
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


def _run(settings: state.Settings) -> int:
    with state.locked(settings.state) as ours:
        if not ours:
            _say_already_running(settings)
            return 0
        state.lay_out(settings)
        logging.basicConfig(
            filename=settings.state / "log" / "up.log",
            level=logging.INFO,
            format="%(asctime)s %(levelname)s %(message)s",
        )
        supervisor = Supervisor(
            [_child(settings, name) for name in _PROCESSES],
            pid_dir=settings.state / "run",
            environment={FILE_VARIABLE: str(settings.config_file)},
        )
        if sys.stdout.isatty():
            print(f"Higgins starts at {settings.endpoint}; Ctrl-C stops it (containers go on running).")
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
    with state.locked(settings.state) as ours:
        if not ours:
            _say_already_running(settings)
            return 0
        state.lay_out(settings)
    command = [sys.executable, "-m", "higgins.cmd.up", "--state", str(settings.state), "--port", str(settings.port)]
    command += ["--engine", settings.engine, "--engine-address", settings.engine_address, "--auth", settings.auth]
    with (settings.state / "log" / "up.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    if not _wait_ready(settings, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()
        print(f"higgins-up: the service did not start; its logs are in {settings.state / 'log'}", file=sys.stderr)
        return 1
    print(f"Higgins answers at {settings.endpoint} (pid {process.pid}, logs in {settings.state / 'log'}).")
    return 0


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


def _wait_ready(settings: state.Settings, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the API answers and its host has reported; false when that takes too long or the service ended."""
    deadline_s = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            return False
        if _host_is_up(settings):
            return True
        time.sleep(0.1)
    return False


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
