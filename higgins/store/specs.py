"""A pod's spec as it stands in the database: JSON without secrets, and the secrets sealed beside it."""

from __future__ import annotations

import dataclasses

import msgspec

from higgins.core import model
from higgins.store.seal import Sealer
from higgins.threads import typed_json

SPEC_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Secrets:
    """What is sealed of one container: its environment, and the injected files by their destination."""

    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Environment:
    """Of the same JSON the environment alone, so that a list of containers does not decode every injected file."""

    environment: dict[str, str] = dataclasses.field(default_factory=dict)


_encoder = msgspec.json.Encoder()


def decode(text: str) -> model.PodSpec:
    """The spec without its secrets."""
    return typed_json.decode(text, model.PodSpec)


def encode(spec: model.PodSpec, pod_uuid: str, sealer: Sealer) -> tuple[str, bytes | None]:
    """The column ``spec``, without environments and files' contents, and the column ``sealed`` with them."""
    secrets: dict[str, _Secrets] = {}
    bare = dataclasses.replace(
        spec,
        containers=tuple(_strip(container, secrets) for container in spec.containers),
        init_containers=tuple(_strip(container, secrets) for container in spec.init_containers),
    )
    sealed = sealer.seal(_encoder.encode(secrets), _context(pod_uuid)) if secrets else None
    return _encoder.encode(bare).decode(), sealed


def restore(spec: model.PodSpec, sealed: bytes | None, pod_uuid: str, sealer: Sealer) -> model.PodSpec:
    """The spec with its secrets in their places again."""
    if sealed is None:
        return spec
    secrets = typed_json.decode(sealer.open(sealed, _context(pod_uuid)), dict[str, _Secrets])
    return dataclasses.replace(
        spec,
        containers=tuple(_fill(container, secrets) for container in spec.containers),
        init_containers=tuple(_fill(container, secrets) for container in spec.init_containers),
    )


def environments(sealed: bytes | None, pod_uuid: str, sealer: Sealer) -> dict[str, dict[str, str]]:
    """The environments alone, by container; cheaper than the whole spec where a list of pods is shown."""
    if sealed is None:
        return {}
    secrets = typed_json.decode(sealer.open(sealed, _context(pod_uuid)), dict[str, _Environment])
    return {container: own.environment for container, own in secrets.items()}


def _context(pod_uuid: str) -> str:
    return f"pods/{pod_uuid}/spec"


def _strip(container: model.ContainerSpec, secrets: dict[str, _Secrets]) -> model.ContainerSpec:
    files = {mount.destination: mount.content for mount in container.mounts if mount.content is not None}
    if not files and not container.environment:
        return container
    secrets[container.uuid] = _Secrets(environment=container.environment, files=files)
    mounts = tuple(dataclasses.replace(mount, content=None) for mount in container.mounts)
    return dataclasses.replace(container, environment={}, mounts=mounts)


def _fill(container: model.ContainerSpec, secrets: dict[str, _Secrets]) -> model.ContainerSpec:
    own = secrets.get(container.uuid)
    if own is None:
        return container
    mounts = tuple(
        dataclasses.replace(mount, content=own.files[mount.destination]) if mount.destination in own.files else mount
        for mount in container.mounts
    )
    return dataclasses.replace(container, environment=own.environment, mounts=mounts)
