"""Times as Zun's clients parse them. Pure."""

from __future__ import annotations

import datetime


def plain(moment: datetime.datetime | None) -> str | None:
    """``2026-01-31 12:00:00.123456``, UTC without a zone: containers and registries (gophercloud cannot read any other form)."""
    if moment is None:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return str(moment)


def iso(moment: datetime.datetime | None) -> str | None:
    """``2026-01-31T12:00:00.123456``, UTC without a zone: services, actions, events."""
    if moment is None:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds")
