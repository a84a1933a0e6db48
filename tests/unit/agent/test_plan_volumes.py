"""Golden plans for volumes of Cinder: mounted before a container needs them, let go of after the last of them is gone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from higgins.agent.journal import Journal
from higgins.agent.report import phase_of
from higgins.core.model import Assignment, Mount, VolumeGrant
from higgins.core.phase import Desired, EngineState, Phase
from tests.host.plans import SPEC, facts, have, printed, want

GRANT = VolumeGrant(uuid="made", name="v1", driver="cinder", connection='{"auth_password": "canary"}')
MOUNTING = dataclasses.replace(SPEC, mounts=(Mount(destination="/d", driver="cinder", volume="made", size_gib=1),))
ATTACHED = {"held": frozenset({"v1"}), "attached": frozenset({"v1"})}


def mounting(**changes: object) -> Assignment:
    return want(MOUNTING, volumes=(GRANT,), **changes)


def test_it_is_mounted_before_the_container_is_made() -> None:
    assert (
        printed(mounting(), have())
        == """\
attach v1: not on this host yet
create c1: no such container
start c1: run 1 was asked for"""
    )


def test_it_is_mounted_once() -> None:
    assert printed(mounting(), have(facts(EngineState.RUNNING), run=1, **ATTACHED)) == ""
    assert "attach" not in printed(mounting(), have(**ATTACHED))


def test_after_the_hosts_restart_it_is_mounted_before_the_container_starts_again() -> None:
    stopped = facts(EngineState.STOPPED)
    assert printed(mounting(run=2), have(stopped, run=1)).splitlines() == [
        "attach v1: not on this host yet",
        "start c1: run 2 was asked for",
    ]
    lost = {"held": frozenset({"v1"})}
    assert printed(mounting(run=2), have(stopped, run=1, **lost)).startswith("attach v1: its mount is gone\n")


def test_a_container_that_stays_ended_needs_none() -> None:
    assert printed(mounting(desired=Desired.STOPPED), have(facts(EngineState.STOPPED), run=1)) == ""


def test_it_is_let_go_of_after_the_container_is_gone() -> None:
    deleted = mounting(desired=Desired.DELETED)
    assert (
        printed(deleted, have(facts(EngineState.RUNNING), run=1, **ATTACHED))
        == """\
stop c1: the user deleted it
remove c1: the user deleted it
detach v1: the user deleted it"""
    )
    left = have(held=frozenset({"v1"}))
    assert printed(deleted, left) == "detach v1: the user deleted it"
    assert phase_of(deleted, left) is not Phase.GONE
    assert phase_of(deleted, have()) is Phase.GONE


def test_a_rebuild_leaves_it_where_it_is() -> None:
    steps = printed(mounting(build=2, run=2), have(facts(EngineState.RUNNING), run=1, **ATTACHED))
    assert "create c1" in steps
    assert "tach v1" not in steps


def test_the_journal_keeps_no_connection(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.keep([mounting()])
    journal.close()
    [again] = Journal(tmp_path / "journal").assignments()
    assert again.volumes == (dataclasses.replace(GRANT, connection=None),)
    assert not [file for file in tmp_path.iterdir() if b"canary" in file.read_bytes()]
