"""Names that people and engines use: what a uuid, a container's name and a signal look like, and the name of a nameless container. Pure."""

from __future__ import annotations

import re
import signal as _signals

_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

NAME_MAX = 255
LOCAL_IMAGES = "higgins.local"
"""The registry that is none: under it a host's engine keeps images that came otherwise. No user may name one there."""

# fmt: off
LETTERS = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)
# fmt: on
DEFAULT_NAMES = len(LETTERS) * 99
"""How many different names ``default_name`` gives."""


def is_uuid(text: str) -> bool:
    """Whether this is a uuid in one of its two usual spellings."""
    return _UUID.fullmatch(text) is not None


def is_container_name(text: str) -> bool:
    """Whether a container may be called so."""
    return 2 <= len(text) <= NAME_MAX and _NAME.fullmatch(text) is not None


def default_name(number: int) -> str:
    """``<greek>-<n>-container`` of a number (any; it wraps at ``DEFAULT_NAMES``)."""
    letter, count = divmod(number % DEFAULT_NAMES, 99)
    return f"{LETTERS[letter]}-{count + 1}-container"


def signal_name(text: str | int | None) -> str | None:
    """The full name of a signal given as ``SIGHUP``, ``hup``, ``1`` or 1; KILL for nothing or ``None``; ``None`` when there is no such signal."""
    word = "" if text is None else str(text).strip().upper()
    if word in ("", "NONE"):
        return "SIGKILL"
    if word.isascii() and word.isdigit():
        number = int(word)
        return next((known.name for known in _signals.Signals if known.value == number), _real_time(number))
    name = word if word.startswith("SIG") else f"SIG{word}"
    return name if name in _signals.Signals.__members__ else _real_time_named(name)


def _real_time(number: int) -> str | None:
    # Python's enum has only the first and the last of the real-time signals.
    if _signals.SIGRTMIN < number < _signals.SIGRTMAX:
        return f"SIGRTMIN+{number - _signals.SIGRTMIN}"
    return None


def _real_time_named(name: str) -> str | None:
    found = re.fullmatch(r"SIGRT(MIN\+|MAX-)(\d{1,2})", name)
    if found is None or int(found[2]) > _signals.SIGRTMAX - _signals.SIGRTMIN:
        return None
    return name
