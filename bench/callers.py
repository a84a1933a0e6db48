"""Two thin clients over one kept-open connection each: of the API, and of the engine alone. Neither uses Higgins' own clients."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
import uuid
from typing import Any

import yaml

SLEEP = ["sleep", "36000"]
CPUS, MEMORY_MIB, PIDS = 1.0, 64, 2048
POLL_S = 0.003
LONGEST_WAIT_S = 180.0


class CallFailed(Exception):
    """A call was answered with an error."""


class Caller:
    """JSON over a connection that stays open; belongs to one thread."""

    def __init__(self, connection: http.client.HTTPConnection, prefix: str, headers: dict[str, str]) -> None:
        self._connection, self._prefix, self._headers = connection, prefix, headers

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer; ``CallFailed`` for a status of 400 and more."""
        status, data = self.raw(method, path, body)
        if status >= 400:
            raise CallFailed(f"{method} {path}: {status} {data[:300]!r}")
        return json.loads(data) if data.strip() else None

    def raw(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body as they are."""
        content = None if body is None else json.dumps(body).encode()
        headers = self._headers if body is None else self._headers | {"Content-Type": "application/json"}
        self._connection.request(method, self._prefix + path, content, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Api(Caller):
    """The API as a user calls it; an administrator, for only they delete by force."""

    def __init__(self, port: int, clouds_file: str, cloud: str = "higgins-admin") -> None:
        with open(clouds_file) as file:
            auth = yaml.safe_load(file)["clouds"][cloud]["auth"]
        pair = base64.b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}", "OpenStack-API-Version": "container 1.40"}
        super().__init__(http.client.HTTPConnection("127.0.0.1", port, timeout=60), "/v1", headers)

    def create(self, *, run: bool = True, **fields: object) -> str:
        """The uuid of a container that was accepted."""
        body = {"image": "busybox", "command": SLEEP, "cpu": CPUS, "memory": str(MEMORY_MIB)} | fields
        return str(self.call("POST", f"/containers?run={str(run).lower()}", body)["uuid"])

    def wait(self, ident: str, status: str, poll_s: float = POLL_S, quiet_s: float = 0.0) -> None:
        """Return when the API shows the status; it is asked first after ``quiet_s``."""
        time.sleep(quiet_s)
        deadline = time.monotonic() + LONGEST_WAIT_S
        while True:
            found = self.call("GET", f"/containers/{ident}")
            if found["status"] == status:
                return
            if found["status"] in ("Error", "Dead") or time.monotonic() > deadline:
                raise CallFailed(f"container {ident} is {found['status']}: {found['status_reason']}")
            time.sleep(poll_s)

    def statuses(self) -> dict[str, str]:
        """The status of every container, by uuid."""
        return {row["uuid"]: row["status"] for row in self.call("GET", "/containers?limit=1000")["containers"]}

    def delete(self, ident: str) -> None:
        """Wish it gone."""
        self.call("DELETE", f"/containers/{ident}?force=true")

    def wait_gone(self, ident: str, poll_s: float = POLL_S, quiet_s: float = 0.0) -> None:
        """Return when the API knows it no more; it is asked first after ``quiet_s``."""
        time.sleep(quiet_s)
        deadline = time.monotonic() + LONGEST_WAIT_S
        while self.raw("GET", f"/containers/{ident}")[0] != 404:
            if time.monotonic() > deadline:
                raise CallFailed(f"container {ident} is not gone")
            time.sleep(poll_s)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=300)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class RawEngine(Caller):
    """The engine by its REST API, asked for just what the driver asks for: same network, same limits, labels of our length."""

    def __init__(self, path: str, name: str) -> None:
        self._name = name
        super().__init__(_UnixConnection(path), "/v1.41", {})

    def create(self) -> str:
        """The id of a container made as the driver makes one."""
        own = str(uuid.uuid4())
        body = {
            "Image": "docker.io/library/busybox:latest" if self._name == "podman" else "busybox:latest",
            "Cmd": SLEEP,
            "Env": [],
            "Labels": {"bench.uuid": own, "bench.pod": own, "bench.build": "1", "bench.installation": own},
            "HostConfig": {
                "NetworkMode": "bridge",
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
                "PidsLimit": PIDS,
                "CpuPeriod": 100_000,
                "CpuQuota": round(CPUS * 100_000),
                "Memory": MEMORY_MIB * 2**20,
                "MemorySwap": MEMORY_MIB * 2**20,
            },
        }
        return str(self.call("POST", f"/containers/create?name=bench-{own}", body)["Id"])

    def start(self, ident: str) -> None:
        """Start it; the engine answers when its process runs."""
        self.call("POST", f"/containers/{ident}/start")

    def stop(self, ident: str) -> None:
        """Kill it."""
        self.call("POST", f"/containers/{ident}/stop?t=0")

    def remove(self, ident: str) -> None:
        """Kill and remove it."""
        quick = "&timeout=0" if self._name == "podman" else ""
        path = f"/containers/{ident}?force=true&v=true{quick}"
        if self._name == "podman":
            self._prefix = "/v4.0.0/libpod"
        try:
            self.call("DELETE", path)
        finally:
            self._prefix = "/v1.41"

    def options(self, ident: str) -> dict[str, Any]:
        """How the engine says that a container was made."""
        return dict(self.call("GET", f"/containers/{ident}/json")["HostConfig"])
