"""The field table: one line a field, from which request checks, response filter and the OpenAPI document follow.

Knows nothing of HTTP, of a resource in particular or of the use cases.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs

from higgins.core import errors

Version = tuple[int, int]
MIN_VERSION: Version = (1, 1)
MAX_VERSION: Version = (1, 41)
OWN: Version = (1, 41)
"""The first version with what Higgins has beyond Zun."""

_Kind = jsonschema_rs.ValidationErrorKind


def as_is(value: Any) -> Any:
    """The value itself."""
    return value


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """What a value may be: its JSON Schema, the words that complete "must be ...", and how it is read into a typed value.

    ``read`` gets what the schema allowed; it may still raise ``ValueError``, or ``Invalid`` with words of its own.
    """

    schema: Mapping[str, Any]
    says: str
    read: Callable[[Any], Any] = as_is
    table: Table | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a resource.

    ``takes`` is what a request may hold (from ``since`` to ``until``), ``shows`` the JSON Schema of what a reply holds (from
    ``shown_since``); ``policy`` is the rule that the caller must pass to see it. A field may be in a table twice, for versions apart.
    """

    name: str
    takes: Type | None = None
    _: dataclasses.KW_ONLY
    since: Version = MIN_VERSION
    until: Version = MAX_VERSION
    required: bool = False
    null: bool = True
    shows: Mapping[str, Any] | None = None
    shown_since: Version = MIN_VERSION
    policy: str | None = None

    def takes_at(self, version: Version) -> bool:
        """Whether a request of that version may hold it."""
        return self.takes is not None and self.since <= version <= self.until


def invalid(message: str) -> errors.Invalid:
    """The error for a value that is not what its field allows."""
    return errors.Invalid(message, code="schema-validation-error")


def dotted(version: Version) -> str:
    """``1.40`` for (1, 40)."""
    return f"{version[0]}.{version[1]}"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The fields of one resource, or the arguments of one action; ``noun`` names it in messages.

    ``others`` says what happens to names that are not in the table: they are refused, or left out.
    """

    noun: str
    fields: tuple[Field, ...]
    others: bool = False
    any_of: tuple[str, ...] = ()

    def request_schema(self, version: Version) -> dict[str, Any]:
        """JSON Schema of a request of that version."""
        return _request_schema(self, version)

    def reply_schema(self, version: Version) -> dict[str, Any]:
        """JSON Schema of a reply of that version; gated fields are not required."""
        shown = [f for f in self.fields if f.shows is not None and f.shown_since <= version]
        return {
            "type": "object",
            "properties": {f.name: f.shows for f in shown},
            "required": list(dict.fromkeys(f.name for f in shown if f.policy is None)),
            "additionalProperties": False,
        }

    def gated(self) -> tuple[tuple[str, str], ...]:
        """Fields that only some callers see, with the rule to pass."""
        return _gated(self)

    def newer_than(self, version: Version) -> frozenset[str]:
        """Fields that a reply of that version does not have yet."""
        return _newer_than(self, version)

    def read(self, given: Mapping[str, Any], version: Version) -> dict[str, Any]:
        """Typed values of what was given, without nulls; ``Invalid`` with a sentence that names the field and what it allows."""
        given = _check_versions(self, given, version)
        error = next(_validator(self, version).iter_errors(given), None)
        if error is not None:
            raise invalid(_sentence(self, error, version))
        return _convert(self, given, version)


@functools.cache
def _gated(table: Table) -> tuple[tuple[str, str], ...]:
    return tuple((f.name, f.policy) for f in table.fields if f.policy is not None and f.shows is not None)


@functools.cache
def _newer_than(table: Table, version: Version) -> frozenset[str]:
    return frozenset(f.name for f in table.fields if f.shows is not None and f.shown_since > version)


@functools.cache
def _request_schema(table: Table, version: Version) -> dict[str, Any]:
    taken = [f for f in table.fields if f.takes_at(version)]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {f.name: _property_schema(f, version) for f in taken},
        "additionalProperties": table.others,
    }
    required = [f.name for f in taken if f.required]
    if required:
        schema["required"] = required
    if table.any_of:
        schema["anyOf"] = [{"required": [name]} for name in table.any_of]
    return schema


def _property_schema(field: Field, version: Version) -> dict[str, Any]:
    assert field.takes is not None
    schema = dict(field.takes.schema)
    if field.takes.table is not None:
        inner = field.takes.table.request_schema(version)
        schema = {**schema, "items": inner} if schema.get("type") == "array" else {**schema, **inner}
    schema["description"] = field.takes.says[:1].upper() + field.takes.says[1:] + "."
    if field.null and not field.required:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


@functools.cache
def _validator(table: Table, version: Version) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(table.request_schema(version))


@functools.cache
def _types(table: Table, version: Version) -> dict[str, Type]:
    return {f.name: f.takes for f in table.fields if f.takes is not None and f.takes_at(version)}


def _convert(table: Table, given: Mapping[str, Any], version: Version) -> dict[str, Any]:
    types = _types(table, version)
    typed: dict[str, Any] = {}
    for name, value in given.items():
        kind = types.get(name)
        if kind is None or value is None:
            continue
        if kind.table is not None:
            inner = kind.table
            value = (
                [_convert(inner, item, version) for item in value]
                if isinstance(value, list)
                else _convert(inner, value, version)
            )
        try:
            typed[name] = kind.read(value)
        except ValueError:
            raise invalid(f"{name!r} must be {kind.says}.") from None
    return typed


@functools.cache
def _always_known(table: Table, version: Version) -> frozenset[str]:
    """Names that are fine at this version and hold nothing whose version must be looked at."""
    return frozenset(
        f.name for f in table.fields if f.takes is not None and f.takes_at(version) and f.takes.table is None
    )


def _check_versions(table: Table, given: Mapping[str, Any], version: Version) -> Mapping[str, Any]:
    """What was given, without nulls for fields that this version does not have yet; any other value for such a field is refused."""
    known = _always_known(table, version)
    early = []
    for name in given:
        if name in known:
            continue
        fields = [f for f in table.fields if f.name == name and f.takes is not None]
        if not fields:
            continue
        if any(f.takes_at(version) for f in fields):
            _check_inner_versions(fields, given[name], version)
        elif given[name] is None:
            early.append(name)
        else:
            raise too_early(name, table.noun, fields[0].since, version)
    return {name: value for name, value in given.items() if name not in early} if early else given


def too_early(name: str, noun: str, since: Version, version: Version) -> errors.Invalid:
    """The error for a field that the request's version does not have yet."""
    return errors.Invalid(
        f"Field {name!r} of {noun} needs microversion {dotted(since)} or newer; this request is made in {dotted(version)}.",
        code="invalid-param-in-version",
    )


