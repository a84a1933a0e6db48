"""Counts for whoever watches the service; cheap enough to be asked at each scrape. Decides nothing."""

from __future__ import annotations

import dataclasses
import datetime

import sqlalchemy as sa

from higgins.store.session import Transaction
from higgins.store.tables import hosts, pods


@dataclasses.dataclass(frozen=True, slots=True)
class Gauges:
    """How many containers there are in each phase (``pending`` where no host has reported), and hosts up and down."""

    containers: dict[tuple[str, ...], float]
    hosts: dict[tuple[str, ...], float]


def count(tx: Transaction, down_after_s: float) -> Gauges:
    """The counts now."""
    phase = sa.func.coalesce(pods.c.phase, "pending")
    counts = tx.rows(sa.select(phase, sa.func.count()).group_by(phase))
    by_phase: dict[tuple[str, ...], float] = {(str(row[0]),): float(row[1]) for row in counts}
    alive_since = tx.now - datetime.timedelta(seconds=down_after_s)
    up = sa.and_(hosts.c.last_seen_at >= alive_since, hosts.c.forced_down.is_(sa.false()))
    row = tx.row(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.case((up, 1), else_=0)), 0)).select_from(hosts)
    )
    total, alive = (int(row[0]), int(row[1])) if row is not None else (0, 0)
    return Gauges(by_phase, {("up",): float(alive), ("down",): float(total - alive)})
