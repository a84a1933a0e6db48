"""Cinder's volumes and attachments, as far as containers need them. Knows no pod and decides nothing."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from higgins.cloud.session import Caller, Session
from higgins.core import errors

TYPE, TITLE = "block-storage", "Cinder"
MICROVERSION = "volume 3.54"
"""The first that takes the mode of an attachment when it is made; attachments are completed since 3.44."""

_PLACE = "os-vol-host-attr:host"
_PROJECTS_KEPT = 64
_PAGE = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One attachment as its volume tells it. ``mark`` is what the attacher called the device."""

    attachment: str
    server: str
    host: str
    mark: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One volume; ``status`` is Cinder's own word, ``created_at`` its time (ISO 8601, UTC).

    One that is not ``placed`` no back end has: where that fails to make one, it is not placed any more, and nobody can have written to it.
    """

    id: str
    name: str
    status: str
    size_gib: int
    project_id: str
    multiattach: bool = False
    encrypted: bool = False
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    created_at: str = ""
    placed: bool = True
    uses: tuple[Use, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One attachment; ``connection`` is what a host needs to reach the volume, with its secrets, and empty for a mere reservation."""

    id: str
    volume: str
    server: str
    status: str
    mode: str = ""
    connection: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)


class Cinder:
    """The API. Errors are those of ``Service.call``; a ``token`` is a user's own, else the service asks and sees every project."""

    def __init__(self, own: Caller, in_project: Callable[[str], Caller]) -> None:
        self._own = own
        self._in_project = functools.lru_cache(_PROJECTS_KEPT)(in_project)

    def volume(self, ident: str, *, token: str | None = None) -> Volume:
        """The volume of this id; ``NotFound`` when there is none, or none that the asker may see."""
        return _volume(self._own.call("GET", f"/volumes/{ident}", token=token)["volume"])

    def named(self, name: str, project_id: str, *, token: str | None = None) -> list[Volume]:
        """The volumes of this name in a project; with a ``token`` that is its own."""
        query = {"name": name} if token else {"name": name, "all_tenants": "1", "project_id": project_id}
        found = self._own.call("GET", "/volumes/detail", query=query, token=token)
        return [_volume(one) for one in found["volumes"]]

    def with_metadata(self, key: str, value: str) -> list[Volume]:
        """The volumes of all projects that carry this."""
        query = {"all_tenants": "1", "metadata": json.dumps({key: value})}
        return [_volume(one) for one in self._own.call("GET", "/volumes/detail", query=query)["volumes"]]

    def every_volume(self) -> Iterator[Volume]:
        """All volumes of all projects."""
        query: dict[str, str | int] = {"all_tenants": "1", "limit": _PAGE, "sort": "id:asc"}
        while True:
            page = self._own.call("GET", "/volumes/detail", query=query)
            yield from (_volume(one) for one in page["volumes"])
            # Only a full page has a next one. To ask without need is wrong: the marker may be deleted meanwhile.
            if not page["volumes"] or not page.get("volumes_links"):
                return
            query["marker"] = page["volumes"][-1]["id"]

    def create(self, project_id: str, *, size_gib: int, name: str, metadata: Mapping[str, str]) -> Volume:
        """Ask for an empty volume of a project, counted against its quota (``OverQuota``); it is there once its status is ``available``.

        The service's account must have a role in that project.
        """
        body = {"volume": {"size": size_gib, "name": name, "metadata": dict(metadata)}}
        return _volume(self._in_project(project_id).call("POST", "/volumes", body=body)["volume"])

    def delete(self, ident: str) -> None:
        """Ask for its end; nothing happens when it is not there, ``Invalid`` while it is in use."""
        try:
            self._own.call("DELETE", f"/volumes/{ident}")
        except errors.NotFound:
            return

    def has_snapshots(self, ident: str) -> bool:
        """Whether a volume has snapshots, without which Cinder does not delete it."""
        query = {"all_tenants": "1", "volume_id": ident}
        return bool(self._own.call("GET", "/snapshots", query=query)["snapshots"])

    def label(self, ident: str, metadata: Mapping[str, str]) -> None:
        """Add to a volume's metadata."""
        self._own.call("POST", f"/volumes/{ident}/metadata", body={"metadata": dict(metadata)})

    def disown(self, ident: str, key: str) -> None:
        """Take one of a volume's metadata away; nothing happens when it has none such."""
        try:
            self._own.call("DELETE", f"/volumes/{ident}/metadata/{key}")
        except errors.NotFound:
            return

    def attachment(self, ident: str) -> Attachment:
        """One attachment with its connection."""
        return _attachment(self._own.call("GET", f"/attachments/{ident}")["attachment"])

    def attachments(self, *, server: str, volume: str | None = None) -> list[Attachment]:
        """What attaches a volume, or any, to a server (a container), without connections."""
        query = {"all_tenants": "1", "instance_id": server} | ({"volume_id": volume} if volume else {})
        return [_attachment(one) for one in self._own.call("GET", "/attachments", query=query)["attachments"]]

    def unfinished(self) -> Iterator[Attachment]:
        """Attachments of all projects that hold their volume and were never completed, which no volume shows; without connections."""
        for status in ("reserved", "attaching"):
            query = {"all_tenants": "1", "attach_status": status}
            yield from (_attachment(one) for one in self._own.call("GET", "/attachments", query=query)["attachments"])

    def attach(self, volume: str, *, server: str, connector: Mapping[str, Any], mode: str, mark: str) -> Attachment:
        """Connect a volume to the host that ``connector`` describes; ``mode`` is ``rw`` or ``ro``. ``Invalid`` when its status forbids it."""
        device = _for(connector, mode, mark)
        body = {"volume_uuid": volume, "instance_uuid": server, "mode": mode, "connector": device}
        return _attachment(self._own.call("POST", "/attachments", body={"attachment": body})["attachment"])

    def connect(self, attachment: str, *, connector: Mapping[str, Any], mode: str, mark: str) -> Attachment:
        """Connect what was only reserved."""
        body = {"attachment": {"connector": _for(connector, mode, mark)}}
        return _attachment(self._own.call("PUT", f"/attachments/{attachment}", body=body)["attachment"])

    def complete(self, attachment: str) -> None:
        """Say that the host has it: the volume is ``in-use`` from now on."""
        self._own.call("POST", f"/attachments/{attachment}/action", body={"os-complete": attachment})

    def detach(self, attachment: str, *, server: str | None = None) -> None:
        """End an attachment, also one whose host is gone; nothing happens when it is not there, of which ``server`` makes sure."""
        try:
            self._own.call("DELETE", f"/attachments/{attachment}")
        except errors.NotFound as error:
            # A gateway on the way may answer so too, and then the volume would be in use for ever.
            if server is not None and any(one.id == attachment for one in self.attachments(server=server)):
                raise errors.Unavailable(f"{TITLE} contradicts itself. Try again later.") from error


