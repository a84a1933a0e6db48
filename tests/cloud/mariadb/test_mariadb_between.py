"""What others commit between two statements of a transaction: a real MariaDB at READ COMMITTED lets them, where SQLite has one writer."""

from __future__ import annotations

import pathlib
import uuid
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from higgins.cmd import manage
from higgins.control.means import Means
from higgins.control.requests import MountRequest, NewContainer
from higgins.control.service import Control, build
from higgins.control.settings import Settings
from higgins.core import errors
from higgins.core.caller import Caller, Scope
from higgins.policy.enforce import Policy
from higgins.store import hosts, pods
from higgins.store.records import images, installation, volumes
from higgins.store.seal import Sealer, load_or_create_key
from higgins.store.session import Busy, Database, Transaction
from higgins.store.upkeep import audit
from tests.contract.store.test_store_hosts import place
from tests.contract.store_rows import Rows


class Between:
    """Has somebody else act before each statement that is about to be sent, on a connection of his own."""

    def __init__(self) -> None:
        self.act: Callable[[str], object] = lambda sql: None
        self.times = 0

    def statement(self, sql: str) -> None:
        self.times += 1
        self.act(sql)

    def before(self, statement: str, work: Callable[[], object]) -> list[object]:
        """What this gives whenever a statement that begins so is about to be sent."""
        answers: list[object] = []
        self.act = lambda sql: answers.append(work()) if sql.startswith(statement) else None
        return answers

    def commit(self) -> None:
        """Nobody acts then."""


@pytest.fixture
def between() -> Between:
    return Between()


@pytest.fixture
def watched(url: str, between: Between) -> Iterator[Database]:
    database = Database(url, observer=between)
    yield database
    database.close()


@pytest.fixture
def others(url: str, sealer: Sealer) -> Iterator[Rows]:
    """Somebody who does not wait for long."""
    database = Database(url, busy_timeout_s=1)
    yield Rows(database, sealer)
    database.close()


def test_an_audit_repairs_while_containers_are_made_and_placed(
    rows: Rows, watched: Database, between: Between, others: Rows
) -> None:
    host_id = rows.host()
    waiting = [rows.pod(f"waiting-{number}", project_id="third") for number in range(8)]
    rows.pod("uncounted", project_id="second")
    with rows.db.write() as tx:
        tx.change(sa.text("UPDATE usages SET containers = 9 WHERE project_id = 'third'"))
        tx.change(sa.text("DELETE FROM usages WHERE project_id = 'second'"))
        tx.change(sa.text("UPDATE hosts SET pods_claimed = 7"))
    busy: set[str] = set()

    def act(who: str, work: Callable[[], object]) -> None:
        try:
            if who not in busy:
                work()
        except Busy:
            busy.add(who)

    def everybody(_sql: str) -> None:
        others.pod(f"new-{between.times}", project_id=f"project-{between.times}")
        act("third", lambda: others.pod(f"more-{between.times}", project_id="third"))
        if between.times > 1:
            act("second", lambda: others.pod(f"more-{between.times}", project_id="second"))
        if waiting:
            act("host1", lambda: place(others, waiting.pop(), host_id))

    between.act = everybody
    repaired = watched.retrying(audit.repair)
    with rows.db.read() as tx:
        assert audit.findings(tx) == []
        assert tx.scalar(sa.text("SELECT COUNT(*) FROM actions WHERE message IS NOT NULL")) == 0
    assert repaired == 3
    assert busy == {"second", "third", "host1"}


def test_a_read_sees_one_moment_and_the_next_one_a_newer(rows: Rows, url: str) -> None:
    rows.host("host1")
    reader = Database(url, connections=1)

    def seen() -> tuple[list[str], int]:
        """In two statements, between which another host comes."""
        with reader.read() as tx:
            names = [host.hostname for host in hosts.list(tx)]
            rows.host(f"host{len(names) + 1}")
            return names, tx.scalar(sa.text("SELECT COUNT(*) FROM hosts"))

    assert [seen(), seen()] == [(["host1"], 1), (["host1", "host2"], 2)]
    reader.close()


@pytest.mark.parametrize("read", [True, False], ids=["after a read", "after one that reads nothing"])
def test_on_a_readers_connection_the_next_write_sees_what_others_commit(rows: Rows, url: str, read: bool) -> None:
    rows.host("host1")
    one = Database(url, connections=1)

    def connection_and_hosts(tx: Transaction) -> list[int]:
        return [tx.scalar(sa.text(f"SELECT {what}")) for what in ("CONNECTION_ID()", "COUNT(*) FROM hosts")]

    with one.read() as tx:
        if read:
            connection_and_hosts(tx)
    with one.write() as tx:
        before = connection_and_hosts(tx)
        rows.host("host2")
        assert tx.change(sa.text("UPDATE hosts SET disabled_reason = 'mine' WHERE hostname = 'host1'")) == 1
        assert connection_and_hosts(tx) == [before[0], before[1] + 1]
    with one.read() as tx:
        assert connection_and_hosts(tx) == [before[0], 2]
    assert rows.host_row().disabled_reason == "mine"
    one.close()


