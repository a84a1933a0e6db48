"""The fields of everything that is not a container: images, hosts, services, zones, networks, quotas, registries."""

from __future__ import annotations

from typing import Any

from higgins.api.schema import types
from higgins.api.schema.container import PULL_POLICY
from higgins.api.schema.table import OWN, Field, Table, Type

_MAYBE = types.MAYBE_TEXT_SCHEMA
_TEXT = types.TEXT_SCHEMA
_INT = types.INT_SCHEMA

IMAGE = Table(
    "an image",
    (
        Field("uuid", shows=types.UUID_SCHEMA),
        Field("image_id", types.text(2, 255), shows=_MAYBE),
        Field("repo", types.text(2, 255), required=True, shows=_TEXT),
        Field("tag", types.text(1, 128), shows=_MAYBE),
        Field("size", types.text(0, 64), shows=_MAYBE),
        Field("image_pull_policy", PULL_POLICY),
        Field("host", types.text(), required=True, shows=_MAYBE),
        Field("project_id", shows=_MAYBE),
        Field("status", shows={"enum": ["pulling", "ready", "failed", "removing"]}, shown_since=OWN),
        Field("status_reason", shows=_MAYBE, shown_since=OWN),
    ),
)
IMAGE_SEARCH = Table(
    "an image search", (Field("image_driver", types.MAYBE_WORD), Field("exact_match", types.BOOL)), others=True
)

HOST = Table(
    "a host",
    (
        Field("uuid", shows=types.UUID_SCHEMA),
        Field("hostname", shows=_TEXT),
        *(Field(name, shows=_INT) for name in ("mem_total", "mem_used", "cpus", "disk_total", "disk_used")),
        Field("cpu_used", shows=types.NUMBER_SCHEMA),
        Field("disk_quota_supported", shows=types.BOOL_SCHEMA),
        Field("total_containers", shows=_INT),
        *(Field(name, shows=_MAYBE) for name in ("architecture", "os_type", "os", "kernel_version")),
        Field("labels", shows=types.MAP_SCHEMA),
        Field("runtimes", shows=types.TEXTS_SCHEMA),
        Field("enable_cpu_pinning", shows=types.BOOL_SCHEMA),
    ),
)

SERVICE = Table(
    "a service",
    (
        Field("id", shows=_INT),
        Field("host", shows=_TEXT),
        Field("binary", shows=_TEXT),
        Field("availability_zone", shows=_MAYBE),
        Field("state", shows={"enum": ["up", "down"]}),
        Field("disabled", shows=types.BOOL_SCHEMA),
        Field("disabled_reason", shows=_MAYBE),
        Field("forced_down", shows=types.BOOL_SCHEMA),
        Field("last_seen_up", shows=_MAYBE),
        Field("report_count", shows=_INT),
        Field("created_at", shows=_MAYBE),
        Field("updated_at", shows=_MAYBE),
    ),
)
_WHICH = (Field("host", types.text(), required=True), Field("binary", types.text(), required=True))
SERVICE_WHICH = Table("this request", _WHICH)
SERVICE_DISABLE = Table("a disable", (*_WHICH, Field("disabled_reason", types.text(0, 255))))
SERVICE_FORCE_DOWN = Table("a force_down", (*_WHICH, Field("forced_down", types.BOOL)))

NETWORK = Table(
    "a network",
    (
        Field("uuid", shows=types.UUID_SCHEMA),
        Field("name", types.text(1, 255), required=True, shows=_TEXT),
        Field("neutron_net_id", types.text(1, 255), shows=_TEXT),
        Field("network_id", shows=_TEXT),
        Field("project_id", shows=_TEXT),
        Field("user_id", shows=_TEXT),
    ),
)

RESOURCES = ("containers", "memory", "cpu", "disk")
_LIMIT = types.whole(-1, 2**31 - 1, "a whole number, -1 for no limit")
QUOTA = Table("a quota", tuple(Field(name, _LIMIT, shows=_INT) for name in RESOURCES))
QUOTA_SHOW = Table("this request", (Field("usages", types.BOOL),), others=True)

_REGISTRY_FIELDS = (
    Field("name", types.text(2, 255), shows=_MAYBE),
    Field("username", types.text(0, 255), shows=_MAYBE),
    Field("password", types.text(0, 255, says="a string of at most 255 characters"), shows=_MAYBE),
)
_DOMAIN = types.text(1, 255, pattern=r"^[^\s/]+$", says="a registry's host name, with :port where it needs one")
REGISTRY = Table(
    "a registry",
    (
        Field("uuid", shows=types.UUID_SCHEMA),
        Field("domain", _DOMAIN, required=True, shows=_TEXT),
        *_REGISTRY_FIELDS,
        Field("project_id", shows=_TEXT),
        Field("user_id", shows=_TEXT),
        Field("created_at", shows=_MAYBE),
        Field("updated_at", shows=_MAYBE),
    ),
)
_REGISTRY_CHANGE = Table("a registry", (Field("domain", _DOMAIN, null=False), *_REGISTRY_FIELDS))


def _within(table: Table) -> Table:
    inner = Type(schema={"type": "object"}, says="an object with the registry's fields", table=table)
    return Table("this request", (Field("registry", inner, required=True),))


REGISTRY_CREATE = _within(REGISTRY)
REGISTRY_UPDATE = _within(_REGISTRY_CHANGE)
REGISTRY_FILTERS = tuple(
    Field(name, types.text(0, 255)) for name in ("name", "domain", "username", "project_id", "user_id")
)


def paged(*filters: Field, all_projects: bool = False, others: bool = False) -> Table:
    """Arguments of a list: filters and paging."""
    paging = (
        Field("limit", types.whole(1, 2**31 - 1, "a whole number, 1 or more")),
        Field("marker", types.text(1, 255)),
        Field("sort_key", types.text(1, 64)),
        Field("sort_dir", types.choice("asc", "desc", read=str)),
    )
    projects = (Field("all_projects", types.BOOL),) if all_projects else ()
    return Table("this list", (*filters, *paging, *projects), others=others)


def listed(plural: str, item: dict[str, Any], *, with_next: bool = True) -> dict[str, Any]:
    """JSON Schema of a list's reply."""
    properties: dict[str, Any] = {plural: {"type": "array", "items": item}}
    if with_next:
        properties["next"] = types.MAYBE_TEXT_SCHEMA
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
