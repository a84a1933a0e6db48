"""The fields of a container: what create and update take, what a reply shows, since when, and who may see it."""

from __future__ import annotations

from typing import Any

from higgins.api.schema import types
from higgins.api.schema.table import OWN, Field, Table, Type, invalid
from higgins.core import model, phase
from higgins.core.status import Status

_PORT_KEY = "^[0-9]{1,5}(/(tcp|udp|TCP|UDP))?$"


def _read_restart(value: dict[str, Any]) -> model.RestartPolicy:
    name = value["Name"]
    count = value.get("MaximumRetryCount", 0)
    if name in ("always", "unless-stopped") and count:
        raise invalid(f"'restart_policy': MaximumRetryCount must be 0 (or left out) with {name!r}.")
    return model.RestartPolicy(name=name, maximum_retry_count=count)


def _read_healthcheck(value: dict[str, Any]) -> model.Healthcheck:
    given = {f"{name}_s": value[name] for name in ("interval", "timeout") if name in value}
    retries = {"retries": value["retries"]} if "retries" in value else {}
    return model.Healthcheck(command=value["cmd"], **given, **retries)


def _read_ports(value: dict[str, Any]) -> tuple[str, ...]:
    found = []
    for key in value:
        port, _, protocol = key.partition("/")
        if not 1 <= int(port) <= 65535:
            raise invalid(f"'exposed_ports': {key!r} is no port; ports are from 1 to 65535.")
        found.append(f"{int(port)}/{(protocol or 'tcp').lower()}")
    return tuple(sorted(set(found)))


def _read_net(value: dict[str, Any]) -> dict[str, Any]:
    for key, version in (("v4-fixed-ip", 4), ("v6-fixed-ip", 6)):
        if value.get(key):
            value[key] = types.read_address(value[key], version)
    return value


def _read_mount(value: dict[str, Any]) -> dict[str, Any]:
    is_file = value.get("type") == "bind"
    if is_file and "source" not in value:
        raise invalid("'mounts': a mount of type bind needs 'source', the file's content in base64.")
    if not is_file and ("source" in value) == ("size" in value):
        raise invalid("'mounts': give either 'source', a volume, or 'size', of a new one in GiB.")
    if is_file:
        value["content"] = types.read_base64(value.pop("source"), "'source' of a mount of type bind")
    return value


_RESTART = Table(
    "restart_policy",
    (
        Field("Name", types.choice("no", "always", "on-failure", "unless-stopped"), required=True),
        Field("MaximumRetryCount", types.whole(0, 2**31 - 1, "a whole number, 0 or more")),
    ),
)
_SECONDS = types.whole(0, 86400, "a whole number of seconds")
_HEALTHCHECK = Table(
    "healthcheck",
    (
        Field("cmd", types.text(1, 65536), required=True),
        Field("interval", _SECONDS),
        Field("retries", types.whole(0, 1000, "a whole number from 0 to 1000")),
        Field("timeout", _SECONDS),
    ),
)
_NET = Table(
    "an entry of nets",
    (
        Field("network", types.text()),
        Field("port", types.text()),
        Field("v4-fixed-ip", types.text(0, says="an IPv4 address")),
        Field("v6-fixed-ip", types.text(0, says="an IPv6 address")),
    ),
    any_of=("network", "port"),
)
_MOUNT = Table(
    "an entry of mounts",
    (
        Field("destination", types.text(1, 4096, pattern="^/", says="an absolute path"), required=True),
        Field("source", types.text(1, 2**26, says="a volume, or for type bind the file's content in base64")),
        Field("size", types.whole(1, 2**20, "a whole number of GiB")),
        Field("type", types.choice("volume", "bind"), since=(1, 23)),
        Field("read_only", types.BOOL, since=OWN),
    ),
)

