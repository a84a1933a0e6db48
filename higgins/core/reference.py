"""How an image is named: its registry, path, tag and digest, by the grammar that Docker's registries share. Pure."""

from __future__ import annotations

import dataclasses
import re

from higgins.core.errors import Invalid
from higgins.core.names import LOCAL_IMAGES

_DOMAIN = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d+)?"
)
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,128}")
_ID = re.compile(r"sha256|[0-9a-fA-F]{64}")

_DOCKERS_OWN = ("docker.io", "index.docker.io", "registry-1.docker.io")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image's name in its parts; ``None`` for a part that was not named."""

    domain: str | None
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repo(self) -> str:
        """The name without tag and digest."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def is_ours(self) -> bool:
        """Whether it stands where hosts keep what is not for everybody, so that no user may name it."""
        return self.domain is not None and is_ours(self.domain)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repo}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """The parts of a name like ``host:5000/team/nginx:1.25@sha256:...``; ``Invalid`` (code ``invalid-image-name``) for anything else."""
    rest, _, digest = text.partition("@")
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise _ill(text, "what follows the @ is no digest such as sha256:<64 hex digits>")
    head, colon, tag = rest.rpartition(":")
    if colon and "/" not in tag:
        rest = head
        if not _TAG.fullmatch(tag):
            raise _ill(text, f"'{tag}' is no tag")
    else:
        tag = ""
    first, slash, path = rest.partition("/")
    domain = first if slash and (first == "localhost" or any(mark in first for mark in ".:")) else None
    if domain is None:
        path = rest
    elif not _DOMAIN.fullmatch(domain):
        raise _ill(text, f"'{domain}' is no host")
    if domain is None and _ID.fullmatch(path):
        raise _ill(text, "that is an image's id, and images are named by where they come from")
    if not all(_PART.fullmatch(part) for part in path.split("/")):
        raise _ill(text, "a path has small letters, digits, and '.', '_' or '-' between them")
    return Reference(domain=domain, path=path, tag=tag or None, digest=digest or None)


def same_registry(domain: str | None, other: str | None) -> bool:
    """Whether both are one registry: in any case of letters, Docker's own by each of its names or by none."""
    return _plain(domain) == _plain(other)


def is_domain(text: str) -> bool:
    """Whether this can stand before an image's path and be told from a part of it."""
    return (text == "localhost" or any(mark in text for mark in ".:")) and _DOMAIN.fullmatch(text) is not None


def _plain(domain: str | None) -> str:
    low = (domain or _DOCKERS_OWN[0]).lower()
    return _DOCKERS_OWN[0] if low in _DOCKERS_OWN else low


def is_ours(domain: str) -> bool:
    """Whether this is the registry that is none, however it is spelled and whatever its port."""
    return domain.partition(":")[0].lower() == LOCAL_IMAGES


def _ill(text: str, why: str) -> Invalid:
    return Invalid(f"'{text}' is not the name of an image: {why}.", code="invalid-image-name")
