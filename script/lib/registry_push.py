"""Puts an image made of tar.gz layers into a registry, with nothing but Python. Knows no engine and nothing of the higgins package.

``registry_push.py REGISTRY NAME[:TAG] CONFIG LAYER...``: CONFIG is JSON in the words of an image's own configuration, such as
``{"Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}}``. What the registry has already is not sent again. The same layers and
configuration give the same digest every time; it is printed. ``REGISTRY_AUTH=USER:PASSWORD`` in the environment logs in.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import os
import pathlib
import platform
import sys
import urllib.parse

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CHUNK_BYTES = 1 << 20


class Registry:
    """One repository of one registry, by plain HTTP."""

    def __init__(self, address: str, repository: str) -> None:
        self._http = http.client.HTTPConnection(address, timeout=300)
        self._repository = repository
        login = os.environ.get("REGISTRY_AUTH", "")
        self._headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}

    def call(
        self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """One call; ends the program when the registry refuses."""
        self._http.request(method, target, body, self._headers | (headers or {}))  # type: ignore[arg-type]
        response = self._http.getresponse()
        text = response.read()
        if response.status >= 400 and response.status != 404:
            sys.exit(f"The registry refused {method} {target}: {response.status} {text.decode(errors='replace')}")
        return response

    def put_blob(self, digest: str, size: int, content: object) -> None:
        """Send a blob that the repository lacks."""
        if self.call("HEAD", f"/v2/{self._repository}/blobs/{digest}").status == 200:
            return
        place = urllib.parse.urlsplit(
            self.call("POST", f"/v2/{self._repository}/blobs/uploads/", b"").headers["Location"]
        )
        query = "&".join(filter(None, (place.query, "digest=" + urllib.parse.quote(digest))))
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        self.call("PUT", f"{place.path}?{query}", content, headers)

    def put_manifest(self, tag: str, manifest: bytes) -> None:
        """Name what was sent."""
        self.call("PUT", f"/v2/{self._repository}/manifests/{tag}", manifest, {"Content-Type": MANIFEST})


def digest_of(path: pathlib.Path, *, unpacked: bool) -> str:
    """The digest of a layer as it is, or of the tar in it."""
    sha = hashlib.sha256()
    with gzip.open(path) if unpacked else path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            sha.update(chunk)
    return f"sha256:{sha.hexdigest()}"


def push(address: str, name: str, config: dict[str, object], layers: list[pathlib.Path]) -> str:
    """Send everything; answers the digest of the manifest."""
    repository, _, tag = name.partition(":")
    registry = Registry(address, repository)
    described = []
    for layer in layers:
        digest, size = digest_of(layer, unpacked=False), layer.stat().st_size
        with layer.open("rb") as stream:
            registry.put_blob(digest, size, stream)
        described.append({"mediaType": LAYER, "digest": digest, "size": size})
    machine = platform.machine()
    whole = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer, unpacked=True) for layer in layers]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "Debian packages"} for _ in layers],
    }
    content = json.dumps(whole, sort_keys=True).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    registry.put_blob(digest, len(content), content)
    shape = {"mediaType": CONFIG, "digest": digest, "size": len(content)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": shape, "layers": described}).encode()
    registry.put_manifest(tag or "latest", manifest)
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    print(push(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), [pathlib.Path(word) for word in sys.argv[4:]]))
