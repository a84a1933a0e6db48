"""Three calls that the shell needs of an engine before Higgins itself is there; knows nothing of the higgins package.

``ping SOCKET`` exits 0 when an engine answers. ``has-image SOCKET NAME`` exits 0 when the image is in its store.
``import SOCKET REPOSITORY TAG TARFILE [DIRECTIVE...]`` makes an image of a root file system; a directive is a line of a
Dockerfile such as ``CMD ["sh"]``. Docker and Podman answer the same paths here.
"""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import socket
import sys
import urllib.parse
from typing import IO


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(path: str, method: str, target: str, body: IO[bytes] | None = None, size: int = 0) -> tuple[int, bytes]:
    """Status and body of one call; ``OSError`` when nothing answers."""
    connection = UnixConnection(path, timeout_s=300 if body else 10)
    headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)} if body else {}
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def import_image(path: str, repository: str, tag: str, tar: str, directives: list[str]) -> int:
    """Exit status of importing a tar as ``repository:tag``."""
    query = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": directives}
    target = "/images/create?" + urllib.parse.urlencode(query, doseq=True)
    with pathlib.Path(tar).open("rb") as stream:
        status, answer = call(path, "POST", target, stream, os.fstat(stream.fileno()).st_size)
    lines = [json.loads(line) for line in answer.splitlines() if line.strip().startswith(b"{")]
    problem = next(
        (line.get("error") or line.get("message") for line in lines if "error" in line or "message" in line), None
    )
    if status >= 300 or problem:
        print(f"The engine did not take the image {repository}:{tag}: {problem or answer!r}", file=sys.stderr)
        return 1
    return 0


def main(words: list[str]) -> int:
    """Exit status for one command line."""
    match words:
        case ["ping", path]:
            return 0 if call(path, "GET", "/_ping")[0] == 200 else 1
        case ["has-image", path, name]:
            return 0 if call(path, "GET", f"/images/{urllib.parse.quote(name, safe='')}/json")[0] == 200 else 1
        case ["import", path, repository, tag, tar, *directives]:
            return import_image(path, repository, tag, tar, directives)
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError:
        sys.exit(1)
