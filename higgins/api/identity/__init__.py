"""Who calls. One small protocol, and a file each for the ways to find out; Keystone's is one more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from higgins.core.caller import Caller


class Identity(Protocol):
    """A way to find out who calls; safe in all threads."""

    challenge: str | None

    def identify(self, environ: Mapping[str, Any], request_id: str) -> Caller:
        """The caller of a WSGI request; ``Unauthorized`` when that cannot be confirmed. ``challenge`` is then the WWW-Authenticate."""
        ...
