"""Images in the hosts' caches."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import unquote

from higgins.api import paging
from higgins.api.route import Call, Reply, Route
from higgins.api.routes.shown import with_links
from higgins.api.schema import container, operators
from higgins.api.schema.operators import IMAGE, IMAGE_SEARCH
from higgins.api.view import operators as view
from higgins.api.view.containers import links
from higgins.store.records.images import Image


def _item(call: Call, row: Image) -> dict[str, Any]:
    newer = IMAGE.newer_than(call.version)
    return {name: value for name, value in view.image(row).items() if name not in newer}


def _one(call: Call, row: Image) -> dict[str, Any]:
    return {**_item(call, row), "links": links(row.uuid, call.base_url, "images")}


def pull(call: Call) -> Reply:
    body = call.body
    row = call.control.images.pull(
        call.caller,
        repo=body["repo"],
        host=body["host"],
        tag=body.get("tag"),
        pull_policy=body.get("image_pull_policy"),
    )
    return Reply(_one(call, row), location=f"{call.base_url}/v1/images/{row.uuid}")


def index(call: Call) -> dict[str, Any]:
    page = paging.page_of(call)
    found = call.control.images.list(call.caller, page=page)
    return paging.listed(call, "images", found, functools.partial(_item, call), page)


def show(call: Call) -> dict[str, Any]:
    return _one(call, call.control.images.get(call.caller, call.ident))


def delete(call: Call) -> None:
    call.control.images.delete(call.caller, call.ident)


def search(call: Call) -> list[dict[str, Any]]:
    """GET /v1/images/{ident}/search: a bare list."""
    found = call.control.images.search(
        call.caller,
        unquote(call.ident),
        image_driver=call.args.get("image_driver"),
        exact_match=call.args.get("exact_match", False),
    )
    return [view.found_image(image) for image in found]


def _one_schema(version: Any) -> dict[str, Any]:
    return with_links(IMAGE.reply_schema(version))


_ONE = "/v1/images/{ident}"

ROUTES = (
    Route("POST", "/v1/images", pull, "Pull an image to a host.", status=202, body=IMAGE, reply=_one_schema, located=True),
    Route("GET", "/v1/images", index, "List the images pulled to hosts.", args=operators.paged(others=True),
          reply=lambda version: operators.listed("images", IMAGE.reply_schema(version))),
    Route("GET", _ONE, show, "Show an image.", args=container.ANYTHING, reply=_one_schema),
    Route("DELETE", _ONE, delete, "Take an image off its host.", args=container.ANYTHING),
    Route("GET", _ONE + "/search", search, "Search images by name.", args=IMAGE_SEARCH,
          reply=lambda version: {"type": "array", "items": {"type": "object"}}),
)  # fmt: skip
