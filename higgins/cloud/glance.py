"""Glance's REST API, thinly typed: images, their members, and their data as streams.

Must not know what a container is. Data is never held: a chunk at a time goes through.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from higgins.core import errors

if TYPE_CHECKING:  # so that types alone need no keystoneauth1
    from higgins.cloud.session import Service, Session

CHUNK_BYTES = 256 * 1024
PAGE = 500
DOCKER = "docker"
"""The container format of images that a container engine can load."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image. ``checksum`` is by ``algorithm``, both empty until there is data; ``size_bytes`` is 0 until then.

    ``properties`` are all of Glance's own words on it, as its API gives them.
    """

    uuid: str
    name: str
    status: str
    visibility: str
    owner: str
    container_format: str
    tags: tuple[str, ...] = ()
    algorithm: str = ""
    checksum: str = ""
    size_bytes: int = 0
    properties: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def is_active(self) -> bool:
        """Whether its data is there and may be used."""
        return self.status == "active"


class Leave(enum.Enum):
    """Whether a project may use an image; of one that it was offered it must say first that it takes it."""

    GIVEN = "given"
    OFFERED = "offered"
    NONE = "none"


_LEAVES = {"accepted": Leave.GIVEN, "pending": Leave.OFFERED}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """An image to make, without data yet; its uuid is chosen by who makes it, so that it can be found whatever becomes of the answer."""

    uuid: str
    name: str
    disk_format: str
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Glance:
    """Safe to share between threads. ``token`` is a user's own: asked with it, Glance shows what that user may see."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @classmethod
    def of(cls, session: Session) -> Glance:
        """The port over a session."""
        return cls(session.service("image", "Glance"))

    def get(self, uuid: str, *, token: str | None = None) -> Image:
        """One image; ``ImageNotFound``."""
        try:
            return _image(self._service.call("GET", f"/v2/images/{uuid}", token=token))
        except errors.NotFound as error:
            raise errors.ImageNotFound(f"Glance has no image {uuid}, or you may not see it. Name another.") from error

    def list(self, *, token: str | None = None, **filters: str) -> Sequence[Image]:
        """The images that fit Glance's own filters (``name``, ``status``, any property), page by page to the last."""
        found: list[Image] = []
        path, query = "/v2/images", {"limit": str(PAGE)} | {word: _filter(value) for word, value in filters.items()}
        while True:
            answer = self._service.call("GET", path, query=query, token=token)
            page = [_image(one) for one in answer["images"]]
            found += page
            if not page or not answer.get("next"):
                return found
            query["marker"] = page[-1].uuid

    def leave(self, image: Image, project_id: str) -> Leave:
        """Whether a project may use an image: its own, one for all, or one that it was offered and has accepted."""
        if image.owner == project_id or image.visibility in ("public", "community"):
            return Leave.GIVEN
        if image.visibility != "shared":
            return Leave.NONE
        try:
            member = self._service.call("GET", f"/v2/images/{image.uuid}/members/{project_id}")
        except errors.NotFound:
            return Leave.NONE
        return _LEAVES.get(member["status"], Leave.NONE)

    def create(self, new: NewImage, *, token: str | None = None) -> Image:
        """Make an image without data, in the project of who asks."""
        body = {
            **new.properties,
            "id": new.uuid,
            "name": new.name,
            "container_format": DOCKER,
            "disk_format": new.disk_format,
            "tags": list(new.tags),
        }
        return _image(self._service.call("POST", "/v2/images", body=body, token=token))

    def upload(self, uuid: str, data: Iterable[bytes], *, token: str | None = None) -> None:
        """Give an image its data, as they come; what ``data`` raises comes out, and then the image has none."""
        headers = {"Content-Type": "application/octet-stream"}
        self._service.raw("PUT", f"/v2/images/{uuid}/file", data=_Once(data), headers=headers, token=token)

    @contextlib.contextmanager
    def download(self, uuid: str, offset: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        """How many bytes an image has from an offset on, and these in chunks; ``Unavailable`` when they break off.

        ``ImageNotFound`` when it was deleted, ``Invalid`` when it may not be used now.
        """
        image = self.get(uuid)
        if not image.is_active:
            raise errors.Invalid(f"The image {uuid} is {image.status} in Glance, so that it cannot be used.")
        left = max(0, image.size_bytes - offset)
        if not left:
            yield 0, iter(())
            return
        headers = {"Accept": "application/octet-stream"} | ({"Range": f"bytes={offset}-"} if offset else {})
        answer = self._service.raw("GET", f"/v2/images/{uuid}/file", headers=headers, stream=True)
        with contextlib.closing(answer):
            yield left, _translated(_from(answer.iter_content(CHUNK_BYTES), 0 if answer.status_code == 206 else offset))

    def delete(self, uuid: str, *, token: str | None = None) -> None:
        """Delete an image; nothing happens when it is not there."""
        with contextlib.suppress(errors.NotFound):
            self._service.raw("DELETE", f"/v2/images/{uuid}", token=token)


class _Once:
    """Data that can be sent a single time: a client that sends a request again would send the rest for the whole."""

    def __init__(self, data: Iterable[bytes]) -> None:
        self._data: Iterable[bytes] | None = data

    def __iter__(self) -> Iterator[bytes]:
        data, self._data = self._data, None
        if data is None:
            raise errors.Unavailable("Glance asked for the image's data a second time. Try again.")
        yield from data


def _filter(value: str) -> str:
    """A filter's value, which Glance would else take for an operator and its operand where there is a colon in it."""
    return f'in:"{value}"' if ":" in value and '"' not in value else value


def _image(found: Mapping[str, Any]) -> Image:
    algorithm, checksum = found.get("os_hash_algo"), found.get("os_hash_value")
    return Image(
        uuid=found["id"],
        name=found.get("name") or "",
        status=found["status"],
        visibility=found.get("visibility") or "private",
        owner=found.get("owner") or "",
        container_format=found.get("container_format") or "",
        tags=tuple(found.get("tags") or ()),
        algorithm=algorithm if algorithm and checksum else "md5",
        checksum=(checksum if algorithm and checksum else found.get("checksum")) or "",
        size_bytes=found.get("size") or 0,
        properties=found,
    )


def _from(chunks: Iterator[bytes], skipped: int) -> Iterator[bytes]:
    """The chunks without their first bytes: of a store that cannot begin in the middle everything is read again."""
    for chunk in chunks:
        if skipped < len(chunk):
            yield chunk[skipped:] if skipped else chunk
        skipped = max(0, skipped - len(chunk))


def _translated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from higgins.cloud.session import translated

    try:
        yield from chunks
    except Exception as error:
        raise translated(error, "Glance") from error
