"""Ports of containers that their engine or their host starts again by itself: the engine's daemon killed and back, a restart of the host."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from higgins.agent.hands.network import kernel, names
from higgins.core import errors, model
from tests.cloud.cloud_world import until
from tests.cloud.plugs.plugged import ENGINES, Host, Ports, address
from tests.engine import running

ALWAYS = {"restart_policy": model.RestartPolicy(name="always")}


class Engine(running.Daemon):
    """An engine of the test's own in the cloud's network."""

    def start(self) -> None:
        """Start it; a second time finds the containers of the first."""
        running.shell(f"start_{self.name}", str(self.state), str(self.socket), "here")

    def kill(self) -> None:
        """As if it had run out of memory; its containers go on."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        until("the daemon to have ended", lambda: not os.path.exists(f"/proc/{pid}/exe"))

    def forget_the_boot(self, container: str) -> None:
        """Take away what podman and its runtime keep under /run and a restart of the host empties."""
        if self.name == "podman":
            run = running.shell("_engine_run_dir", str(self.state / "podman")).stdout.strip()
            pathlib.Path(run, "libpod", "alive").unlink()
            subprocess.run(["crun", "delete", "--force", container], check=True)


@pytest.fixture
def hosts(own: Host) -> dict[str, Host]:
    return {own.name: own}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    state = pathlib.Path(tempfile.mkdtemp(prefix="hig-"))
    made = Engine(request.param, state, state / "e.sock")
    try:
        made.start()
        running.shell("make_busybox_image", made.name, str(made.socket))
        yield made
    finally:
        running.shell("wipe_engine", str(state), check=False)
        subprocess.run(["rm", "-rf", str(state)], check=False)


@pytest.fixture
def own(engine: Engine, group: Any) -> Iterator[Host]:
    """A host with that engine."""
    made = Host(engine.name, socket=str(engine.socket))
    yield made
    made.end()
    assert made.left() == []


def process(host: Host, pod: str) -> int:
    """The container's first process."""
    engine: Any = host.engine
    return int(engine.call("GET", f"/containers/higgins-{pod}/json", "look at the container").json()["State"]["Pid"])


def has(host: Host, pod: str, plug: model.Plug) -> bool:
    """Whether it runs and has the port's address."""
    with contextlib.suppress(errors.HigginsError):
        return f"{address(plug)}/" in host.inside(pod, "ip", "addr")
    return False


def test_a_daemon_that_was_killed_finds_its_containers_on_their_ports(own: Host, engine: Engine, ports: Ports) -> None:
    plug = ports.plug()
    pod = own.run(plug, of_container=ALWAYS)
    started = own.engine.inspect(pod).started_at
    engine.kill()
    engine.start()
    until("the agent to see it again", lambda: has(own, pod, plug))
    assert own.engine.inspect(pod).started_at == started
    before = process(own, pod)
    os.kill(before, signal.SIGKILL)
    until("the engine to have started it again", lambda: process(own, pod) not in (0, before))
    until("it to be on its port", lambda: has(own, pod, plug))
    ports.active(plug)


def test_a_restart_of_the_host_starts_what_ran_on_its_ports(own: Host, engine: Engine, ports: Ports) -> None:
    plug = ports.plug()
    pod = own.run(plug, of_container=ALWAYS)
    first, ident = process(own, pod), own.engine.inspect(pod).engine_id
    monitor = int(pathlib.Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
    own.stop()
    engine.kill()
    for each in (monitor, first):
        with contextlib.suppress(ProcessLookupError):  # containerd, which lives on, ends what has lost its shim
            os.kill(each, signal.SIGKILL)
    until("the container to have ended", lambda: not os.path.exists(f"/proc/{first}/exe"))
    engine.forget_the_boot(ident)
    kernel.remove_link(names.outer(plug.port))
    kernel.remove_namespace(own.network.path(pod))
    own.boot = "boot-2"
    engine.start()
    own.start()
    until("it to run on its port again", lambda: has(own, pod, plug), 120, lambda: str(own.controller.status.get(pod)))
    ports.active(plug)
