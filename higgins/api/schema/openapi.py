"""The API of one microversion as an OpenAPI 3.1 document, made of the routes and their field tables alone."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from higgins.api.route import PUBLIC_PATHS, Route
from higgins.api.schema.table import Table, Version, dotted

_PATH_FIELD = re.compile(r"{(\w+)}")
_ERROR_REF = {"$ref": "#/components/schemas/Errors"}
_ERROR = {
    "type": "object",
    "properties": {
        "request_id": {"type": "string"},
        "code": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "links": {"type": "array"},
        "min_version": {"type": "string"},
        "max_version": {"type": "string"},
    },
    "required": ["request_id", "code", "status", "title", "detail", "links"],
}
_COMPONENTS = {
    "schemas": {
        "Errors": {
            "type": "object",
            "properties": {"errors": {"type": "array", "items": _ERROR}},
            "required": ["errors"],
        }
    },
    "securitySchemes": {
        "basic": {"type": "http", "scheme": "basic"},
        "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
    },
}
_TEXT_PATHS = {"/healthcheck": "text/plain", "/metrics": "text/plain"}


@functools.lru_cache(maxsize=64)
def document(routes: tuple[Route, ...], version: Version) -> dict[str, Any]:
    """The document; routes that this version does not have are left out."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.speaks(version) and route.method != "HEAD":
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, version)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Higgins",
            "version": dotted(version),
            "summary": "Containers in OpenStack.",
            "description": f"The API in microversion {dotted(version)}; each request must name it in OpenStack-API-Version.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"basic": []}, {"token": []}],
        "paths": paths,
        "components": _COMPONENTS,
    }


def _operation(route: Route, version: Version) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.handle.__module__.rpartition('.')[2]}_{route.handle.__name__}",
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(route, version),
            *_version_parameter(route, version),
        ],
        "responses": {str(route.status): _answer(route, version), "default": _failure()},
        "x-openstack": {"min-ver": dotted(route.since), "max-ver": dotted(route.until)},
    }
    body = _body(route, version)
    if body is not None:
        operation["requestBody"] = body
    if route.path in PUBLIC_PATHS:
        operation["security"] = []
    return operation


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if len(parts) > 1 and parts[0] == "v1" else "service"


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in _PATH_FIELD.findall(route.path):
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^/]+$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: Route, version: Version) -> Iterable[dict[str, Any]]:
    if route.args is None:
        return
    schema = route.args.request_schema(version)
    required = () if route.merged else schema.get("required", ())
    for name, found in schema["properties"].items():
        yield {"name": name, "in": "query", "required": name in required, "schema": _without_null(found)}


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A query cannot say null."""
    options = schema.get("anyOf", ())
    kept = [option for option in options if option != {"type": "null"}]
    return kept[0] if len(options) == 2 and len(kept) == 1 else schema


def _version_parameter(route: Route, version: Version) -> Iterable[dict[str, Any]]:
    if route.path.startswith("/v1"):
        schema = {"type": "string", "enum": [f"container {dotted(version)}"]}
        needed = route.path not in PUBLIC_PATHS
        yield {"name": "OpenStack-API-Version", "in": "header", "required": needed, "schema": schema}


def _body(route: Route, version: Version) -> dict[str, Any] | None:
    table: Table | None = route.body
    if table is None and route.merged and route.args is not None and route.args.fields:
        table = route.args
    if table is None:
        return None
    schema = table.request_schema(version)
    required = bool(schema.get("required") or schema.get("anyOf")) or route.body is not None
    found: dict[str, Any] = {"required": required, "content": {"application/json": {"schema": schema}}}
    if route.merged:
        found["description"] = "What the query gives may be left out here."
    return found


def _answer(route: Route, version: Version) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if route.status != 204:
        schema: Mapping[str, Any] = route.reply(version) if route.reply is not None else {"type": "null"}
        kind = _TEXT_PATHS.get(route.path, "application/json")
        answer["content"] = {kind: {"schema": schema}}
    if route.located:
        answer["headers"] = {"Location": {"required": True, "schema": {"type": "string"}}}
    return answer


def _failure() -> dict[str, Any]:
    return {"description": "What was wrong, and what to do.", "content": {"application/json": {"schema": _ERROR_REF}}}
