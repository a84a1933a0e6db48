"""What the manifests in an image's archive say: where its config and its layers lie. Pure; knows neither files nor tars."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from higgins.agent.hands.members import broken

_INDEX = "application/vnd.oci.image.index.v1+json"
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MOST_DEPTH = 4

Place = tuple[str, tuple[str, ...]]
"""The names of the config and of the layers, the lowest first, in the archive."""


def docker(manifest: Any) -> Place:
    """The place of the one image of a ``manifest.json``."""
    if not isinstance(manifest, list) or not all(isinstance(one, dict) for one in manifest):
        raise broken("its manifest.json is no list of images")
    if len(manifest) != 1:
        raise broken(f"it holds {len(manifest)} images. Save a single one")
    config, layers = manifest[0].get("Config"), manifest[0].get("Layers") or []
    if not isinstance(config, str) or not isinstance(layers, list) or not all(isinstance(at, str) for at in layers):
        raise broken("its manifest.json does not say where config and layers are")
    return config, tuple(layers)


def oci(read: Callable[[str], Any], architecture: str) -> Place:
    """The place of the one image of a layout that is for this machine; ``read`` gives the decoded JSON of a member."""
    described = _object(read("index.json"), "index.json")
    for _ in range(_MOST_DEPTH):
        if not isinstance(described.get("manifests"), list):
            break
        described = _object(read(_blob(_chosen(described["manifests"], architecture))), "its manifest")
    config, layers = described.get("config"), described.get("layers")
    if not isinstance(config, dict) or not isinstance(layers, list):
        raise broken("its index.json leads to no image")
    return _blob(config), tuple(_blob(layer) for layer in layers)


def _chosen(manifests: list[Any], architecture: str) -> Any:
    images = [one for one in manifests if isinstance(one, dict) and not _is_attestation(one)]
    fitting = [one for one in images if _platform(one).get("architecture") in (None, architecture)]
    if not images:
        raise broken("it holds no image")
    if not fitting:
        raise broken(f"it holds no image for {architecture}")
    if len(fitting) > 1 and not any(one.get("mediaType") in (_INDEX, _LIST) for one in fitting):
        fitting = [one for one in fitting if _platform(one).get("architecture") == architecture] or fitting
    if len(fitting) > 1:
        raise broken(f"it holds {len(fitting)} images. Save a single one")
    return fitting[0]


def _is_attestation(described: dict[str, Any]) -> bool:
    return _platform(described).get("architecture") == "unknown"


def _platform(described: dict[str, Any]) -> dict[str, Any]:
    found = described.get("platform")
    return found if isinstance(found, dict) else {}


def _blob(described: Any) -> str:
    digest = described.get("digest") if isinstance(described, dict) else None
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if found is None:
        raise broken("a manifest in it names no digest")
    return f"blobs/sha256/{found[1]}"


def diff_ids(config: Any) -> tuple[str, ...]:
    """The digests of the layers' plain tars, the lowest first, as an image's config names them."""
    roots = _object(_object(config, "its config").get("rootfs"), "the rootfs of its config")
    found = roots.get("diff_ids") or []
    if not isinstance(found, list) or not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in found):
        raise broken("its config does not name its layers")
    return tuple(found)


def _object(found: Any, what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise broken(f"{what} is not what it should be")
    return found
