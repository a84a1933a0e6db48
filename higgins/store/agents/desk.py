"""Answers agents out of the database: what the wire's server asks of its ``Desk``. Knows the store; the server knows the wire.

Every call blocks and may come from any thread.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping

from higgins.core import errors, model
from higgins.store import hosts
from higgins.store.agents import assignments, reports
from higgins.store.seal import Sealer
from higgins.store.session import Database


class Desk:
    """The control plane's side of the wire."""

    def __init__(self, db: Database, sealer: Sealer) -> None:
        self._db = db
        self._sealer = sealer

    def authenticate(self, credential_hash: str) -> int | None:
        """The id of the host that has this credential (SHA-256 of its token, in hex); ``None`` for nobody's."""
        with self._db.read() as tx:
            found = hosts.by_credential(tx, credential_hash)
        if found is None or not hmac.compare_digest(found[2], credential_hash):
            return None
        return found[0]

    def hello(self, host_id: int, facts: model.HostFacts, live_address: str, live_token: str) -> tuple[str, int]:
        """Take an agent's greeting; the host's uuid, and the number of the last report taken."""
        return self._db.retrying(
            lambda tx: hosts.hello(tx, host_id, facts, live_address, live_token, self._sealer), attempts=8
        )

    def assignments(self, host_id: int, since: int) -> assignments.HostAssignments:
        """What changed for a host after a version of its wishes."""
        with self._db.read() as tx:
            return assignments.of_host(tx, host_id, since, self._sealer)

    def report(self, host_id: int, report: reports.Report) -> reports.Taken | None:
        """Take a report; ``None`` when it is not newer than the last one taken."""
        if report.number <= 0:
            raise errors.Invalid("Reports are numbered from 1.")
        return self._db.retrying(lambda tx: reports.take(tx, host_id, report), attempts=8, durable=False)

    def grants_image(self, host_id: int, uuid: str) -> bool:
        """Whether an assignment of this host names this image of Glance."""
        with self._db.read() as tx:
            return assignments.grants_image(tx, host_id, uuid)

    def versions(self, host_ids: Collection[int]) -> Mapping[int, int]:
        """The versions of these hosts' wishes; a host that is no more is left out."""
        with self._db.read() as tx:
            return hosts.versions(tx, sorted(host_ids))

    def seen(self, host_ids: Collection[int]) -> None:
        """Note that the agents of these hosts were heard of."""
        self._db.retrying(lambda tx: hosts.seen(tx, sorted(host_ids)), durable=False)
