"""How an image is named, so that a short name means the same on every engine. Knows no engine; pure.

The rules are those of Docker's command line: a first part without a dot, a colon or the word localhost is no domain,
docker.io is the default domain, ``library/`` its default folder, ``latest`` the default tag.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re

from higgins.core import errors

_PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_DOMAIN = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9a-fA-F:]+\](?::[0-9]+)?")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The parts of an image's name; ``tag`` is empty only when there is a digest."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Domain and path."""
        return f"{self.domain}/{self.path}"

    @property
    def full(self) -> str:
        """The whole name; a digest wins over a tag, since engines refuse both."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"

    @property
    def is_local(self) -> bool:
        """Whether the registry is on this machine, where plain HTTP is safe."""
        host = self.domain.rsplit(":", 1)[0].strip("[]")
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


def parse(text: str) -> Reference:
    """The parts of an image's name; ``Invalid`` when it can be none."""
    name, _, digest = text.strip().partition("@")
    domain, slash, rest = name.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost"):
        domain, rest = "docker.io", name
    path, _, tag = rest.partition(":")
    if domain in ("docker.io", "index.docker.io"):
        domain = "docker.io"
        path = path if "/" in path else f"library/{path}"
    fine = _DOMAIN.fullmatch(domain) and _PATH.fullmatch(path) and (not tag or _TAG.fullmatch(tag))
    if not fine or (digest and not _DIGEST.fullmatch(digest)) or (":" in rest and not tag):
        raise errors.Invalid(
            f"'{text}' is not the name of an image. Write it as NAME, NAME:TAG or REGISTRY/NAME:TAG, in lower case."
        )
    return Reference(domain=domain, path=path, tag=tag or ("" if digest else "latest"), digest=digest)
