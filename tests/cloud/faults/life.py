"""One container's life with one thing that goes wrong in it, and what is to be said of it afterwards. Knows no pytest."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import threading
import time

from tests.cloud.faults.board import Fault

TITLES = ("Keystone", "Neutron", "Cinder", "Glance", "Placement")
WAIT_S = 300.0
SILENT_S = 120.0
"""After longer than a service is waited for, what is held up must say why."""
ENDED = ("Running", "Error")


class Stuck(AssertionError):
    """Something did not come to its end."""


@dataclasses.dataclass(slots=True)
class Life:
    """What became of one container. ``words`` are the ids of all that was made for it; ``stage`` is where in a busy life the fault strikes."""

    site: str
    answer: str
    lasts_s: float = 0.0
    nth: int = 1
    stage: str = ""
    outcome: str = "stuck"
    told: list[str] = dataclasses.field(default_factory=list)
    uuid: str = ""
    words: set[str] = dataclasses.field(default_factory=set)
    hits: int = 0
    left: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        lasting = f" for {self.lasts_s:g} s" if self.lasts_s else ""
        return f"{self.title} -> {self.answer}{lasting} (#{self.nth}) of {self.uuid}: {self.outcome} {self.told} {self.left}"

    @property
    def title(self) -> str:
        """Its call site, and the stage."""
        return f"{self.stage}: {self.site}" if self.stage else self.site

    def at(self, stage: str) -> Life:
        """The same in a stage of a busy life."""
        return dataclasses.replace(self, stage=stage, told=[], words=set(), left=[])

    def has(self, service: str) -> bool:
        """Whether it has all that this service gives."""
        return self.site.startswith("all:") or f" {service} " in self.site

    @property
    def wrong(self) -> str:
        """What is not as it must be; empty when all is."""
        # A service that is slow by itself may be named too.
        nameless = [
            one for one in self.told if not any(title in one for title in TITLES) or one.strip()[-1:] not in ".)"
        ]
        if self.left:
            return "left over"
        if self.outcome == "stuck":
            return "stuck"
        return "a reason that names nobody" if nameless else ""


class Lane:
    """One user who makes containers one after another, with a token of his own by which his requests are known."""

    def __init__(self, site):
        self.site, self.token = site, site.tenant.token()
        self._pause = threading.Event()

    def body(self, *, network=None, image=None, volume=True, exposed=True):
        """A container of Glance's image on a network, with an exposed port and a volume of a size."""
        body = {
            "image": image or self.site.tenant.image,
            "nets": [{"network": network or self.site.tenant.networks[0]}],
            "memory": "64",
            "cpu": 0.1,
        }
        body |= {"exposed_ports": {"80/tcp": {}}} if exposed else {}
        return body | ({"mounts": [{"size": "1", "destination": "/data"}]} if volume else {})

    def ask(self, method, path, body=None):
        """One request."""
        return self.site.request(method, path, body, token=self.token)

    def actions(self, uuid):
        """What was asked of a container, with the reasons of what failed."""
        place = f"/v1/containers/{uuid}/container_actions"
        return self.site.request("GET", place, token=self.token, version="1.41").json["containerActions"]

    def create(self, body):
        """The uuid of a new container, asked for until the service takes it."""
        return self._insisted("POST", "/v1/containers?run=true", body, (202,)).json["uuid"]

    def act(self, uuid, action):
        """Have something done to a container."""
        self._insisted("POST", f"/v1/containers/{uuid}/{action}", None, (202,))

    def delete(self, uuid):
        """Have a container deleted, whatever its state."""
        self._insisted("DELETE", f"/v1/containers/{uuid}?stop=true", None, (204, 404))

    def ended(self, uuid):
        """The container once nothing is under way."""
        settled = (*ENDED, "Stopped")
        return self._until(
            Life("", "", uuid=uuid), lambda one: one["status"] in settled and not one["task_state"], "ended"
        )

    def gone(self, uuid):
        """Wait until a container is gone."""
        self._until(Life("", "", uuid=uuid), lambda one: one is None, "gone")

    def _insisted(self, method, path, body, wanted):
        deadline = time.monotonic() + WAIT_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                said = self.ask(method, path, body)
                if said.status in wanted:
                    return said
                assert said.status >= 500, said
                assert said.fault.strip()[-1:] in ".)", said
            if time.monotonic() > deadline:
                raise Stuck(f"{method} {path} is not answered as it should be")
            self._pause.wait(0.5)

    def live(self, life: Life, fault: Fault | None = None, *, alone: bool = False) -> Life:
        """Create, attach and detach a network, delete; with a fault somewhere. ``alone`` says that whoever asks is meant."""
        own = any(mark in life.site for mark in ("/networks/", "/subnets", "image GET"))
        tenant = self.site.tenant
        body = self.body(
            network=tenant.new_network() if own else None,
            image=tenant.new_image() if "image GET" in life.site else None,
        )
        life.words |= {self.token} if life.site.startswith("api:") else set()
        life.words |= {body["nets"][0]["network"]} if own else set()
        life.words |= {body["image"]} if "image GET" in life.site else set()
        if fault is not None:
            fault.words = None if alone else life.words
            fault.pending = not alone and not life.site.startswith("api:")
        with contextlib.ExitStack() as stack:
            if fault is not None:
                stack.enter_context(self.site.board.armed(fault))
            else:
                stack.enter_context(self.site.board.watching(life.words))
            try:
                self._live(life, body, fault)
            except Stuck as late:
                life.told.append(str(late))
        life.hits = 0 if fault is None else fault.hits
        return life

    def _live(self, life: Life, body, fault) -> None:
        made = self._asked(life, "POST", "/v1/containers?run=true", body)
        if made is None:
            return
        life.uuid = made.json["uuid"]
        life.words.add(life.uuid)
        if fault is not None:
            self.site.board.about(fault, life.uuid)
        shown = self._until(life, lambda one: one["status"] in ENDED and not one["task_state"], "created")
        if shown["status"] == "Error":
            life.told.append(shown["status_reason"] or "")
            life.outcome = "failed"
        else:
            if life.has("network"):
                self._change_networks(life)
            life.outcome = "recovered"
        self._delete(life)

    def _change_networks(self, life: Life) -> None:
        """Attach the second network and detach it again; an attach that fails leaves the container as it was."""
        second = self.site.tenant.networks[1]
        place = f"/v1/containers/{life.uuid}"
        if self._asked(life, "POST", f"{place}/network_attach?network={second}") is not None:
            shown = self._until(life, lambda one: not one["task_state"], "attached")
            if second in (shown["addresses"] or {}):
                self._asked(life, "POST", f"{place}/network_detach?network={second}")
                self._until(
                    life, lambda one: not one["task_state"] and second not in (one["addresses"] or {}), "detached"
                )
            else:
                life.told += [one["reason"] for one in self.actions(life.uuid) if one["reason"]]

    def _delete(self, life: Life) -> None:
        outcome, life.outcome = life.outcome, "stuck"
        self._asked(life, "DELETE", f"/v1/containers/{life.uuid}?stop=true")
        self._until(life, self._is_gone(life), "gone")
        life.outcome = outcome

    def _is_gone(self, life: Life):
        """What a container's deletion is looked at with: one that its host has let go of and that is held up says why."""
        silent_since = None

        def look(shown):
            nonlocal silent_since
            if shown is None:
                return True
            if shown["status"] != "Deleted" or shown["status_reason"]:
                silent_since = None
                return False
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > SILENT_S:
                raise Stuck(f"{life.uuid} is held up and does not say why")
            return False

        return look

    def _asked(self, life: Life, method, path, body=None, version="1.40"):
        """An answer that is no refusal, asked for until then; ``None`` for a refusal that is final."""
        deadline = time.monotonic() + WAIT_S
        while True:
            said = self.site.request(method, path, body, token=self.token, version=version)
            if said.status < 400:
                return said
            if time.monotonic() > deadline:
                raise Stuck(f"{method} {path} is refused for ever: {said.fault}")
            if said.json["errors"][0]["code"].endswith(("too-many-requests", "database-busy")):
                self._pause.wait(0.3)
                continue
            life.told.append(said.fault)
            if said.status < 500 and (body is None or life.outcome == "refused"):
                return None
            if body is not None:
                life.outcome = "refused" if said.status < 500 else life.outcome
            self._pause.wait(0.3)

    def _until(self, life: Life, reached, what):
        deadline = time.monotonic() + WAIT_S
        shown = None
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                said = self.site.request("GET", f"/v1/containers/{life.uuid}", token=self.token)
                if said.status in (200, 404):
                    shown = said.json if said.status == 200 else None
                    if shown is None and what != "gone":
                        raise Stuck(f"{life.uuid} is gone and not {what}")
                    if reached(shown):
                        return shown
            self._pause.wait(0.25)
        now = shown and {name: shown[name] for name in ("status", "task_state", "status_reason")}
        raise Stuck(f"{life.uuid} is not {what} after {WAIT_S:.0f} s: {now}")
