"""Lists: the page asked for, and the link to the next one, which keeps every filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec

from higgins.api.route import Call
from higgins.store.page import Page

_encode = msgspec.json.Encoder().encode
_PAGING = ("limit", "marker", "sort_key", "sort_dir", "all_projects")


class _Row(Protocol):
    @property
    def uuid(self) -> str: ...


Row = TypeVar("Row", bound=_Row)


def page_of(call: Call, *, default_key: str = "id", columns: Mapping[str, str] | None = None) -> Page:
    """The page that the arguments ask for. ``columns`` names columns that are called otherwise in the API."""
    key = call.args.get("sort_key", default_key)
    return Page(
        marker=call.args.get("marker"),
        limit=min(call.args.get("limit", call.max_limit), call.max_limit),
        sort_key=(columns or {}).get(key, key),
        sort_dir=call.args.get("sort_dir", "asc"),
    )


def filters_of(call: Call) -> dict[str, Any]:
    """The arguments that are not about paging."""
    return {name: value for name, value in call.args.items() if name not in _PAGING}


def listed(call: Call, plural: str, rows: Sequence[Row], item: Callable[[Row], Any], page: Page) -> dict[str, Any]:
    """The body of a list. ``next`` is there when the page is full: absolute, with the filters of this request."""
    following = None
    if rows and len(rows) == page.limit:
        kept: dict[str, Any] = filters_of(call)
        if call.args.get("all_projects"):
            kept["all_projects"] = True
        kept |= {"sort_key": call.args.get("sort_key", page.sort_key), "sort_dir": page.sort_dir}
        kept |= {"limit": page.limit, "marker": rows[-1].uuid}
        following = f"{call.base_url}/v1/{plural}?{urlencode(kept)}"
    # Each is written at once, so that no more than one row's many small objects are alive: half of a long list's cost is memory's.
    return {plural: [msgspec.Raw(_encode(item(row))) for row in rows], "next": following}
