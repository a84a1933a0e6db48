"""A network that its host could not attach: what its action says, when it goes out of the wish, and that nothing else ever does."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from higgins.core.model import NetworkWish, PluggedPort, PodStatus
from higgins.core.phase import Phase, Wish
from higgins.provision.undo import Undo
from higgins.scheduler.loop import Scheduler
from higgins.store import actions, pods
from higgins.store.loops import ledger
from higgins.store.session import Database, Transaction
from higgins.wire.hints import LocalHints
from tests.contract.store_rows import EVERYBODY, Rows

REASON = "The bridge br-int is not there."
DONE, FAILED, OPEN = (True, None, None), (True, "Error", REASON), (False, None, None)


class Host:
    """A pod of Neutron, its host's word, and what provisioning has noted of ports: that of network ``net`` is ``port of net``."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.number = rows, 0
        self.host_id = rows.host()
        self.undo = Undo(rows.db, LocalHints(), rows.sealer)
        self.pod = rows.pod(container={}, **self._on("first"))
        Scheduler(rows.db, LocalHints()).run_once()
        self._made("first")
        self.report("first")

    def _on(self, network: str) -> dict[str, Any]:
        new = self.rows.new()
        spec = dataclasses.replace(new.spec, network_driver="neutron", networks=(NetworkWish(network=network),))
        return {"uuid": new.uuid, "spec": spec}

    def _made(self, network: str) -> None:
        asked = ledger.Asked(kind="port", key=network)
        answered = ledger.Answered(kind="port", key=network, shape="", external_id=f"port of {network}")
        with self.rows.db.write() as tx:
            ledger.ask(tx, self.pod.uuid, [asked], host_id=self.host_id)
            ledger.made(tx, self.pod.uuid, [answered], self.rows.sealer)

    def attach(self, network: str) -> None:
        now = self.rows.again(self.pod)
        spec = pods.open_spec(now, self.rows.sealer)
        wish = NetworkWish(network=network, generation=now.generation + 1)
        spec = dataclasses.replace(spec, networks=(*spec.networks, wish))
        self.rows.wish(self.pod, Wish.NETWORK_ATTACH, spec=spec, sealer=self.rows.sealer)
        self._made(network)

    def report(self, *plugged: str, refused: str = "", phase: Phase = Phase.RUNNING, **more: Any) -> None:
        """The newest wish is dealt with: failed where a network is refused."""
        self.number += 1
        now = self.rows.again(self.pod)
        if refused:
            more |= {"failed": True, "refused": (f"port of {refused}",), "reason": REASON}
        ports = tuple(PluggedPort(port=f"port of {network}", network=network) for network in plugged)
        status = PodStatus(phase=phase, observed_generation=now.generation, observed_run=now.run, ports=ports, **more)
        assert self.rows.report(self.host_id, self.number, (self.pod, status))

    def ends(self) -> dict[str, list[tuple[bool, str | None, str | None]]]:
        """Whether each action has ended, its message and its reason, by its name and in the order of the wishes."""
        with self.rows.db.read() as tx:
            found: dict[str, list[tuple[bool, str | None, str | None]]] = {}
            for one in reversed(actions.list(tx, self.pod.uuid, EVERYBODY)):
                found.setdefault(one.action, []).append((one.finished_at is not None, one.message, one.reason))
            return found

    def networks(self) -> list[str]:
        return [wish.network for wish in self.rows.again(self.pod).spec.networks]


@pytest.fixture
def host(rows: Rows) -> Host:
    return Host(rows)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.FAILED])
def test_an_attach_that_is_refused_ends_once_as_failed(host: Host, phase: Phase) -> None:
    host.attach("second")
    host.report("first", refused="second", phase=phase)
    assert host.ends()["network_attach"] == [OPEN]
    host.undo.run_once()
    assert (host.ends()["network_attach"], host.networks()) == ([FAILED], ["first"])
    host.report("first")
    host.undo.run_once()
    assert (host.ends()["network_attach"], host.networks()) == ([FAILED], ["first"])
    assert host.rows.again(host.pod).phase is Phase.RUNNING


