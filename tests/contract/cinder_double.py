"""Stands in for Cinder's API in memory: volumes that a test lets come and go, attachments, snapshots, and what restoring a backup copies."""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from higgins.cloud.cinder import Cinder
from higgins.core import errors

Answer = dict[str, Any]

_PLACE = "os-vol-host-attr:host"
_DELETABLE = ("available", "error", "error_deleting")


class CinderDouble:
    """A ``Caller``. With ``slow`` volumes stay under way until ``go_on``; ``before`` is called with each request first. ``asked`` are all of them.

    Of the next request with each method in ``lost`` nobody hears that it was carried out. So many volumes as ``unplaced`` says find no back end:
    they are in error as soon as they are looked at. By its clock ``between`` lies from one volume to the next.
    """

    def __init__(self) -> None:
        self.volumes: dict[str, Answer] = {}
        self.uses: dict[str, Answer] = {}
        self.snapshots: set[str] = set()
        self.slow = False
        self.unplaced = 0
        self.lost: list[str] = []
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.asked: list[str] = []
        self.now, self.between = datetime.datetime.fromisoformat("2026-01-01T00:00:00"), datetime.timedelta(seconds=1)

    def port(self) -> Cinder:
        """The port over it."""
        return Cinder(self, lambda _project: self)

    def call(self, method: str, path: str, *, body: Any = None, query: Any = None, **_more: Any) -> Any:
        self.before(method, path)
        self.asked.append(f"{method} {path}")
        said = f"{method} {path} "
        for pattern, answer in _ROUTES:
            found = re.match(pattern, said)
            if found is not None:
                told = answer(self, *found.groups(), body or {}, query or {})
                if method in self.lost:
                    self.lost.remove(method)
                    raise errors.Timeout("Cinder did not answer in time. Try again later.")
                return told
        raise AssertionError(said)

    def volume(self, *, metadata: dict[str, str] | None = None, **fields: Any) -> str:
        """One more volume, which is there; its id."""
        ident = str(uuid.uuid4())
        self.now += self.between
        made = {
            "id": ident,
            "name": "",
            "status": "available",
            "size": 1,
            "metadata": dict(metadata or {}),
            "multiattach": False,
        }
        made |= {_PLACE: "host@backend#pool", "os-vol-tenant-attr:tenant_id": "project"}
        made |= {"created_at": self.now.isoformat()}
        self.volumes[ident] = made | fields
        return ident

    def restored(self, ident: str) -> str:
        """What a user restores from a backup of a volume: all its metadata are copied."""
        return self.volume(metadata=self.volumes[ident]["metadata"])

    def attach(self, ident: str, *, host: str, mode: str = "rw", device: str = "/dev/vdb", server: str = "") -> str:
        """Another's attachment, completed; its id."""
        use = str(uuid.uuid4())
        connector = {"host": host, "mode": mode, "mountpoint": device}
        self.uses[use] = {
            "volume_id": ident,
            "instance": server or use,
            "attach_mode": mode,
            "status": "attached",
            "to": connector,
        }
        self.volumes[ident]["status"] = "in-use"
        return use

    def go_on(self) -> None:
        """What is under way comes to its end."""
        for ident, one in list(self.volumes.items()):
            if one["status"] == "deleting":
                del self.volumes[ident]
            elif one["status"] == "creating":
                one["status"] = "available"

    def _shown(self, ident: str) -> Answer:
        if ident not in self.volumes:
            raise errors.NotFound(f"There is no volume {ident}.")
        uses = [
            {
                "attachment_id": use,
                "server_id": one["instance"],
                "host_name": one["to"]["host"],
                "device": one["to"]["mountpoint"],
            }
            for use, one in self.uses.items()
            if one["volume_id"] == ident and one["status"] == "attached"
        ]
        return {**self.volumes[ident], "metadata": dict(self.volumes[ident]["metadata"]), "attachments": uses}

    def _list(self, _body: Any, query: Any) -> Answer:
        wanted = json.loads(query.get("metadata", "{}")).items()
        found = [] if "marker" in query else [self._shown(ident) for ident in self.volumes]
        return {"volumes": [one for one in found if wanted <= one["metadata"].items()]}

    def _get(self, ident: str, _body: Any, _query: Any) -> Answer:
        return {"volume": self._shown(ident)}

    def _create(self, body: Any, _query: Any) -> Answer:
        new = body["volume"]
        status = "creating" if self.slow or self.unplaced else "available"
        ident = self.volume(metadata=new["metadata"], size=new["size"], name=new["name"], status=status)
        answer = {"volume": self._shown(ident)}
        if self.unplaced:
            self.unplaced -= 1
            self.volumes[ident] |= {"status": "error", _PLACE: None}
        return answer

    def _delete(self, ident: str, _body: Any, _query: Any) -> None:
        shown = self._shown(ident)
        if ident in self.snapshots or shown["attachments"] or shown["status"] not in _DELETABLE:
            raise errors.Invalid("Volume status must be available and must not have snapshots.")
        self.volumes[ident]["status"] = "deleting"
        if not self.slow:
            self.go_on()

    def _label(self, ident: str, body: Any, _query: Any) -> None:
        self._shown(ident)
        self.volumes[ident]["metadata"] |= body["metadata"]

    def _unlabel(self, ident: str, key: str, _body: Any, _query: Any) -> None:
        self._shown(ident)
        self.volumes[ident]["metadata"].pop(key, None)

    def _list_snapshots(self, _body: Any, query: Any) -> Answer:
        return {"snapshots": [{"id": "s"}] if query["volume_id"] in self.snapshots else []}

    def _use(self, use: str) -> Answer:
        if use not in self.uses:
            raise errors.NotFound(f"There is no attachment {use}.")
        return {"id": use, "connection_info": {"driver_volume_type": "fake"}, **self.uses[use]}

    def _attachments(self, _body: Any, query: Any) -> Answer:
        wanted = {
            "volume_id": query.get("volume_id"),
            "instance": query.get("instance_id"),
            "status": query.get("attach_status"),
        }
        found = [self._use(use) for use in self.uses]
        return {
            "attachments": [one for one in found if all(value in (None, one[name]) for name, value in wanted.items())]
        }

    def _attachment(self, use: str, _body: Any, _query: Any) -> Answer:
        return {"attachment": self._use(use)}

    def _attach(self, body: Any, _query: Any) -> Answer:
        new = body["attachment"]
        volume = self.volumes[new["volume_uuid"]]
        if volume["status"] != "available" and not (volume["multiattach"] and volume["status"] == "in-use"):
            raise errors.Invalid(f"The volume is {volume['status']}.")
        use = self.attach(
            new["volume_uuid"], host=new["connector"]["host"], mode=new["mode"], device=new["connector"]["mountpoint"]
        )
        self.uses[use] |= {"instance": new["instance_uuid"], "status": "attaching"}
        return {"attachment": self._use(use)}

    def _connect(self, use: str, body: Any, _query: Any) -> Answer:
        self._use(use)
        self.uses[use]["to"] = body["attachment"]["connector"]
        return {"attachment": self._use(use)}

    def _complete(self, use: str, _body: Any, _query: Any) -> None:
        self._use(use)
        self.uses[use]["status"] = "attached"

    def _detach(self, use: str, _body: Any, _query: Any) -> None:
        ident = self._use(use)["volume_id"]
        del self.uses[use]
        if ident in self.volumes and all(one["volume_id"] != ident for one in self.uses.values()):
            self.volumes[ident]["status"] = "available"


_ROUTES: tuple[tuple[str, Callable[..., Any]], ...] = (
    (r"GET /volumes/detail ", CinderDouble._list),
    (r"POST /volumes ", CinderDouble._create),
    (r"GET /volumes/([^/]+) ", CinderDouble._get),
    (r"DELETE /volumes/([^/]+) ", CinderDouble._delete),
    (r"POST /volumes/([^/]+)/metadata ", CinderDouble._label),
    (r"DELETE /volumes/([^/]+)/metadata/([^/]+) ", CinderDouble._unlabel),
    (r"GET /snapshots ", CinderDouble._list_snapshots),
    (r"GET /attachments ", CinderDouble._attachments),
    (r"POST /attachments ", CinderDouble._attach),
    (r"GET /attachments/([^/]+) ", CinderDouble._attachment),
    (r"PUT /attachments/([^/]+) ", CinderDouble._connect),
    (r"DELETE /attachments/([^/]+) ", CinderDouble._detach),
    (r"POST /attachments/([^/]+)/action ", CinderDouble._complete),
)