def open_cinder(session: Session) -> Cinder:
    """Cinder of the catalogue. Its requests are vouched for: else it would ask Nova about the server before an attachment may go."""
    return Cinder(
        session.service(TYPE, TITLE, microversion=MICROVERSION, vouched=True),
        lambda project: session.service(
            TYPE, f"{TITLE} in the project {project}", microversion=MICROVERSION, project_id=project
        ),
    )


def _for(connector: Mapping[str, Any], mode: str, mark: str) -> dict[str, Any]:
    return {**connector, "mode": mode, "mountpoint": mark}


def _volume(found: Mapping[str, Any]) -> Volume:
    return Volume(
        id=found["id"],
        name=found.get("name") or "",
        status=found["status"],
        size_gib=found["size"],
        project_id=found.get("os-vol-tenant-attr:tenant_id") or "",
        multiattach=bool(found.get("multiattach")),
        encrypted=bool(found.get("encrypted")),
        metadata=found.get("metadata") or {},
        created_at=found.get("created_at") or "",
        # Who may not see where a volume is finds no such word, and nothing is known then.
        placed=found.get(_PLACE, "unknown") is not None,
        uses=tuple(
            Use(
                attachment=one.get("attachment_id") or "",
                server=one.get("server_id") or "",
                host=one.get("host_name") or "",
                mark=one.get("device") or "",
            )
            for one in found.get("attachments") or ()
        ),
    )


def _attachment(found: Mapping[str, Any]) -> Attachment:
    return Attachment(
        id=found["id"],
        volume=found["volume_id"],
        server=found.get("instance") or "",
        status=found["status"],
        mode=found.get("attach_mode") or "",
        connection=found.get("connection_info") or {},
    )
