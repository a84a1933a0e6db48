"""Only the control plane talks to the cloud: nothing that a host's agent reads, is given or holds in memory contains a password of the cloud."""

from __future__ import annotations

import contextlib
import pathlib

import pytest

from tests.cloud.cloud_world import Cloud, People

AGENTS = ("higgins-agent-podman", "higgins-agent-docker")


@pytest.fixture(scope="module")
def passwords(cloud: Cloud) -> dict[bytes, str]:
    """Every secret of the cloud, by its value."""
    return {path.read_bytes(): path.name for path in (cloud.place / "secret").iterdir()}


@pytest.fixture(scope="module")
def used(people: People) -> None:
    """Hosts that never had work would have had no occasion to learn one."""
    for host in ("node1", "node1-docker"):
        with people.api("admin").container(name="busy", host=host):
            pass


def held(pid: int, wanted: dict[bytes, str]) -> set[str]:
    """Which of the secrets stand somewhere in a process's memory."""
    found: set[str] = set()
    with pathlib.Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(edge, 16) for edge in area.split("-"))
            with contextlib.suppress(OSError, ValueError):
                memory.seek(begin)
                content = memory.read(end - begin)
                found |= {name for value, name in wanted.items() if value in content}
    return found


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agents_memory_holds_none(cloud: Cloud, passwords: dict[bytes, str], agent: str) -> None:
    assert held(cloud.pid(agent), passwords) == set()


@pytest.mark.usefixtures("used")
def test_the_search_finds_what_is_there(cloud: Cloud, passwords: dict[bytes, str]) -> None:
    """The controller logs in at Keystone."""
    assert "higgins" in held(cloud.pid("higgins-controller"), passwords)


@pytest.mark.parametrize("agent", AGENTS)
def test_its_files_and_its_environment_hold_none(cloud: Cloud, passwords: dict[bytes, str], agent: str) -> None:
    engine = agent.rpartition("-")[2]
    config = cloud.place / "etc" / "higgins" / f"agent-{engine}.conf"
    state = [path for path in (cloud.place / "var" / "higgins" / engine).rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in (config, *state, pathlib.Path(f"/proc/{cloud.pid(agent)}/environ"))]
    assert len(texts) > 3
    assert {name for value, name in passwords.items() for text in texts if value in text} == set()
