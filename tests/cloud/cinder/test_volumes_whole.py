"""Volumes of Cinder through Higgins' own API on real engines: a container writes, the next one reads; a size comes and goes with its container."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cloud.cloud_world import PATIENT, Api, People, until

pytestmark = pytest.mark.usefixtures("nothing_left")

WRITES = ["sh", "-c", "echo kept >> /data/note; echo written; trap exit TERM; sleep 1000 & wait"]


@pytest.fixture(params=["node1", "node1-docker"])
def host(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture
def volume(people: People) -> Any:
    """A blank volume of the project; gone afterwards."""
    storage = people.connection("admin").block_storage
    made = storage.create_volume(size=1, name=f"{people.name}-data")
    yield until("the volume", lambda: (now := storage.get_volume(made.id)).status == "available" and now)
    storage.delete_volume(made)
    until("the volume to be gone", lambda: storage.find_volume(made.id) is None)


def said(api: Api, uuid: str, command: str) -> str:
    """What a command writes inside a container."""
    answer = api("POST", f"/containers/{uuid}/execute", command=command, run="true", interactive="false")
    assert answer.status == 200, answer.body
    assert answer.body["exit_code"] == 0, answer.body
    return str(answer.body["output"])


def logged(api: Api, uuid: str) -> str:
    """What the container itself has written."""
    answer = api("GET", f"/containers/{uuid}/logs")
    assert answer.status == 200, answer.body
    return str(answer.body)


def test_written_by_one_read_by_the_next(people: People, volume: Any, host: str) -> None:
    api, storage = people.api("admin"), people.connection("admin").block_storage
    mounts = [{"source": volume.name, "destination": "/data"}]
    with api.container(host=host, command=WRITES, mounts=mounts) as first:
        until("its line", lambda: "written" in logged(api, first["uuid"]))
        assert said(api, first["uuid"], "cat /data/note") == "kept\n"
        assert [one["server_id"] for one in storage.get_volume(volume.id).attachments] == [first["uuid"]]
        refused = api(
            "POST", "/containers", {"image": "busybox", "mounts": [{"source": volume.id, "destination": "/d"}]}
        )
        assert (refused.status, refused.body["errors"][0]["code"]) == (400, "container.volume-in-use")
        api("POST", f"/containers/{first['uuid']}/reboot", timeout="2")
        api.wait(first["uuid"], "Running")
        until("a second line", lambda: said(api, first["uuid"], "cat /data/note") == "kept\nkept\n")
    assert storage.get_volume(volume.id).status == "available"
    with api.container(host=host, command=PATIENT, mounts=[{"source": volume.id, "destination": "/data"}]) as second:
        assert said(api, second["uuid"], "cat /data/note") == "kept\nkept\n"


def test_a_size_comes_and_goes_with_its_container(people: People, host: str) -> None:
    api, storage = people.api("admin"), people.connection("admin").block_storage
    with api.container(host=host, command=WRITES, mounts=[{"size": "1", "destination": "/data"}]) as made:
        until("its line", lambda: "written" in logged(api, made["uuid"]))
        assert said(api, made["uuid"], "cat /data/note") == "kept\n"
        [own] = storage.volumes()
        assert (own.size, own.status) == (1, "in-use")
    assert list(storage.volumes()) == []
