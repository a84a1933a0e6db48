"""What a pod lets go of at last: that one thing cannot be let go of keeps no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from higgins.agent.journal import Journal
from higgins.agent.loop import Loop, Timings
from higgins.agent.plan import Have, Step
from higgins.agent.queue import WorkQueue
from higgins.core import errors, model
from higgins.core.phase import Desired, Phase
from tests.host.plans import want


class Hands:
    """A host's observer and executor in one, and who is told; what is ``stuck`` cannot be let go of."""

    def __init__(self, *stuck: str) -> None:
        self.stuck = set(stuck)
        self.held, self.plugs, self.namespace = {"dead", "volume"}, {"port"}, True
        self.told: list[model.PodStatus] = []

    def have(self, _want: model.Assignment) -> Have:
        plugs = dict.fromkeys(self.plugs, True)
        return Have(held=frozenset(self.held), plugs=plugs, namespace=self.namespace)

    def do(self, step: Step, _want: model.Assignment, _progress: Any) -> None:
        if step.target in self.stuck:
            raise errors.Unavailable(f"{step.target} does not answer.")
        self.held.discard(step.target)
        self.plugs.discard(step.target)
        self.namespace = self.namespace and step.verb != "remove_network"

    def leave_pulls(self, _pod: str) -> None:
        """There are none."""

    def latest(self, _pod: str) -> model.PodStatus | None:
        return self.told[-1] if self.told else None

    def event(self, _event: model.StepEvent, *, now: bool = False) -> None:
        """Nobody asks."""

    def pod(self, _uuid: str, status: model.PodStatus) -> None:
        self.told.append(status)


def after_delete(tmp_path: Path, hands: Hands) -> Loop:
    told: Any = hands
    loop = Loop(told, told, Journal(tmp_path / "journal"), told, WorkQueue(), Timings())
    deleted = want(desired=Desired.DELETED)
    loop.assign([deleted], full=True)
    loop.engine_up()
    loop.look_after(deleted.uuid)
    return loop


def test_storage_that_is_gone_holds_neither_ports_nor_other_volumes(tmp_path: Path) -> None:
    hands = Hands("dead")
    loop = after_delete(tmp_path, hands)
    assert (hands.held, hands.plugs, hands.namespace) == ({"dead"}, set(), False)
    assert "dead does not answer." in hands.told[-1].reason
    assert hands.told[-1].phase is not Phase.GONE
    hands.stuck.clear()
    loop.look_after(loop.wants()[0].uuid)
    assert hands.told[-1].phase is Phase.GONE


def test_a_port_that_stays_holds_its_network_and_no_volume(tmp_path: Path) -> None:
    hands = Hands("port")
    after_delete(tmp_path, hands)
    assert (hands.held, hands.plugs, hands.namespace) == (set(), {"port"}, True)
    assert "port does not answer." in hands.told[-1].reason