CPU = types.number(0, 1_000_000, "a number of processors, such as 0.5 or 2")
MEMORY = types.whole(0, 2**40, "a whole number of MiB, such as 512")
PULL_POLICY = types.choice(
    *("never", "always", "ifnotpresent", "Never", "Always", "IfNotPresent"),
    says="never, always or ifnotpresent",
    read=lambda value: phase.PullPolicy(value.lower()),
)
_DRIVER = Type(
    schema={"enum": ["docker", "glance", "None"]},
    says="docker or glance",
    read=lambda value: None if value == "None" else value,
)
_GROUPS = Type(
    schema=types.texts("", low=1, high=255).schema,
    says="a list of names or ids of security groups",
    read=lambda value: tuple(dict.fromkeys(value)),
)
_PORTS = Type(
    schema={"type": "object", "propertyNames": {"pattern": _PORT_KEY}, "additionalProperties": {"type": "object"}},
    says='a map such as {"80/tcp": {}}',
    read=_read_ports,
)
_HOSTNAME = types.text(1, 255, pattern="^[a-zA-Z0-9._-]*$", says="a host name of letters, digits, '-', '.' and '_'")
_ADDRESSES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "addr": types.TEXT_SCHEMA,
                "version": {"enum": [4, 6]},
                "port": types.MAYBE_TEXT_SCHEMA,
                "subnet_id": types.MAYBE_TEXT_SCHEMA,
                "preserve_on_delete": types.BOOL_SCHEMA,
            },
            "required": ["addr", "version", "port", "preserve_on_delete"],
        },
    },
}
_STATUSES = [word.value for word in Status]
_INTS = {"type": "array", "items": types.INT_SCHEMA}

