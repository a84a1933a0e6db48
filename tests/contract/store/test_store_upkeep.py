"""The plain records, the audit that counts again, and history that ends."""

from __future__ import annotations

import datetime

import pytest
import sqlalchemy as sa

from higgins.core import errors
from higgins.core.caller import Scope
from higgins.core.phase import Phase
from higgins.store import actions, claims, pods
from higgins.store.loops import ledger, provisioning, scheduling
from higgins.store.loops.holds import Holder
from higgins.store.records import idempotency, networks, registries, volumes
from higgins.store.session import Database
from higgins.store.upkeep import audit, housekeeping
from tests.contract.store_rows import EVERYBODY, Rows, status


def _placed(rows: Rows, pod: pods.Pod, host_id: int) -> pods.Pod:
    with rows.db.write() as tx:
        scheduling.place(tx, [scheduling.Placement(pod, host_id)], claims.Ratios(), heard_after=pod.created_at.min)
    return rows.again(pod)


def test_an_idempotency_key_makes_one_thing(rows: Rows) -> None:
    with rows.db.write() as tx:
        assert idempotency.claim(tx, "project", "key", "hash", "pod-1") == "pod-1"
        assert idempotency.claim(tx, "project", "key", "hash", "pod-2") == "pod-1"
        assert idempotency.claim(tx, "other", "key", "hash", "pod-3") == "pod-3"
        with pytest.raises(errors.Conflict) as caught:
            idempotency.claim(tx, "project", "key", "another", "pod-4")
        assert caught.value.code == "idempotency-key-in-use"
        assert idempotency.purge(tx, tx.now + datetime.timedelta(seconds=1)) == 2
        assert idempotency.claim(tx, "project", "key", "another", "pod-4") == "pod-4"


def test_registries_keep_passwords_sealed(rows: Rows) -> None:
    with rows.db.write() as tx:
        made = registries.insert(
            tx, project_id="project", user_id="u", domain="r", sealer=rows.sealer, name="mine", password="canary"
        )
        assert b"canary" not in (made.password or b"")
        assert registries.get(tx, "mine", Scope("project")) == made
        with pytest.raises(errors.NotFound):
            registries.get(tx, made.uuid, Scope("stranger"))
        changed = registries.update(tx, made, {"username": "me", "password": "other"}, rows.sealer)
        assert (changed.domain, registries.login(changed, rows.sealer).password) == ("r", "other")
        assert registries.list(tx, EVERYBODY, filters={"domain": "r"}) == [changed]
        registries.delete(tx, changed)
        assert registries.list(tx, EVERYBODY) == []


def test_a_network_is_known_once(rows: Rows) -> None:
    given = {"project_id": "p", "user_id": "u", "name": "n", "network_id": "i", "neutron_net_id": "nid"}
    with rows.db.write() as tx:
        network = networks.insert(tx, **given)
        assert networks.list(tx, Scope("p")) == [network]
        assert networks.list(tx, Scope("other")) == []
    with rows.db.write() as tx, pytest.raises(errors.Conflict, match="known already"):
        networks.insert(tx, **given)
    with rows.db.write() as tx:
        networks.delete(tx, network)
        with pytest.raises(errors.NotFound):
            networks.get(tx, "nid", EVERYBODY)


def test_a_volume_never_moves(rows: Rows) -> None:
    first, second = rows.host("host1"), rows.host("host2")
    with rows.db.write() as tx:
        volume = volumes.insert(tx, project_id="project", name="data")
        assert volumes.bind(tx, volume.uuid, first)
        assert volumes.bind(tx, volume.uuid, first)
        assert not volumes.bind(tx, volume.uuid, second)
        assert volumes.of(tx, [volume.uuid])[volume.uuid].host_id == first
    with rows.db.write() as tx, pytest.raises(errors.NameTaken):
        volumes.insert(tx, project_id="project", name="data")


def test_an_action_is_started_once_a_request(rows: Rows) -> None:
    pod = rows.pod("web")
    with rows.db.write() as tx, pytest.raises(errors.Conflict, match="request id"):
        actions.start(tx, pod.uuid, "project", "user", str(pod.request_id), "stop", 2)
    with rows.db.write() as tx:
        actions.start(tx, pod.uuid, "project", "user", "req-live", "exec", None)
        actions.finish(tx, pod.uuid, "req-live", error="It does not run.")
        actions.finish(tx, pod.uuid, "req-live")
        live = actions.get(tx, pod.uuid, "req-live", Scope("project"))
        assert (live.message, live.reason) == ("Error", "It does not run.")
        with pytest.raises(errors.NotFound):
            actions.get(tx, pod.uuid, "req-live", Scope("stranger"))


def test_the_audit_counts_again_and_repairs(rows: Rows) -> None:
    host_id = rows.host()
    _placed(rows, rows.pod("web"), host_id)
    rows.pod("other", project_id="second")
    with rows.db.read() as tx:
        assert audit.findings(tx) == []
    usage, host = rows.usage(), rows.host_row()
    with rows.db.write() as tx:
        for sql in (
            "UPDATE usages SET containers = 7, memory_mib = 1 WHERE project_id = 'project'",
            "DELETE FROM usages WHERE project_id = 'second'",
            "UPDATE hosts SET cpu_milli_claimed = 1, pods_claimed = 3, dedicated_cpus_claimed = 2",
        ):
            tx.change(sa.text(sql))
        volumes.insert(tx, project_id="project", pod_uuid="gone")
        actions.start(tx, "gone", "project", "user", "req", "stop", 2)
        ledger.ask(tx, "gone", [ledger.Asked(kind="port", key="net")], host_id=host_id)
    with rows.db.write() as tx:
        found = audit.findings(tx)
        assert sorted((one.kind, one.repairable) for one in found) == [
            ("action", True), ("claim", True), ("ledger", False), ("usage", True), ("usage", True), ("volume", True),
        ]  # fmt: skip
        [claim] = [one.text for one in found if one.kind == "claim"]
        assert "3 containers, 0.001 processors, 512 MiB, 0 GiB, 2 processors dedicated are kept" in claim
        assert audit.repair(tx) == 5
    with rows.db.read() as tx:
        assert [one.kind for one in audit.findings(tx)] == ["ledger"]
    assert (rows.usage(), rows.usage("second").containers) == (usage, 1)
    assert rows.host_row().cpu_milli_claimed == host.cpu_milli_claimed
    assert rows.host_row().dedicated_cpus_claimed == 0