def _check_inner_versions(fields: list[Field], value: Any, version: Version) -> None:
    for field in fields:
        inner = field.takes.table if field.takes is not None and field.takes_at(version) else None
        if inner is not None:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    _check_versions(inner, item, version)


def _capital(noun: str, prefix: str) -> str:
    return noun if prefix else noun[:1].upper() + noun[1:]


def _sentence(table: Table, error: jsonschema_rs.ValidationError, version: Version) -> str:
    path = list(error.instance_path)
    where, field, inner = _locate(table, path, version)
    prefix = f"{where}: " if where else ""
    if isinstance(error.kind, _Kind.AnyOf) and inner is not None and inner.any_of and field is None:
        return f"{prefix}{_capital(inner.noun, prefix)} needs one of {', '.join(inner.any_of)}."
    if field is not None and field.takes is not None:
        deeper = _first_inner(field, error, version)
        return deeper or f"{where!r} must be {field.takes.says}."
    if isinstance(error.kind, _Kind.Required):
        noun = table.noun if inner is None else inner.noun
        return f"{prefix}{_capital(noun, prefix)} needs {error.kind.property!r}."
    if isinstance(error.kind, _Kind.AdditionalProperties) and inner is not None:
        names = ", ".join(sorted(f.name for f in inner.fields if f.takes_at(version))) or "none"
        unknown = ", ".join(repr(name) for name in error.kind.unexpected[:5])
        return f"{prefix}Unknown parameters: {unknown}. Known ones of {inner.noun} in {dotted(version)}: {names}."
    return f"{prefix}{_capital(table.noun, prefix)} must be a JSON object of named fields."


def _first_inner(field: Field, error: jsonschema_rs.ValidationError, version: Version) -> str | None:
    """What is wrong inside a nested table: at the place that the error names, or where the outer ``anyOf`` with null hides it."""
    assert field.takes is not None
    inner = field.takes.table
    value = error.instance
    if inner is None:
        return None
    match list(error.instance_path)[1:]:
        case [str() as name, *_] | [int(), str() as name, *_]:
            wrong = next((f for f in inner.fields if f.name == name and f.takes_at(version)), None)
            outer = list(error.instance_path)[:-1]
            where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in outer).lstrip(".")
            return f"{where}: {name!r} must be {wrong.takes.says}." if wrong is not None and wrong.takes else None
    items = value if isinstance(value, list) else [value]
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            return None
        problem = next(_validator(inner, version).iter_errors(item), None)
        if problem is not None:
            where = f"{field.name}[{number}]" if isinstance(value, list) else field.name
            return f"{where}: {_sentence(inner, problem, version)}"
    return None


def _locate(table: Table, path: list[Any], version: Version) -> tuple[str, Field | None, Table | None]:
    """The dotted name of a place, its field when it is one's value, and the table it is in."""
    if not path:
        return "", None, table
    field = next((f for f in table.fields if f.name == path[0] and f.takes_at(version)), None)
    return str(path[0]), field, table
