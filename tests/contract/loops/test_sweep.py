"""The audit of the ledger itself, and the sweep: which of what a service has of ours goes without an operator, and when."""

from __future__ import annotations

import functools
import uuid

import pytest

from higgins.cmd import audit
from higgins.core import errors
from higgins.provision.audits import noted
from higgins.provision.audits.stray import Audit, Known, Stray, stray
from higgins.provision.audits.sweep import Sweep
from higgins.store import actions
from higgins.store.loops import ledger
from higgins.store.records import installation
from higgins.store.session import Database
from higgins.store.upkeep.audit import Finding
from higgins.wire.hints import LocalHints
from tests.contract.loops.test_provision_loop import Outside, entries, placed, provisioner
from tests.contract.store_rows import Rows


class Service:
    """Has things, each left by a pod, or lost by one; does not answer while it is ``away``."""

    def __init__(self) -> None:
        self.left: dict[str, str] = {}
        self.lost: list[str] = []
        self.away = False

    def strays(self, _known: Known) -> list[Stray]:
        if self.away:
            raise errors.Unavailable("Neutron is away.")
        left = [
            stray("port", one, "nothing needs it", functools.partial(self.left.__delitem__, one), left_by=pod)
            for one, pod in self.left.items()
        ]
        return left + [stray("port", one, "it is to be made anew", self.lost.clear) for one in self.lost]


@pytest.fixture
def service(db: Database, rows: Rows) -> Service:
    with db.write() as tx:
        installation.ensure(tx, rows.sealer)
    return Service()


@pytest.fixture
def sweep(db: Database, service: Service) -> Sweep:
    return Sweep(db, LocalHints(), [Audit("Neutron", (), service.strays)], every_s=3600)


@pytest.fixture
def remembered(db: Database) -> str:
    """A pod that was."""
    pod = str(uuid.uuid4())
    with db.write() as tx:
        actions.start(tx, pod, "project", "user", "req-1", "delete", 2)
        actions.finish(tx, pod, "req-1")
    return pod


def test_what_two_rounds_find_goes_and_what_comes_meanwhile_waits(
    service: Service, sweep: Sweep, remembered: str
) -> None:
    service.left["old"] = remembered
    sweep.run_once()
    service.left["new"] = remembered
    assert set(service.left) == {"old", "new"}
    sweep.run_once()
    assert set(service.left) == {"new"}


def test_what_was_needed_in_between_counts_as_new(service: Service, sweep: Sweep, remembered: str) -> None:
    for there in (True, False, True):
        service.left = {"port": remembered} if there else {}
        sweep.run_once()
    assert set(service.left) == {"port"}


def test_what_nobody_remembers_and_what_is_lost_is_left_to_an_operator(
    service: Service, sweep: Sweep, rows: Rows
) -> None:
    service.left |= {"of somebody": str(uuid.uuid4()), "of a living pod": rows.pod("web").uuid}
    service.lost = ["gone"]
    sweep.run_once()
    sweep.run_once()
    assert (set(service.left), service.lost) == ({"of somebody"}, ["gone"])


def test_a_service_that_is_away_is_passed_by(service: Service, sweep: Sweep, remembered: str) -> None:
    service.left["port"] = remembered
    for away in (False, True, False):
        service.away = away
        sweep.run_once()
    assert service.left == {}


@pytest.fixture
def look(db: Database, rows: Rows, service: Service) -> functools.partial[audit.Result]:
    ours = Audit("Ledger", [Outside()], functools.partial(noted.strays, db=db), whole_ledger=True)
    return functools.partial(audit.look, db, rows.sealer, [ours], stuck_after_s=900.0)


def of_ledger(result: audit.Result) -> list[Finding]:
    """Without the host, whose agent does not run."""
    return [one for one in result.findings if one.kind != "host"]


def test_what_is_not_noted_or_not_confirmed_is_asked_for_again(
    db: Database, rows: Rows, look: functools.partial[audit.Result]
) -> None:
    rows.host()
    pod, outside = placed(rows), Outside()
    loop = provisioner(db, outside)
    assert of_ledger(look(repair=True)) == [], "what is still to be made is no finding"
    loop.make_once()
    assert of_ledger(look(repair=False)) == []
    for spoil in (ledger.strike, functools.partial(ledger.doubt, forget=False)):
        with db.write() as tx:
            spoil(tx, pod.uuid, [("port", pod.uuid)])  # type: ignore[operator]
        [found] = of_ledger(look(repair=False))
        assert (found.kind, found.ident, found.repairable) == ("ledger", pod.uuid, True)
        assert of_ledger(look(repair=True)) == [found]
        loop.make_once()
        [entry] = entries(rows, pod)
        assert entry.made_at is not None
        assert of_ledger(look(repair=False)) == []


def test_what_is_noted_for_nobody_goes_where_nothing_is_outside(
    db: Database, rows: Rows, look: functools.partial[audit.Result]
) -> None:
    with db.write() as tx:
        ledger.ask(tx, "gone", [ledger.Asked(kind=kind, key="key") for kind in ("image", "port")], host_id=None)
    found = {one.text.split()[0]: one.repairable for one in of_ledger(look(repair=False))}
    assert found == {"image": True, "port": False}, "only the audit of its service can take a port back"
    look(repair=True)
    [left] = of_ledger(look(repair=False))
    assert left.text == "port key is noted for a pod that is gone"
