"""Cinder's API read page by page, answered by a few lines."""

from __future__ import annotations

from typing import Any

from higgins.cloud import cinder
from higgins.core import errors


def volume(ident: str) -> dict[str, Any]:
    return {
        "id": ident, "status": "available", "size": 1, "name": "", "metadata": {}, "attachments": [], "bootable": "false",
        "multiattach": False, "encrypted": False, "os-vol-tenant-attr:tenant_id": "p",
    }  # fmt: skip


class Pages:
    """Cinder with two volumes a page; it adds a link to a full page, and refuses a marker that is not there any more."""

    def __init__(self, *idents: str) -> None:
        self.there = list(idents)

    def call(self, _method: str, _path: str, *, query: dict[str, Any], **_rest: Any) -> Any:
        marker = query.get("marker")
        if marker is not None and marker not in self.there:
            raise errors.NotFound(f"The volume {marker} could not be found.")
        first = self.there.index(marker) + 1 if marker is not None else 0
        page = self.there[first : first + 2]
        return {"volumes": [volume(one) for one in page]} | (
            {"volumes_links": [{"rel": "next"}]} if len(page) == 2 else {}
        )


def of(pages: Pages) -> cinder.Cinder:
    return cinder.Cinder(pages, lambda project_id: pages)  # type: ignore[arg-type,return-value]


def test_all_pages_are_read() -> None:
    for idents in ((), ("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")):
        assert [one.id for one in of(Pages(*idents)).every_volume()] == list(idents)


def test_a_last_volume_that_is_deleted_meanwhile_ends_no_look() -> None:
    pages, seen = Pages("a", "b", "c"), []
    for one in of(pages).every_volume():
        seen.append(one.id)
        pages.there = [ident for ident in pages.there if ident != "c" or "c" not in seen]
    assert seen == ["a", "b", "c"]
