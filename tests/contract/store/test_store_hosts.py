"""What hosts are handed and what is taken of their reports: in order, once, and only for their own pods."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from higgins.core import errors, model
from higgins.core.caller import Scope
from higgins.core.phase import Desired, Phase, Wish
from higgins.store import claims, hosts, pods, tables
from higgins.store.agents import assignments, reports
from higgins.store.agents.desk import Desk
from higgins.store.loops import provisioning, scheduling
from higgins.store.loops.holds import Holder
from higgins.store.records import events, images, registries, volumes
from higgins.store.upkeep import audit
from higgins.wire import contract
from tests.contract.store_rows import EVERYBODY, Counter, Rows, status


def place(rows: Rows, pod: pods.Pod, host_id: int) -> pods.Pod:
    with rows.db.write() as tx:
        scheduling.place(tx, [scheduling.Placement(pod, host_id)], claims.Ratios(), heard_after=pod.created_at.min)
    return rows.again(pod)


def provision(rows: Rows) -> None:
    with rows.db.write() as tx:
        provisioning.done(tx, [one.pod for one in provisioning.due(tx, Holder())], Holder())


def told(rows: Rows, host_id: int, since: int = 0) -> assignments.HostAssignments:
    with rows.db.read() as tx:
        return assignments.of_host(tx, host_id, since, rows.sealer)


def step(pod: pods.Pod, key: str, result: str = "", detail: str = "") -> model.StepEvent:
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    return model.StepEvent(
        key=key, pod=pod.uuid, request_id=None, verb="pull", target="nginx", why="is missing", started_at=now,
        finished_at=now if result else None, result="Success" if result else "", detail=detail,
    )  # fmt: skip


def steps_of(rows: Rows, pod: pods.Pod) -> list[tuple[str, str, str]]:
    with rows.db.read() as tx:
        return [(event.key, event.result, event.detail) for event in events.list(tx, pod.uuid)]


def test_a_pod_is_handed_out_whole_once_it_is_provisioned(rows: Rows) -> None:
    host_id = rows.host()
    with rows.db.write() as tx:
        registry = registries.insert(
            tx, project_id="project", user_id="user", domain="r.example", sealer=rows.sealer, username="u", password="p"
        )
        volume = volumes.insert(tx, project_id="project", name="data")
    mounts = (
        model.Mount(destination="/data", volume=volume.uuid),
        model.Mount(destination="/f", kind="file", content=b"x"),
    )
    place(rows, rows.pod("web", container={"mounts": mounts, "registry": registry.uuid}), host_id)
    before = told(rows, host_id)
    assert (before.pods, before.held, before.full) == ((), (), True)
    assert told(rows, host_id, since=before.revision).pods == ()

    provision(rows)
    after = told(rows, host_id, since=before.revision)
    assert (after.full, after.held) == (False, ())
    [given] = after.pods
    assert given.spec.containers[0].environment == {"PASSWORD": "canary-env"}
    assert given.spec.containers[0].mounts == mounts
    assert given.registries == {registry.uuid: model.RegistryLogin(domain="r.example", username="u", password="p")}
    assert given.volumes == (model.VolumeGrant(uuid=volume.uuid, name=f"higgins-{volume.uuid}"),)
    assert (given.generation, given.run, given.build, given.desired) == (1, 1, 1, Desired.RUNNING)
    assert told(rows, host_id, since=after.revision).pods == ()


def test_only_what_changed_is_handed_out(rows: Rows) -> None:
    host_id = rows.host()
    first, second = (place(rows, rows.pod(name), host_id) for name in ("first", "second"))
    provision(rows)
    revision = told(rows, host_id).revision
    rows.wish(first, Wish.STOP, desired=Desired.STOPPED)
    assert told(rows, host_id, revision).pods == ()
    assert told(rows, host_id).held == (first.uuid,)
    provision(rows)
    assert [pod.uuid for pod in told(rows, host_id, revision).pods] == [first.uuid]
    assert [pod.uuid for pod in told(rows, host_id).pods] == [first.uuid, second.uuid]


def test_a_delete_is_handed_out_without_provisioning_until_its_row_is_gone(rows: Rows) -> None:
    host_id = rows.host()
    pod = place(rows, rows.pod("web"), host_id)
    rows.delete(pod)
    assert [one.desired for one in told(rows, host_id).pods] == [Desired.DELETED]
    assert rows.report(host_id, 1, (pod, status(Phase.GONE, 2)))
    assert told(rows, host_id).pods == ()


def test_a_report_takes_away_what_is_gone_and_has_nothing_outside(rows: Rows, counter: Counter) -> None:
    host_id, other = rows.host(), rows.host("host2")
    leaving, staying, ended = (place(rows, rows.pod(name), host_id) for name in ("leaving", "staying", "ended"))
    elsewhere = place(rows, rows.pod("elsewhere"), other)
    outside = place(rows, rows.pod("outside"), host_id)
    with rows.db.write() as tx:
        tx.change(tables.ledger.insert().values(pod_uuid=outside.uuid, kind="port", key="net", asked_at=tx.now))
    for pod in (leaving, elsewhere, outside):
        rows.delete(pod)
    gone = status(Phase.GONE, 2)
    counter.reset()
    assert rows.report(host_id, 1, (leaving, gone), events=(step(leaving, "1", "Success"),)) == reports.Taken(False)
    assert (len(counter.statements), counter.commits) == (5, 1)
    assert not rows.exists(leaving)
    assert [(one.action, one.message, one.finished_at is None) for one in rows.actions(leaving)] == [
        ("delete", None, False), ("create", None, False),
    ]  # fmt: skip
    assert steps_of(rows, leaving) == [("1", "Success", "")]
    assert (rows.usage().containers, rows.host_row().pods_claimed) == (4, 3)

    every = [(pod, gone) for pod in (leaving, ended, elsewhere, outside)]
    assert rows.report(host_id, 2, *every) == reports.Taken(True)
    assert rows.report(host_id, 2, (staying, gone)) is None
    assert all(map(rows.exists, (staying, ended, elsewhere, outside)))
    assert rows.again(ended).phase is rows.again(outside).phase is Phase.GONE
    assert rows.again(elsewhere).phase is None
    with rows.db.read() as tx:
        assert audit.findings(tx) == []


def test_what_provisioning_failed_at_is_held_back(rows: Rows) -> None:
    host_id = rows.host()
    pod = place(rows, rows.pod("web"), host_id)
    provision(rows)
    revision = told(rows, host_id).revision
    changed = rows.wish(pod, Wish.NETWORK_ATTACH)
    with rows.db.write() as tx:
        provisioning.failed(tx, changed, "No port could be had.")
    assert told(rows, host_id, revision).pods == told(rows, host_id).pods == ()
    assert told(rows, host_id).held == (pod.uuid,)
    action = rows.actions(pod)[0]
    assert (action.message, action.reason) == ("Error", "No port could be had.")


def test_a_version_ahead_of_the_database_gives_everything(rows: Rows) -> None:
    host_id = rows.host()
    place(rows, rows.pod("web"), host_id)
    provision(rows)
    again = told(rows, host_id, since=99)
    assert again.full
    assert len(again.pods) == 1


def test_an_image_keeps_its_digest_until_it_is_rebuilt(rows: Rows) -> None:
    host_id = rows.host()
    pod = place(rows, rows.pod("web"), host_id)
    provision(rows)

    def reported(generation: int, digest: str, build: int) -> model.PodStatus:
        one = model.ContainerStatus(uuid=pod.uuid, image_digest=digest, build=build)
        return dataclasses.replace(status(Phase.RUNNING, generation), containers=(one,))

    rows.report(host_id, 1, (pod, reported(1, "sha256:a", 0)))
    assert told(rows, host_id).pods[0].digests == {"nginx:1": "sha256:a"}
    rows.wish(pod, Wish.REBUILD, new_build=True, new_run=True)
    provision(rows)
    assert told(rows, host_id).pods[0].digests == {}
    rows.report(host_id, 2, (pod, reported(2, "sha256:b", 2)))
    assert told(rows, host_id).pods[0].digests == {"nginx:1": "sha256:b"}


def test_a_late_report_is_dropped(rows: Rows) -> None:
    host_id = rows.host()
    pod = place(rows, rows.pod("web"), host_id)
    assert rows.report(host_id, 5, (pod, status(Phase.RUNNING, 1)))
    for number in (5, 4, 1):
        assert not rows.report(host_id, number, (pod, status(Phase.FAILED, 1)), events=(step(pod, "late"),))
    assert rows.again(pod).phase is Phase.RUNNING
    assert steps_of(rows, pod) == []
    assert rows.host_row().report_number == 5


def test_a_host_cannot_touch_another_hosts_pods(rows: Rows) -> None:
    mine, other = rows.host("host1"), rows.host("host2")
    pod, his = place(rows, rows.pod("mine"), mine), place(rows, rows.pod("his"), other)
    with rows.db.write() as tx:
        image = images.insert(tx, host_id=other, project_id="project", repo="nginx", tag="1")
    lies = (contract.ImageReport(uuid=image.uuid, generation=1, phase="ready"),)
    assert rows.report(
        mine, 1, (pod, status(Phase.RUNNING, 1)), (his, status(Phase.FAILED, 1)), events=(step(his, "k"),), images=lies
    )
    assert rows.again(pod).phase is Phase.RUNNING
    assert rows.again(his).phase is None
    assert steps_of(rows, his) == []
    assert [action.finished_at for action in rows.actions(his)] == [None]
    with rows.db.read() as tx:
        assert images.get(tx, image.uuid, EVERYBODY).phase is None


def test_a_step_is_stored_once_and_its_end_replaces_its_beginning(rows: Rows) -> None:
    host_id = rows.host()
    pod = place(rows, rows.pod("web"), host_id)
    rows.report(host_id, 1, events=(step(pod, "1", detail="10 %"), step(pod, "1", detail="20 %"), step(pod, "2")))
    rows.report(host_id, 2, events=(step(pod, "1", "Success", "done"),))
    assert steps_of(rows, pod) == [("1", "Success", "done"), ("2", "", "")]


def test_wishes_are_finished_by_what_the_host_has_dealt_with(rows: Rows) -> None:
    host_id = rows.host()
    pod = place(rows, rows.pod("web"), host_id)
    rows.wish(pod, Wish.STOP, desired=Desired.STOPPED)
    rows.wish(pod, Wish.START, desired=Desired.RUNNING, new_run=True)
    rows.report(host_id, 1, (pod, status(Phase.PREPARING, 0)))
    assert [action.finished_at for action in rows.actions(pod)] == [None] * 3
    rows.report(host_id, 2, (pod, status(Phase.STOPPED, 2)))
    start, stop, create = rows.actions(pod)
    assert (start.finished_at, stop.message, create.message) == (None, None, None)
    assert stop.finished_at is not None
    assert create.finished_at is not None
    rows.report(host_id, 3, (pod, status(Phase.FAILED, 3, reason="The image is not there.")))
    assert (rows.actions(pod)[0].message, rows.actions(pod)[0].reason) == ("Error", "The image is not there.")
    assert rows.actions(pod)[1].message is None


def test_images_are_wished_reported_and_wished_away(rows: Rows) -> None:
    host_id = rows.host()
    with rows.db.write() as tx:
        image = images.insert(tx, host_id=host_id, project_id="project", repo="nginx", tag="1")
        pinned = images.insert(tx, host_id=host_id, project_id="project", repo="redis", tag="sha256:0")
    first = told(rows, host_id)
    assert [wish.image for wish in first.images] == ["nginx:1", "redis@sha256:0"]
    assert told(rows, host_id, first.revision).images == ()
    ready = contract.ImageReport(uuid=image.uuid, generation=1, phase="ready", image_id="id", size_bytes=9)
    rows.report(host_id, 1, images=(ready,))
    with rows.db.write() as tx:
        assert images.get(tx, image.uuid, Scope("project")).size_bytes == 9
        images.unwant(tx, image)
    assert [(wish.uuid, wish.wanted) for wish in told(rows, host_id, first.revision).images] == [(image.uuid, False)]
    rows.report(host_id, 2, images=(contract.ImageReport(uuid=image.uuid, generation=2, phase="gone"),))
    with rows.db.read() as tx:
        assert [one.uuid for one in images.list(tx, EVERYBODY)] == [pinned.uuid]
    assert [wish.uuid for wish in told(rows, host_id).images] == [pinned.uuid]


def test_the_desk_knows_hosts_by_their_credential_alone(rows: Rows) -> None:
    host_id = rows.host()
    desk = Desk(rows.db, rows.sealer)
    with rows.db.read() as tx:
        known = hosts.by_credential(tx, "0" * 64)
    assert known is None
    assert desk.authenticate("0" * 64) is None
    assert desk.versions([host_id, 999]) == {host_id: 1}
    with pytest.raises(errors.Invalid, match="numbered"):
        desk.report(host_id, contract.Report(number=0))


def test_a_hosts_live_token_is_sealed_and_opens(rows: Rows) -> None:
    rows.host()
    host = rows.host_row()
    assert hosts.live(host, rows.sealer) == ("unix:/nowhere", "live token")
    assert b"live token" not in (host.live_token or b"")
    rows.host("silent", up=False)
    with pytest.raises(errors.Unavailable, match="has not come up yet"):
        hosts.live(rows.host_row("silent"), rows.sealer)


def test_a_host_with_something_on_it_is_not_forgotten(rows: Rows) -> None:
    host_id = rows.host()
    pod = place(rows, rows.pod("web"), host_id)
    with rows.db.write() as tx, pytest.raises(errors.Conflict, match="containers"):
        hosts.delete(tx, "host1")
    rows.delete(pod)
    rows.report(host_id, 1, (pod, status(Phase.GONE, 2)))
    with rows.db.write() as tx:
        hosts.delete(tx, "host1")
        assert hosts.list(tx) == []


def test_a_known_host_enrolled_again_gets_a_new_credential(rows: Rows) -> None:
    host_id = rows.host()
    with rows.db.write() as tx:
        uuid = hosts.enroll(tx, "host1", "f" * 64)
        assert hosts.by_credential(tx, "f" * 64) == (host_id, uuid, "f" * 64)
