"""``openstack`` as people type it, in a user's name, for tests; knows nothing of what is asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from tests.cloud.cloud_world import until

FORKED = pathlib.Path(__file__).parent / "forked_openstack.py"
# Several commands of this client say so and end with exit code 0.
FAILED = re.compile(r"^(Failed to |.* container .* failed[:.]|Delete for .* failed: )", re.MULTILINE)
# Of a package beside it, at each start.
NOISE = re.compile(r"^Could not load 'reservation_host_unset'.*\n", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """A command and what it answered."""

    line: str
    code: int
    out: str
    err: str

    @property
    def well(self) -> bool:
        """Whether it did what it was asked."""
        return self.code == 0 and not FAILED.search(self.out)

    def __str__(self) -> str:
        return f"$ openstack {self.line}\n{self.out}{self.err}" + (f"(exit code {self.code})\n" if self.code else "")


class Client:
    """The loaded program; users take turns."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._turn = threading.Lock()

    def ask(self, line: str, environment: dict[str, str]) -> Said:
        """One command to its end."""
        asked = json.dumps({"words": shlex.split(line), "environment": environment})
        with self._turn:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            print(asked, file=self._process.stdin, flush=True)
            answered = json.loads(self._process.stdout.readline())
        return Said(line, answered["code"], answered["out"], NOISE.sub("", answered["err"]))


@contextlib.contextmanager
def client() -> Iterator[Client]:
    """The program of the cloud's environment; its other settings are those around us."""
    found = shutil.which("openstack")
    assert found is not None, "the cloud's environment has no openstack"
    command = [str(pathlib.Path(found).parent / "python"), "-B", str(FORKED)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Client(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


class OpenStack:
    """One user's ``openstack``: called with a line, it gives what the command wrote; fails when that went wrong."""

    def __init__(self, client: Client, user: str, password: str, project: str) -> None:
        self._client = client
        self._user = {"OS_USERNAME": user, "OS_PASSWORD": password, "OS_PROJECT_NAME": project}

    def __call__(self, line: str) -> str:
        said = self.said(line)
        assert said.well, said
        return said.out.strip()

    def said(self, line: str) -> Said:
        """Whatever came of it; a test that fails shows all of these."""
        said = self._client.ask(line, self._user)
        print(said)
        return said

    def refused(self, line: str) -> str:
        """The message of a command that may not succeed."""
        said = self.said(line)
        assert not said.well, said
        return said.out + said.err

    def shown(self, line: str) -> Any:
        """What a command shows, as data."""
        return json.loads(self(f"{line} -f json"))

    def until(self, line: str, expected: str, seconds: float = 120) -> None:
        """Ask again until the answer is this."""
        answers: list[Said] = []

        def is_so() -> bool:
            answers[:] = [self._client.ask(line, self._user)]
            return answers[0].out.strip() == expected

        until(f"{line} to say {expected}", is_so, seconds, lambda: str(answers))

    def settled(self, name: str, status: str = "Running", seconds: float = 120) -> dict[str, Any]:
        """A container, once it is in this state with nothing under way; fails at once when it is in Error instead."""

        def shown() -> Any:
            said = self._client.ask(f"appcontainer show {name} -f json", self._user)
            assert said.well, said
            body = json.loads(said.out)
            assert body["status"] != "Error", said
            return body if body["status"] == status and body["task_state"] is None else None

        return dict(
            until(f"{name} to be {status}", shown, seconds, lambda: str(self.said(f"appcontainer show {name}")))
        )

    def end(self, *names: str) -> None:
        """Delete containers and wait until they are gone; nothing happens to those that are."""
        for name in names:
            self._client.ask(f"appcontainer delete --stop {name}", self._user)
        for name in names:
            until(f"{name} to be gone", lambda name=name: not self._client.ask(f"appcontainer show {name}", self._user).well, 120,
                  lambda name=name: str(self.said(f"appcontainer show {name}")))  # fmt: skip
