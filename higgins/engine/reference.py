"""What an image's name means to every engine alike: the grammar of ``core.reference`` with Docker's defaults filled in. Knows no engine; pure.

``docker.io`` is the default domain, ``library/`` its default folder, ``latest`` the default tag.
"""

from __future__ import annotations

import dataclasses
import ipaddress

from higgins.core import reference

DOCKER_IO = ("docker.io", "index.docker.io")


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
    named = reference.parse(text.strip())
    domain, path = named.domain or DOCKER_IO[0], named.path
    if domain in DOCKER_IO:
        domain = DOCKER_IO[0]
        path = path if "/" in path else f"library/{path}"
    return Reference(
        domain=domain,
        path=path,
        tag=named.tag or ("" if named.digest else "latest"),
        digest=named.digest or "",
    )
