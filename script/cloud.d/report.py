"""`script/cloud status`: each process of the cloud, its port, memory, whether it answers. Runs inside the cloud's namespaces; only reads."""

from __future__ import annotations

import http.client
import pathlib
import socket
import sys
import time

# Name: port (or unix socket) and the path that is asked; no path for what does not speak HTTP, no port for what is only there.
SERVICES: dict[str, tuple[int | str | None, str | None]] = {
    "mariadb": (3306, None),
    "rabbitmq": (5672, None),
    "memcached": (11211, None),
    "ovsdb": ("/run/ovn/ovnsb_db.sock", None),
    "vswitchd": (None, None),
    "northd": (None, None),
    "ovn-controller": (None, None),
    "keystone": (5000, "/v3"),
    "glance": (9292, "/"),
    "placement": (8780, "/"),
    "neutron": (9696, "/"),
    "cinder": (8776, "/"),
    "cinder-scheduler": (None, None),
    "cinder-volume": (None, None),
    "heat": (8004, "/"),
    "heat-engine": (None, None),
    "horizon": (8080, "/auth/login/"),
    "higgins-api": (9517, "/healthcheck"),
    "higgins-controller": (9518, None),
    "higgins-agent-podman": (9519, None),
    "higgins-agent-docker": (9520, None),
    "podman": (None, None),
    "docker": (None, None),
}


def answer(port: int | str | None, path: str | None) -> str:
    """What the service says, in words; empty when it has no port to ask."""
    since = time.monotonic()
    try:
        if port is None:
            return ""
        if isinstance(port, str):
            with socket.socket(socket.AF_UNIX) as opened:
                opened.settimeout(5)
                opened.connect(port)
            return "answers"
        if path is None:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return "answers"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer: {error}"
    if status >= 500:
        return f"does not work: HTTP {status}"
    return f"answers {status} in {1000 * (time.monotonic() - since):.0f} ms"


def memory_mib(sessions: dict[int, int], pid: int) -> int:
    """What the process and all of its session use, shared pages counted by share."""
    total_kib = 0
    for member, session in sessions.items():
        if pid in (session, member):
            try:
                rollup = pathlib.Path(f"/proc/{member}/smaps_rollup").read_text()
            except OSError:
                continue
            total_kib += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total_kib >> 10


def sessions_of_processes() -> dict[int, int]:
    """Each process's session."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3])
            except OSError:
                continue
    return found


def main() -> None:
    """report.py DIR: prints the table; exit code 1 when something is missing."""
    run = pathlib.Path(sys.argv[1]) / "run"
    sessions = sessions_of_processes()
    healthy, total_mib = True, 0
    print(f"{'service':22}{'port':>6}  {'memory':>8}  state")
    for name, (port, path) in SERVICES.items():
        try:
            pid = int((run / f"{name}.pid").read_text())
        except (OSError, ValueError):
            pid = 0
        state = "does not run"
        used_mib = 0
        if pid in sessions:
            state = answer(port, path) or "runs"
            used_mib = memory_mib(sessions, pid)
        healthy = healthy and state.startswith(("answers", "runs"))
        total_mib += used_mib
        print(f"{name:22}{port if isinstance(port, int) else '':>6}  {used_mib:>4} MiB  {state}")
    print(f"{'together':22}{'':>6}  {total_mib:>4} MiB")
    sys.exit(0 if healthy else 1)


if __name__ == "__main__":
    main()
