"""Rows of pods: scopes, names, pages, sealed parts, and the guard of a wish."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib

import pytest

from higgins.core import errors, model
from higgins.core.caller import Scope
from higgins.core.phase import Desired, Phase, Wish
from higgins.store import claims, pods, seal
from higgins.store.loops import scheduling
from higgins.store.page import Page
from tests.contract.store_rows import EVERYBODY, Rows, status


def _placed(rows: Rows, pod: pods.Pod, host_id: int) -> pods.Pod:
    with rows.db.write() as tx:
        scheduling.place(tx, [scheduling.Placement(pod, host_id)], claims.Ratios(), heard_after=pod.created_at.min)
    return rows.again(pod)


def test_a_row_is_read_as_it_was_made(rows: Rows) -> None:
    made = rows.pod("web")
    assert rows.again(made) == made
    with rows.db.read() as tx:
        assert pods.get(tx, "web", Scope("project")) == made


def test_secrets_come_back_whole_and_stand_nowhere_readable(rows: Rows, tmp_path: pathlib.Path) -> None:
    mounts = (model.Mount(destination="/etc/key", kind="file", content=b"canary-file\x00\xff", read_only=True),)
    pod = rows.pod("web", container={"mounts": mounts, "labels": {"plain": "seen"}})
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("higgins.db*"))
    assert b"canary" not in on_disk
    assert b"seen" in on_disk
    assert rows.again(pod).spec.containers[0].environment == {}
    opened = pods.open_spec(rows.again(pod), rows.sealer).containers[0]
    assert opened.environment == {"PASSWORD": "canary-env"}
    assert opened.mounts == mounts
    assert pods.open_environments(pod, rows.sealer) == {pod.uuid: {"PASSWORD": "canary-env"}}


def test_a_sealed_part_moved_to_another_row_does_not_open(rows: Rows) -> None:
    one, other = rows.pod("one"), rows.pod("other")
    with pytest.raises(errors.NotReady, match="damaged"):
        pods.open_spec(one._replace(sealed=other.sealed), rows.sealer)
    with pytest.raises(errors.NotReady, match="another key"):
        pods.open_spec(one, seal.Sealer(b"k" * 32))


def test_another_projects_pod_is_not_there(rows: Rows) -> None:
    pod = rows.pod("web")
    stranger = Scope("stranger")
    with rows.db.read() as tx:
        for ident in (pod.uuid, "web"):
            with pytest.raises(errors.NotFound):
                pods.get(tx, ident, stranger)
        with pytest.raises(errors.NotFound):
            pods.get(tx, pod.uuid, Scope("project"), kind="capsule")
        assert pods.list(tx, stranger) == []
        with pytest.raises(errors.NotFound, match="marker"):
            pods.list(tx, stranger, page=Page(marker=pod.uuid))


def test_a_name_of_several_needs_the_uuid(rows: Rows) -> None:
    rows.pod("web")
    second = rows.pod("web")
    with rows.db.read() as tx:
        with pytest.raises(errors.Conflict, match="uuid"):
            pods.get(tx, "web", Scope("project"))
        assert pods.get(tx, second.uuid, Scope("project")) == second


def test_a_unique_name_is_refused_and_leaves_nothing(rows: Rows) -> None:
    rows.pod("web", unique_name="project/web")
    with pytest.raises(errors.NameTaken, match="web"):
        rows.pod("web", unique_name="project/web")
    other = rows.pod("other", unique_name="project/other")
    with pytest.raises(errors.NameTaken, match="web"):
        rows.wish(other, Wish.UPDATE, name="web", unique_name="project/web")
    assert rows.usage().containers == 2
    assert rows.again(other) == other


@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("sort_key", ["id", "name", "host", "updated_at", "memory_mib", "phase"])
def test_pages_together_are_the_whole_list(rows: Rows, sort_key: str, sort_dir: str) -> None:
    host_id = rows.host()
    for number in range(9):
        pod = rows.pod(f"pod-{number % 4}", memory_mib=number % 3)
        if number % 3 == 0:
            _placed(rows, pod, host_id)
        if number % 2:
            rows.wish(pod, Wish.UPDATE)
    whole, marker = [], None
    with rows.db.read() as tx:
        while page := pods.list(tx, EVERYBODY, page=Page(marker=marker, limit=2, sort_key=sort_key, sort_dir=sort_dir)):
            whole += page
            marker = page[-1].uuid
        at_once = pods.list(tx, EVERYBODY, page=Page(sort_key=sort_key, sort_dir=sort_dir))
    assert [pod.uuid for pod in whole] == [pod.uuid for pod in at_once]
    assert len({pod.uuid for pod in whole}) == 9
    field = "hostname" if sort_key == "host" else sort_key
    order = [(value is not None, value) for value in (getattr(pod, field) for pod in whole)]
    assert order == sorted(order, reverse=sort_dir == "desc")


def test_lists_refuse_what_the_table_does_not_have(rows: Rows) -> None:
    with rows.db.read() as tx:
        with pytest.raises(errors.Invalid, match="sort") as caught:
            pods.list(tx, EVERYBODY, page=Page(sort_key="spec"))
        assert caught.value.code == "invalid-parameter-value"
        with pytest.raises(errors.Invalid, match="filter"):
            pods.list(tx, EVERYBODY, filters={"spec": "x"})


def test_filters_by_host_and_by_several_values(rows: Rows) -> None:
    host_id = rows.host()
    placed = _placed(rows, rows.pod("a"), host_id)
    rows.pod("b")
    rows.pod("c")
    with rows.db.read() as tx:
        assert [pod.uuid for pod in pods.list(tx, EVERYBODY, filters={"host": "host1"})] == [placed.uuid]
        named = pods.list(tx, EVERYBODY, filters={"name": ("a", "c")})
        assert [pod.name for pod in named] == ["a", "c"]
        assert [pod.name for pod in pods.list(tx, EVERYBODY, filters={"host": None})] == ["b", "c"]


def test_a_wish_raises_generation_and_the_hosts_version(rows: Rows) -> None:
    host_id = rows.host()
    pod = _placed(rows, rows.pod("web"), host_id)
    version = rows.host_row().version
    changed = rows.wish(pod, Wish.REBUILD, desired=Desired.RUNNING, new_run=True, new_build=True)
    now = rows.again(pod)
    assert (now.generation, now.run, now.build, now.wish) == (2, 2, 2, Wish.REBUILD)
    assert rows.host_row().version == now.host_version == version + 1
    assert changed._replace(host_version=now.host_version) == now


def test_a_wish_on_an_old_reading_is_refused_and_changes_nothing(rows: Rows) -> None:
    host_id = rows.host()
    read = _placed(rows, rows.pod("web"), host_id)
    rows.wish(read, Wish.STOP, desired=Desired.STOPPED)
    before = (rows.again(read), rows.host_row().version)
    with pytest.raises(errors.Conflict, match="same moment"), rows.db.write() as tx:
        pods.change(tx, read, wish=Wish.PAUSE, request_id="req", desired=Desired.PAUSED)
    assert (rows.again(read), rows.host_row().version) == before


def test_a_wish_on_a_pod_that_got_its_host_meanwhile_is_refused(rows: Rows) -> None:
    host_id = rows.host()
    read = rows.pod("web")
    _placed(rows, read, host_id)
    with pytest.raises(errors.Conflict), rows.db.write() as tx:
        pods.change(tx, read, wish=Wish.STOP, request_id="req", desired=Desired.STOPPED)


def test_racing_wishes_all_count_once(rows: Rows) -> None:
    pod = rows.pod("web")
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(_wish_until_taken, [rows] * 8, [pod] * 8))
    now = rows.again(pod)
    assert (now.generation, now.run) == (9, 9)
    assert sorted(action.generation or 0 for action in rows.actions(pod)) == list(range(1, 10))


def _wish_until_taken(rows: Rows, pod: pods.Pod) -> None:
    while True:
        try:
            rows.wish(pod, Wish.REBOOT, new_run=True)
        except errors.Conflict:
            continue
        return


def test_a_new_size_moves_the_claim_and_stops_at_the_hosts_room(rows: Rows) -> None:
    host_id = rows.host(memory_mib=1000)
    pod = _placed(rows, rows.pod("web", memory_mib=600), host_id)
    ratios = claims.Ratios(memory=1.5)
    assert rows.host_row().memory_mib_claimed == 600
    rows.wish(pod, Wish.UPDATE, memory_mib=1500, ratios=ratios)
    assert rows.host_row().memory_mib_claimed == 1500
    with pytest.raises(errors.OutOfCapacity, match="host has no room"):
        rows.wish(pod, Wish.UPDATE, memory_mib=1501, ratios=ratios)
    assert rows.host_row().memory_mib_claimed == rows.again(pod).memory_mib == 1500
    rows.wish(pod, Wish.UPDATE, memory_mib=100, ratios=ratios)
    assert rows.host_row().memory_mib_claimed == 100


def test_a_status_is_read_as_it_was_reported(rows: Rows) -> None:
    host_id = rows.host()
    pod = _placed(rows, rows.pod("web"), host_id)
    told = dataclasses.replace(status(Phase.RUNNING, 1), addresses=(model.Address(network="n", addr="10.0.0.2"),))
    assert rows.report(host_id, 1, (pod, told))
    assert rows.again(pod).status == told
    assert rows.again(pod).phase is Phase.RUNNING
