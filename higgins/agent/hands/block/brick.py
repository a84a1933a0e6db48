"""Connects devices by os-brick, in a process of its own for each call: ``python -m higgins.agent.hands.block.brick``.

os-brick brings 40 MiB of libraries and may hang on a dead target; neither is to happen to the agent. What it must connect holds secrets, so
that comes on standard input, and nothing that os-brick logs is kept. Must not know pods, mounts or file systems.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from higgins.agent.hands.foreign import quiet_imports
from higgins.core import errors

_PROPERTIES, _CONNECT, _DISCONNECT = "properties", "connect", "disconnect"
_CALL_S = 120.0
_SCANS = 3


class Brick:
    """os-brick on this host; ``locks`` is a directory for its lock files. Every call waits for a process, at most ``timeout_s``."""

    def __init__(self, locks: Path, *, timeout_s: float = _CALL_S) -> None:
        self._locks, self._timeout_s = locks, timeout_s

    def properties(self, *, hostname: str, address: str) -> str:
        """The JSON of what Cinder must be told of this host; ``Unsupported`` when os-brick is not installed."""
        return json.dumps(self._ask(_PROPERTIES, {"hostname": hostname, "address": address}), sort_keys=True)

    def connect(self, connection: Mapping[str, Any]) -> str:
        """The device of a volume; one that is connected already is given again."""
        return str(self._ask(_CONNECT, {"connection": connection}))

    def disconnect(self, connection: Mapping[str, Any], device: str | None, *, force: bool = False) -> None:
        """Have the device gone, with ``force`` also when nothing can be written to it any more; nothing happens when it is."""
        self._ask(_DISCONNECT, {"connection": connection, "device": device, "force": force})

    def _ask(self, verb: str, body: Mapping[str, Any]) -> Any:
        self._locks.mkdir(parents=True, exist_ok=True, mode=0o700)
        asked = json.dumps({"verb": verb, "locks": str(self._locks), **body})
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__], input=asked, capture_output=True, text=True, timeout=self._timeout_s
            )
            answer = json.loads(done.stdout or "null")
        except subprocess.TimeoutExpired as error:
            raise errors.Timeout(
                f"The volume's storage did not answer within {self._timeout_s:g} s when it was to {verb}."
            ) from error
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise errors.Unavailable(f"os-brick ended with {done.returncode} when it was to {verb} a volume.")
        if "missing" in answer:
            raise errors.Unsupported(answer["missing"])
        if "error" in answer:
            raise errors.Unavailable(f"The host could not {verb} the volume: {answer['error']}.")
        return answer["result"]


def own_address() -> str:
    """The address from which this host reaches other networks; that of the loopback when it reaches none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of no host (RFC 5737); nothing is sent
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        with quiet_imports("attach volumes"):
            from oslo_service import backend  # type: ignore[import-untyped]

            backend.init_backend(backend.BackendType.THREADING)
            from os_brick import privileged  # type: ignore[import-untyped]
            from os_brick.initiator import connector  # type: ignore[import-untyped]
            from oslo_concurrency import lockutils
            from oslo_config import cfg
    except errors.Unsupported as error:
        return {"missing": error.message}
    lockutils.set_defaults(asked["locks"])
    cfg.CONF([], project="higgins-brick", default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("lock_path", asked["locks"], group="os_brick")
    # This process is root's already and lives for one call: no helper of more rights is needed.
    for context in (privileged.default, privileged.brick_privsep_hide_output):
        context.set_client_mode(False)
    try:
        return {"result": _done(connector, asked)}
    except Exception as error:  # noqa: BLE001 - told to the process that asked
        return {"error": _words(error)}


def _done(connector: Any, asked: Mapping[str, Any]) -> Any:
    if asked["verb"] == _PROPERTIES:
        return connector.get_connector_properties("", asked["address"], False, False, host=asked["hostname"])
    connection = asked["connection"]
    protocol = connection["driver_volume_type"]
    more = {"do_local_attach": True} if protocol == "rbd" else {}
    initiator = connector.InitiatorConnector.factory(
        protocol, "", use_multipath=bool(connection.get("enforce_multipath")), device_scan_attempts=_SCANS, **more
    )
    if asked["verb"] == _CONNECT:
        return initiator.connect_volume(connection)["path"]
    device = asked["device"]
    known = {"type": "block", "path": device} if device else None
    initiator.disconnect_volume(connection, known, force=asked["force"])
    return None


def _words(error: Exception) -> str:
    """What failed; of a command only its name and how it ended, for its arguments may hold a password."""
    command, code = getattr(error, "cmd", None), getattr(error, "exit_code", None)
    if command:
        return f"{str(command).split()[0]} ended with {code}"
    if type(error).__module__.startswith("os_brick"):
        return f"{type(error).__name__}, {error}"
    return type(error).__name__


if __name__ == "__main__":
    # The answer has the first output to itself, whatever libraries print.
    answers, sys.stdout = sys.stdout, sys.stderr
    answers.write(json.dumps(_answer(json.load(sys.stdin))))