def test_the_audit_names_what_stands_still(rows: Rows) -> None:
    host_id = rows.host()
    stuck = _placed(rows, rows.pod("stuck"), host_id)
    settled = _placed(rows, rows.pod("settled"), host_id)
    rows.report(host_id, 1, (settled, status(Phase.RUNNING, 1)))
    refused = rows.pod("refused")
    with rows.db.write() as tx:
        scheduling.give_up(tx, refused, "No host.", Holder())
        ledger.ask(tx, settled.uuid, [ledger.Asked(kind="port", key="net")], host_id=host_id)
    with rows.db.read() as tx:
        assert audit.findings(tx, stuck_after_s=3600) == []
        found = audit.findings(tx, stuck_after_s=-1)
    assert [(one.kind, one.ident) for one in found] == [
        ("stuck", stuck.uuid), ("action", stuck.uuid), ("ledger", settled.uuid),
    ]  # fmt: skip
    assert "host1" in found[0].text


def test_the_audit_names_an_open_action_of_a_settled_pod(rows: Rows) -> None:
    host_id = rows.host()
    pod = _placed(rows, rows.pod("web"), host_id)
    rows.report(host_id, 1, (pod, status(Phase.RUNNING, 1)))
    with rows.db.write() as tx:
        actions.start(tx, pod.uuid, "project", "user", "req-lost", "commit", generation=None)
    with rows.db.read() as tx:
        assert audit.findings(tx, stuck_after_s=3600) == []
        [found] = audit.findings(tx, stuck_after_s=-1)
    assert (found.kind, found.ident, found.repairable) == ("action", pod.uuid, False)
    assert "commit (req-lost)" in found.text


def test_history_ends_and_what_is_open_stays(rows: Rows) -> None:
    done, still = rows.pod("done"), rows.pod("still")
    with rows.db.write() as tx:
        actions.finish_wishes(tx, done.uuid, 1)
        assert housekeeping.purge_history(tx, tx.now - datetime.timedelta(days=1)) == 0
        assert housekeeping.purge_history(tx, tx.now + datetime.timedelta(days=1)) == 1
        assert housekeeping.purge_history(tx, tx.now + datetime.timedelta(days=1)) == 0
    assert (len(rows.actions(done)), len(rows.actions(still))) == (0, 1)


def test_a_question_that_nobody_waits_for_any_more_ends_as_an_error(rows: Rows, db: Database) -> None:
    pod = rows.pod("web")
    with db.write() as tx:
        actions.start(tx, pod.uuid, "project", "user", "req-commit", "commit", generation=None)
        assert housekeeping.end_questions(tx, tx.now - datetime.timedelta(minutes=5)) == 0
        assert housekeeping.end_questions(tx, tx.now + datetime.timedelta(minutes=5)) == 1
    commit, create = rows.actions(pod)
    assert (commit.action, commit.message) == ("commit", "Error")
    assert "before asking again" in str(commit.reason)
    assert create.finished_at is None


def test_a_silent_host_is_named_at_what_waits_for_it_until_it_answers(rows: Rows, db: Database) -> None:
    host_id = rows.host()
    waits, settled = (_placed(rows, rows.pod(name), host_id) for name in ("waits", "settled"))
    rows.report(host_id, 1, (settled, status(Phase.RUNNING, 1)))
    future = db.now() + datetime.timedelta(hours=1)
    with db.write() as tx:
        assert housekeeping.explain_silence(tx, heard_after=future) == 1
        assert housekeeping.explain_silence(tx, heard_after=future) == 0
    assert "host does not answer" in str(rows.again(waits).schedule_reason)
    assert rows.again(settled).schedule_reason is None
    with db.write() as tx:
        assert housekeeping.explain_silence(tx, heard_after=db.now() - datetime.timedelta(hours=1)) == 1
    assert rows.again(waits).schedule_reason is None


def test_a_row_does_not_go_while_the_ledger_has_something_of_it(rows: Rows) -> None:
    host_id = rows.host()
    pod = _placed(rows, rows.pod("web"), host_id)
    with rows.db.write() as tx:
        ledger.ask(tx, pod.uuid, [ledger.Asked(kind="port", key="net")], host_id=host_id)
    rows.delete(pod)
    rows.report(host_id, 1, (pod, status(Phase.GONE, 2)))
    before = (rows.usage(), rows.host_row().pods_claimed)
    with rows.db.read() as tx:
        [over] = provisioning.over(tx, Holder())
    assert over.has_outside
    with pytest.raises(errors.Conflict), rows.db.write() as tx:
        provisioning.remove(tx, over.pod)
    assert (rows.usage(), rows.host_row().pods_claimed) == before
    with rows.db.write() as tx:
        ledger.strike(tx, pod.uuid, [("port", "net")])
        provisioning.remove(tx, over.pod)
    assert not rows.exists(pod)
