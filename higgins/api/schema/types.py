"""The types of Zun's API, with its loose forms: numbers may be strings, truth may be a word. Pure; knows no resource."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import shlex
from typing import Any

from higgins.api.schema.table import MAX_VERSION, MIN_VERSION, Table, Type, Version, dotted, invalid

_YES = ("1", "t", "true", "on", "y", "yes")
_NO = ("0", "f", "false", "off", "n", "no")
_WORDS = {form: word in _YES for word in (*_YES, *_NO) for form in (word, word.title(), word.upper())}
_NONE_WORD = "None"
_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n\t ]*+={0,2}[\r\n\t ]*+")

TEXT_SCHEMA: dict[str, Any] = {"type": "string"}
UUID_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 36, "maxLength": 36}
MAP_SCHEMA: dict[str, Any] = {"type": "object"}
TEXTS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
MAYBE_TEXT_SCHEMA: dict[str, Any] = {"type": ["string", "null"]}
BOOL_SCHEMA: dict[str, Any] = {"type": "boolean"}
INT_SCHEMA: dict[str, Any] = {"type": "integer"}
MAYBE_INT_SCHEMA: dict[str, Any] = {"type": ["integer", "null"]}
NUMBER_SCHEMA: dict[str, Any] = {"type": "number"}
MAYBE_NUMBER_SCHEMA: dict[str, Any] = {"type": ["number", "null"]}


def text(low: int = 1, high: int = 255, *, pattern: str | None = None, says: str | None = None) -> Type:
    """A string of that many characters."""
    schema: dict[str, Any] = {"type": "string", "minLength": low, "maxLength": high}
    if pattern is not None:
        schema["pattern"] = pattern
    return Type(schema=schema, says=says or f"a string of {low} to {high} characters")


def choice(*words: str, says: str | None = None, read: Any = str.lower) -> Type:
    """One of some words."""
    return Type(schema={"type": "string", "enum": list(words)}, says=says or "one of " + ", ".join(words), read=read)


def number(low: float, high: float, says: str) -> Type:
    """A number, or a string that is one."""

    def read(value: Any) -> float:
        found = float(value)
        if not low <= found <= high:
            raise ValueError(value)
        return found

    schema = {
        "anyOf": [
            {"type": "number", "minimum": low, "maximum": high},
            {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "maxLength": 24},
        ]
    }
    return Type(schema=schema, says=says, read=read)


def whole(low: int, high: int, says: str, *, none_word: bool = False) -> Type:
    """A whole number, or a string of its digits; with ``none_word`` also "None"."""

    def read(value: Any) -> int | None:
        if value == _NONE_WORD and none_word:
            return None
        found = int(value)
        if not low <= found <= high:
            raise ValueError(value)
        return found

    sign = "-?" if low < 0 else ""
    pattern = rf"^({sign}[0-9]+|{_NONE_WORD})$" if none_word else rf"^{sign}[0-9]+$"
    schema = {
        "anyOf": [
            {"type": "integer", "minimum": low, "maximum": high},
            {"type": "string", "pattern": pattern, "maxLength": 20},
        ]
    }
    return Type(schema=schema, says=says, read=read)


def texts(says: str, *, low: int = 0, high: int = 65536, most: int = 1024) -> Type:
    """A list of strings, read as a tuple."""
    schema = {"type": "array", "maxItems": most, "items": {"type": "string", "minLength": low, "maxLength": high}}
    return Type(schema=schema, says=says, read=tuple)


def one(table: Table, says: str, read: Any) -> Type:
    """An object with the fields of a table; ``read`` gets its typed values."""
    return Type(schema={"type": "object"}, says=says, read=read, table=table)


def many(table: Table, says: str, read: Any) -> Type:
    """A list of objects with the fields of a table; ``read`` gets the list."""
    return Type(schema={"type": "array", "maxItems": 256}, says=says, read=read, table=table)


def read_words(value: str) -> tuple[str, ...]:
    """The words of a command line, quoted as a shell quotes."""
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise invalid(f"The command cannot be split into words ({error}); check its quotes.") from None


def read_base64(value: str, what: str) -> bytes:
    """The bytes of base64, with or without line ends; large values are not copied on the way."""
    try:
        if _BASE64.fullmatch(value) is not None:
            return base64.b64decode(value)
    except (binascii.Error, ValueError):
        pass
    raise invalid(f"{what} must be base64.")


def read_address(value: str, version: int) -> str:
    """An IP address in its usual form."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise invalid(f"{value!r} is not an IPv{version} address.")
    return str(address)


def _scalars_as_text(value: dict[str, Any]) -> dict[str, str]:
    return {key: item if isinstance(item, str) else str(item) for key, item in value.items()}


def _unless_none_word(value: str) -> str | None:
    return None if value == _NONE_WORD else value


def _read_version(value: str) -> Version:
    major, _, minor = value.partition(".")
    version = (int(major), int(minor))
    if not MIN_VERSION <= version <= MAX_VERSION:
        raise invalid(
            f"Microversion {value} is not spoken here; name one from {dotted(MIN_VERSION)} to {dotted(MAX_VERSION)}."
        )
    return version


MICROVERSION = Type(
    schema={"type": "string", "pattern": r"^[0-9]{1,3}\.[0-9]{1,4}$"},
    says="a microversion such as 1.40",
    read=_read_version,
)
BOOL = Type(
    schema={"enum": [True, False, *sorted(_WORDS)]},
    says="true or false (or a word for it: yes, no, on, off, 1, 0)",
    read=lambda value: value if isinstance(value, bool) else _WORDS[value],
)
TEXTS = texts("a list of strings")
SHELL_WORDS = Type(schema={"type": "string", "maxLength": 65536}, says="a command line in one string", read=read_words)
COMMAND = Type(
    schema={
        "anyOf": [
            {"type": "string", "minLength": 1, "maxLength": 65536},
            {"type": "array", "minItems": 1, "maxItems": 1024, "items": {"type": "string", "maxLength": 65536}},
        ]
    },
    says="a command line in one string, or a list of its words",
    read=lambda value: read_words(value) if isinstance(value, str) else tuple(value),
)
ENVIRONMENT = Type(
    schema={
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": 255, "pattern": "^[^=]+$"},
        "additionalProperties": {"type": "string", "maxLength": 65536},
    },
    says="a map of names (without '=') to strings",
)
LABELS = Type(
    schema={
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": 255},
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    },
    says="a map of names to strings",
    read=_scalars_as_text,
)
NAME = text(
    2,
    255,
    pattern="^[a-zA-Z0-9][a-zA-Z0-9_.-]+$",
    says="a name of 2 to 255 letters, digits, '_', '.' and '-' that begins with a letter or digit",
)
MAYBE_WORD = Type(
    schema={"type": "string", "maxLength": 255},
    says='a string of at most 255 characters, or "None"',
    read=_unless_none_word,
)
TIMEOUT = whole(0, 86400, "a whole number of seconds from 0 to 86400", none_word=True)