def test_a_read_changes_nothing(rows: Rows, url: str) -> None:
    rows.host("host1")
    database = Database(url)
    with pytest.raises(errors.Unavailable), database.read() as tx:
        tx.change(sa.text("UPDATE hosts SET disabled_reason = 'mine'"))
    database.close()


def _control(db: Database, sealer: Sealer, **settings: object) -> Control:
    with db.write() as tx:
        installed = installation.ensure(tx, sealer)
    means = Means(
        db=db,
        sealer=sealer,
        policy=Policy(),
        hint=lambda host_id, *, straight=False: None,
        installation=installed,
        settings=Settings(**settings),
    )
    return build(means, None)  # type: ignore[arg-type]  # nobody is asked a live question


def _caller(role: str) -> Caller:
    return Caller(user_id="u", project_id="p", roles=frozenset({role}), request_id=f"req-{uuid.uuid4()}")


def _answer(work: Callable[[], object]) -> object:
    """What it gives, or why it is refused."""
    try:
        return work()
    except errors.HigginsError as error:
        return error


def _mounting(control: Control, volume: str) -> object:
    """A new container with that volume, or the refusal."""
    asked = NewContainer(image="busybox", mounts=(MountRequest(destination="/data", source=volume),))
    return _answer(lambda: control.containers.create(_caller("member"), asked, run=True))


@pytest.mark.parametrize("other", ["data", "more"])
def test_a_volume_is_made_by_one_first_use_and_within_the_limit(
    watched: Database, between: Between, others: Rows, sealer: Sealer, other: str
) -> None:
    first = _control(watched, sealer, quota_local_volumes=1)
    second = _control(others.db, sealer, quota_local_volumes=1)
    answers = between.before("INSERT INTO volumes", lambda: _mounting(second, other))
    made = _mounting(first, "data")
    assert isinstance(made, pods.Pod), made
    assert [type(answer) for answer in answers] == [Busy]
    late = _mounting(second, other)
    with others.db.read() as tx:
        assert volumes.named(tx, "p") == 1
    if other == "data":
        assert isinstance(late, pods.Pod)
        assert volumes.mounted_by(late.spec) == volumes.mounted_by(made.spec)
    else:
        assert isinstance(late, errors.OverQuota)


def test_an_image_that_two_pull_at_once_is_wished_once(
    rows: Rows, watched: Database, between: Between, others: Rows, sealer: Sealer
) -> None:
    rows.host("host1")

    def pull(control: Control) -> object:
        return _answer(lambda: control.images.pull(_caller("admin"), repo="busybox:1", host="host1"))

    first, second = (_control(db, sealer) for db in (watched, others.db))
    answers = between.before("UPDATE hosts", lambda: pull(second))
    assert isinstance(pull(first), images.Image)
    assert [type(answer) for answer in answers] == [Busy]
    assert "on its way already" in str(pull(second))
    with rows.db.read() as tx:
        assert len(images.list(tx, Scope(None))) == 1


def test_a_host_is_given_nothing_while_it_is_forgotten(
    rows: Rows, watched: Database, between: Between, others: Rows
) -> None:
    host_id, pod = rows.host("host1"), rows.pod("web")
    answers = between.before("DELETE FROM hosts", lambda: _answer(lambda: place(others, pod, host_id)))
    with watched.write() as tx:
        hosts.delete(tx, "host1")
    assert [type(answer) for answer in answers] == [Busy]
    with pytest.raises(errors.OutOfCapacity):
        place(others, pod, host_id)


def test_of_two_first_upgrades_both_end_well(url: str, others: Rows, tmp_path: pathlib.Path) -> None:
    (tmp_path / "higgins.conf").write_text(f"[DEFAULT]\nstate_dir = {tmp_path}\n[database]\nconnection = {url}\n")
    sealer = Sealer(load_or_create_key(tmp_path / "secret.key"))
    made: list[str] = []

    def be_first(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO installation") and not made:
            made.append("")
            with others.db.write() as tx:
                made.append(installation.ensure(tx, sealer))

    sa.event.listen(sa.Engine, "before_cursor_execute", be_first)
    try:
        assert manage.main(["--config-file", str(tmp_path / "higgins.conf"), "db", "upgrade"]) == 0
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", be_first)
    with others.db.read() as tx:
        assert ["", installation.uuid(tx)] == made