def test_of_two_attached_at_once_only_the_refused_one_fails(host: Host) -> None:
    host.attach("second")
    host.attach("third")
    host.rows.wish(host.pod, Wish.UPDATE)
    host.report("first", refused="second")
    host.undo.run_once()
    assert (host.ends()["network_attach"], host.ends()["update"]) == ([FAILED, OPEN], [OPEN])
    host.report("first", "third")
    assert (host.ends()["network_attach"], host.ends()["update"]) == ([FAILED, DONE], [DONE])
    assert host.networks() == ["first", "third"]


def test_a_network_that_was_attached_stays_whatever_fails_later(host: Host) -> None:
    host.attach("second")
    host.report("first", "second")
    for phase in (Phase.FAILED, Phase.RUNNING):
        host.report(refused="second", phase=phase)
        host.report(phase=phase, reason="The container was removed from the engine by something else.")
        host.undo.run_once()
    assert (host.ends()["network_attach"], host.networks()) == ([DONE], ["first", "second"])


def test_a_healthy_network_that_is_refused_while_another_is_attached_stays(host: Host) -> None:
    host.attach("second")
    host.report(refused="first")
    host.undo.run_once()
    assert (host.ends()["network_attach"], host.networks()) == ([FAILED], ["first"])


def test_an_attach_whose_port_came_ends_as_done_though_another_port_is_lost(host: Host) -> None:
    host.attach("second")
    host.rows.wish(host.pod, Wish.UPDATE)
    host.report("second", refused="first")
    host.undo.run_once()
    assert (host.ends()["network_attach"], host.ends()["update"]) == ([DONE], [FAILED])
    assert host.networks() == ["first", "second"]


class Late(Database):
    """A database in which ``meanwhile`` happens between what is read and the first that is written."""

    meanwhile: Callable[[], None] | None = None

    @contextlib.contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Transaction]:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        with super().write(durable=durable) as tx:
            yield tx


def test_of_two_controllers_the_later_one_ends_nothing_that_goes_on(host: Host, url: str) -> None:
    host.attach("second")
    host.rows.wish(host.pod, Wish.UPDATE)
    host.report("first", refused="second")
    late = Late(url, durable=False)
    late.meanwhile = host.undo.run_once
    Undo(late, LocalHints(), host.rows.sealer).run_once()
    late.close()
    assert (late.meanwhile, host.networks()) == (None, ["first"])
    assert (host.ends()["network_attach"], host.ends()["update"]) == ([FAILED], [OPEN])


def test_a_refusal_is_judged_by_the_newest_wish(host: Host) -> None:
    host.attach("second")
    host.report("first", refused="second")
    host.rows.wish(host.pod, Wish.UPDATE)
    host.undo.run_once()
    assert (host.ends()["network_attach"], host.networks()) == ([OPEN], ["first", "second"])
    host.report("first", "second")
    assert host.ends() == {"create": [DONE], "network_attach": [DONE], "update": [DONE]}


def test_a_wish_that_fails_without_an_attach_ends_with_its_report(host: Host) -> None:
    host.rows.wish(host.pod, Wish.STOP)
    host.report("first", failed=True, reason=REASON)
    assert host.ends()["stop"] == [FAILED]
    host.rows.wish(host.pod, Wish.UPDATE)
    host.report(refused="first")
    assert host.ends()["update"] == [FAILED]
    assert host.rows.again(host.pod).phase is Phase.RUNNING


def test_what_is_said_partly_leaves_the_rest_as_it_was(host: Host, db: Database) -> None:
    host.rows.wish(host.pod, Wish.UPDATE)
    before = host.rows.again(host.pod)
    host.report(partial=True, phase=Phase.UNKNOWN, reason=REASON)
    after = host.rows.again(host.pod)
    assert (after.phase, after.reason) == (Phase.UNKNOWN, REASON)
    assert (after.status, after.observed_generation, after.observed_run) == (
        before.status,
        before.observed_generation,
        before.observed_run,
    )
    assert [one.port for one in after.status.ports if after.status] == ["port of first"]
    assert host.ends()["update"] == [OPEN]
