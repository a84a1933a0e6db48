"""What is told to everybody: versions, the OpenAPI document, whether the service works, metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from higgins.api.metrics import CONTENT_TYPE, Metrics
from higgins.api.route import Call, Reply, Route
from higgins.api.schema.openapi import document
from higgins.api.schema.table import MAX_VERSION, MIN_VERSION, Field, Table, dotted
from higgins.api.schema.types import MICROVERSION
from higgins.core import errors

_PLURALS = (
    "services", "containers", "images", "networks", "hosts", "availability_zones", "capsules", "quotas", "quota_classes", "registries",
)  # fmt: skip
_OBJECT = {"type": "object"}
_TEXT = {"type": "string"}
_WHICH = Table("the document", (Field("microversion", MICROVERSION),))


def root(call: Call) -> dict[str, Any]:
    version = {
        "id": "v1",
        "links": [{"href": f"{call.base_url}/v1/", "rel": "self"}],
        "status": "CURRENT",
        "max_version": dotted(MAX_VERSION),
        "min_version": dotted(MIN_VERSION),
    }
    return {
        "name": "Higgins: containers in OpenStack",
        "description": "Runs containers beside virtual machines; speaks Zun's API.",
        "versions": [version],
        "default_version": version,
    }


def version_one(call: Call) -> dict[str, Any]:
    base = call.base_url
    document: dict[str, Any] = {
        "id": "v1",
        "media_types": [{"base": "application/json", "type": "application/vnd.openstack.zun.v1+json"}],
        "links": [
            {"href": f"{base}/v1/", "rel": "self"},
            {"href": f"{base}/v1/openapi.json", "rel": "describedby", "type": "application/json"},
        ],
    }
    for plural in _PLURALS:
        document[plural] = [
            {"href": f"{base}/v1/{plural}/", "rel": "self"},
            {"href": f"{base}/{plural}/", "rel": "bookmark"},
        ]
    return document


def public_routes(metrics: Metrics, healthy: Callable[[], None], others: tuple[Route, ...]) -> tuple[Route, ...]:
    """The routes that nobody needs a name for; ``others`` are all the rest, for the document."""

    def health(call: Call) -> Reply:
        try:
            healthy()
        except errors.HigginsError as error:
            return Reply(raw=f"{error.message}\n".encode(), content_type="text/plain; charset=utf-8", status=503)
        return Reply(raw=b"OK\n", content_type="text/plain; charset=utf-8")

    def scrape(call: Call) -> Reply:
        return Reply(raw=metrics.text(), content_type=CONTENT_TYPE)

    def openapi(call: Call) -> dict[str, Any]:
        return document((*others, *routes), call.args.get("microversion", MAX_VERSION))

    routes = (
        Route("GET", "/", root, "The versions spoken here.", reply=lambda version: _OBJECT),
        Route("GET", "/v1", version_one, "What version 1 has.", reply=lambda version: _OBJECT),
        Route("GET", "/v1/openapi.json", openapi, "One microversion (the newest) as an OpenAPI document.", args=_WHICH,
              reply=lambda version: _OBJECT),
        Route("GET", "/healthcheck", health, "Whether the service works.", reply=lambda version: _TEXT),
        Route("HEAD", "/healthcheck", health, "Whether the service works, without words.", reply=lambda version: _TEXT),
        Route("GET", "/metrics", scrape, "Metrics for Prometheus.", reply=lambda version: _TEXT),
    )  # fmt: skip
    return routes