CONTAINER = Table(
    "a container",
    (
        Field("uuid", shows=types.UUID_SCHEMA),
        Field("name", types.NAME, shows=types.TEXT_SCHEMA),
        Field("project_id", shows=types.TEXT_SCHEMA),
        Field("user_id", shows=types.TEXT_SCHEMA),
        Field("image", types.text(2, 255), required=True, shows=types.TEXT_SCHEMA),
        Field("image_driver", _DRIVER, shows=types.TEXT_SCHEMA),
        Field("command", types.SHELL_WORDS, until=(1, 19), shows=types.TEXTS_SCHEMA),
        Field("command", types.TEXTS, since=(1, 20), shows=types.TEXTS_SCHEMA),
        Field("entrypoint", types.TEXTS, since=(1, 40), shows=types.TEXTS_SCHEMA),
        Field("status", shows={"type": "string", "enum": _STATUSES}),
        Field("status_reason", shows=types.MAYBE_TEXT_SCHEMA),
        Field("status_detail", shows=types.MAYBE_TEXT_SCHEMA),
        Field("task_state", shows=types.MAYBE_TEXT_SCHEMA),
        Field("cpu", CPU, shows=types.MAYBE_NUMBER_SCHEMA),
        Field("cpu_policy", types.choice("dedicated", "shared"), since=(1, 28), shows=types.TEXT_SCHEMA),
        Field("cpu_shares", types.whole(2, 262144, "a weight from 2 to 262144"), since=OWN, shows=types.MAYBE_INT_SCHEMA, shown_since=OWN),
        Field("memory", MEMORY, shows=types.MAYBE_TEXT_SCHEMA),
        Field("disk", types.whole(0, 2**20, "a whole number of GiB"), shows=types.INT_SCHEMA),
        Field("pids_limit", types.whole(1, 2**22, "a whole number from 1 to 4194304"), since=OWN, shows=types.MAYBE_INT_SCHEMA, shown_since=OWN),
        Field("workdir", types.text(0, 4096), shows=types.MAYBE_TEXT_SCHEMA),
        Field("environment", types.ENVIRONMENT, shows={"type": "object", "additionalProperties": types.TEXT_SCHEMA},
              policy="container:get_one:environment"),
        Field("labels", types.LABELS, shows={"type": "object", "additionalProperties": types.TEXT_SCHEMA}),
        Field("hints", types.LABELS),
        Field("image_pull_policy", PULL_POLICY, shows=types.MAYBE_TEXT_SCHEMA, policy="container:get_one:image_pull_policy"),
        Field("restart_policy", types.one(_RESTART, 'an object such as {"Name": "on-failure", "MaximumRetryCount": 2}', _read_restart),
              shows={"type": "object", "additionalProperties": types.TEXT_SCHEMA}),
        Field("interactive", types.BOOL, shows=types.BOOL_SCHEMA),
        Field("tty", types.BOOL, since=(1, 36), shows=types.BOOL_SCHEMA),
        Field("auto_remove", types.BOOL, since=(1, 3), shows=types.BOOL_SCHEMA),
        Field("auto_heal", types.BOOL, shows=types.BOOL_SCHEMA),
        Field("runtime", types.text(0, 255), since=(1, 5), shows=types.MAYBE_TEXT_SCHEMA, policy="container:get_one:runtime"),
        Field("hostname", _HOSTNAME, since=(1, 9), null=False, shows=types.MAYBE_TEXT_SCHEMA),
        Field("nets", types.many(_NET, "a list of networks or ports", lambda value: tuple(map(_read_net, value))), since=(1, 2)),
        Field("addresses", shows=_ADDRESSES),
        Field("security_groups", _GROUPS, shows=types.TEXTS_SCHEMA),
        Field("exposed_ports", _PORTS, since=(1, 24)),
        Field("ports", shows=_INTS),
        Field("mounts", types.many(_MOUNT, "a list of mounts", lambda value: tuple(map(_read_mount, value))), since=(1, 11)),
        Field("privileged", types.BOOL, since=(1, 21), shows=types.BOOL_SCHEMA, policy="container:get_one:privileged"),
        Field("healthcheck", types.one(_HEALTHCHECK, "an object with cmd, interval, retries and timeout", _read_healthcheck),
              since=(1, 22), shows=types.MAP_SCHEMA),
        Field("health", shows={"enum": ["starting", "healthy", "unhealthy", None]}, shown_since=OWN),
        Field("exit_code", shows=types.MAYBE_INT_SCHEMA, shown_since=OWN),
        Field("image_digest", shows=types.MAYBE_TEXT_SCHEMA, shown_since=OWN),
        Field("availability_zone", types.text()),
        Field("registry", types.text(2, 255), since=(1, 31)),
        Field("registry_id", shows=types.MAYBE_TEXT_SCHEMA),
        Field("host", types.text(), since=(1, 39), shows=types.MAYBE_TEXT_SCHEMA, policy="container:get_one:host"),
        Field("created_at", shows=types.MAYBE_TEXT_SCHEMA),
        Field("updated_at", shows=types.MAYBE_TEXT_SCHEMA),
        Field("started_at", shows=types.MAYBE_TEXT_SCHEMA, shown_since=OWN),
        Field("finished_at", shows=types.MAYBE_TEXT_SCHEMA, shown_since=OWN),
    ),
)  # fmt: skip

RUN = Table("POST /v1/containers", (Field("run", types.BOOL),))
UPDATE = Table(
    "an update",
    (
        Field("cpu", CPU),
        Field("memory", MEMORY),
        Field("name", types.NAME),
        Field("auto_heal", types.BOOL),
    ),
)
DELETE = Table(
    "a delete",
    (
        Field("force", types.BOOL),
        Field("stop", types.BOOL),
        Field("all_projects", types.BOOL),
    ),
)
SHOW = Table("this request", (Field("all_projects", types.BOOL),), others=True)
NOTHING = Table("this action", ())
ANYTHING = Table("this action", (), others=True)
REBUILD = Table("a rebuild", (Field("image", types.text(2, 255)), Field("image_driver", _DRIVER)))
LIST_FILTERS = (
    *(Field(name, types.text(0, 255)) for name in ("name", "image", "project_id", "user_id", "host", "task_state", "status")),
    Field("memory", types.text(0, 24)),
    Field("auto_remove", types.BOOL),
)  # fmt: skip
