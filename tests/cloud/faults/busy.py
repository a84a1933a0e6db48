"""A container's busy life: a port and a volume that its user gave, and everything that a living container may be asked to do.

It goes by stages. A fault strikes in one of them, and then the life has only what leads there: its create, that stage, its end. Knows no pytest.
"""

from __future__ import annotations

import contextlib
import time
import uuid

from tests.cloud.faults.board import Fault
from tests.cloud.faults.life import WAIT_S, Lane, Life, Stuck
from tests.whole import until

CREATE, DELETE = "create", "delete"
FREE_S = 120.0
SMALL, LARGER = {"VCPU": 1, "MEMORY_MB": 64}, {"VCPU": 1, "MEMORY_MB": 128}


class BusyLane(Lane):
    """A user with a port and a volume of his own, which are there and free after each life."""

    def __init__(self, site):
        super().__init__(site)
        self._openstack = site.tenant.openstack
        self._port, self._volume, self._groups = "", "", []
        self.calls: dict[str, dict[str, int]] = {}
        """Of the last life without a fault: in each stage, how often which call site told whose request it was."""

    def live(self, life: Life, fault: Fault | None = None, *, alone: bool = False) -> Life:
        """Create, all stages or that of the fault, delete; then what the user gave is his again."""
        self._have_given()
        life.words |= {self._port, self._volume, self.token}
        tenant = self.site.tenant
        own = "controller: image" in life.site or life.site.startswith("all:")
        self._images = tuple(tenant.new_image() if own else one for one in (tenant.image, tenant.other_image))
        life.words |= set(self._images) if own else set()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.site.board.watching(life.words))
            self._fault, self._stack = fault, stack
            try:
                self._live(life, None, fault)
            except Stuck as late:
                life.outcome = "stuck"
                life.told.append(str(late))
            life.left += self._not_free()
        life.hits = 0 if fault is None else fault.hits
        return life

    def _live(self, life: Life, body, fault) -> None:
        with self._stage(life, CREATE):
            shown = self._create(life)
        if shown is None:
            return
        if shown["status"] == "Error":
            life.told.append(shown["status_reason"] or "")
            life.outcome = "failed"
        else:
            life.outcome = "recovered"
            for name, step in STAGES.items():
                if life.stage in ("", name):
                    with self._stage(life, name):
                        step(self, life)
        with self._stage(life, DELETE):
            self._delete(life)

    @contextlib.contextmanager
    def _stage(self, life: Life, name: str):
        """The fault of this stage is armed from its beginning to the life's end; without one, what the services are asked is counted."""
        board, fault = self.site.board, self._fault
        if fault is not None and life.stage == name:
            fault.words = life.words
            fault.pending = name == CREATE and not life.site.startswith("api:")
            self._stack.enter_context(board.armed(fault))
        before = dict(board.mentioned)
        yield
        if fault is None:
            asked = {site: count - before.get(site, 0) for site, count in board.mentioned.items()}
            self.calls[name] = {site: count for site, count in asked.items() if count}

    # Stages

    def _create(self, life: Life):
        body = {
            "image": self._images[0],
            "nets": [{"port": self._port}],
            "mounts": [{"source": self._volume, "destination": "/data"}],
            "exposed_ports": {"80/tcp": {}},
            "memory": "64",
            "cpu": 0.1,
        }
        made = self._asked(life, "POST", "/v1/containers?run=true", body)
        if made is None:
            return None
        life.uuid = made.json["uuid"]
        life.words.add(life.uuid)
        if self._fault is not None and self._fault.pending:
            self.site.board.about(self._fault, life.uuid)
        return self._until(life, lambda one: one["status"] in ("Running", "Error") and not one["task_state"], "created")

    def _change_groups(self, life: Life) -> None:
        group = self.site.tenant.group
        if self._wish(life, f"add_security_group?name={group}", lambda: group in self._port_now().security_group_ids):
            self._wish(
                life, f"remove_security_group?name={group}", lambda: group not in self._port_now().security_group_ids
            )

    def _resize(self, life: Life) -> None:
        self._wish(life, "resize_container?memory=128", lambda: self._taken(life) == LARGER)

    def _search(self, life: Life) -> None:
        name = self._name_of(self._images[1])
        said = self._asked(life, "GET", f"/v1/images/{name}/search?image_driver=glance&exact_match=true")
        if said is None:
            life.outcome = "failed"
        elif [one["name"] for one in said.json] != [name]:
            life.told.append(f"a search for {name} found {said.json}")

    def _commit(self, life: Life) -> None:
        """The image is active with all its data, or gone; its user deletes it."""
        name = f"{self.site.tenant.name}-committed-{uuid.uuid4().hex[:8]}"
        said = self._asked(life, "POST", f"/v1/containers/{life.uuid}/commit?repository={name}&tag=v1")
        if said is None:
            life.outcome = "failed"
            return
        image = said.json["uuid"]
        life.words.add(image)
        action = self._over(life, said)  # the service asks once more after Glance has it
        deadline = time.monotonic() + WAIT_S
        while (found := self._openstack.image.find_image(image)) is not None and found.status != "active":
            if time.monotonic() > deadline:
                raise Stuck(f"the committed image {image} is {found.status} after {WAIT_S:.0f} s")
            self._pause.wait(0.3)
        if found is None:
            self._tell(life, action)
        else:
            self._openstack.image.delete_image(image)

    def _rebuild(self, life: Life) -> None:
        name = self._name_of(self._images[1])
        self._wish(
            life,
            f"rebuild?image={name}&image_driver=glance",
            lambda: self._shown(life)["image"] == name,
            ends="Running",
        )

    def _restart(self, life: Life) -> None:
        for verb, status in (("stop", "Stopped"), ("start", "Running")):
            self._wish(life, verb, lambda status=status: self._shown(life)["status"] == status, ends=status)

    def _wish(self, life: Life, what: str, is_so, ends: str | None = None) -> bool:
        """Ask for it until it is taken, and wait: then it is so, or its action tells why not."""
        said = self._asked(
            life, "POST", f"/v1/containers/{life.uuid}/{what}", version="1.40" if ends or "resize" in what else "1.14"
        )
        if said is None:
            life.outcome = "failed"
            return False
        action = self._over(life, said)  # what is asked of the services for it belongs to this stage
        shown = self._until(
            life, lambda one: not one["task_state"] and (ends is None or one["status"] in (ends, "Error")), what
        )
        if shown["status"] == "Error":
            life.told.append(shown["status_reason"] or "")
            life.outcome = "failed"
        elif is_so():
            return True
        else:
            self._tell(life, action)
        return False

    def _over(self, life: Life, said):
        """The action of that request, once it has ended."""
        request = said.headers["x-openstack-request-id"]
        deadline = time.monotonic() + WAIT_S
        while not (action := next(one for one in self.actions(life.uuid) if one["request_id"] == request))[
            "finish_time"
        ]:
            if time.monotonic() > deadline:
                raise Stuck(f"the action {action['action']} {request} is not over after {WAIT_S:.0f} s")
            self._pause.wait(0.3)
        return action

    def _tell(self, life: Life, action) -> None:
        """Why what was asked for came to nothing."""
        life.told.append(action["reason"] or f"{action['request_id']} came to nothing and does not say why")
        life.outcome = "failed"

    # What is so, asked of the services themselves

    def _shown(self, life: Life):
        return self.ask("GET", f"/v1/containers/{life.uuid}").json

    def _port_now(self):
        return self.site.tenant.cloud.admin.network.get_port(self._port)

    def _name_of(self, image: str) -> str:
        return self._openstack.image.get_image(image).name

    def _taken(self, life: Life):
        said = self.site.tenant.cloud.admin.placement.get(f"/allocations/{life.uuid}").json()["allocations"]
        return next(iter(said.values()))["resources"] if said else None

    # What the user gives

    def _have_given(self) -> None:
        tenant = self.site.tenant
        if not self._port:
            port = self._openstack.network.create_port(network_id=tenant.networks[0], name=tenant.name)
            self._port, self._groups = port.id, port.security_group_ids
            tenant.given.add(port.id)
        if not self._volume:
            storage = self._openstack.block_storage
            self._volume = storage.create_volume(size=1, name=tenant.name).id
            tenant.given.add(self._volume)
            until(lambda: storage.get_volume(self._volume).status == "available", "the given volume is there", WAIT_S)

    def _not_free(self) -> list[str]:
        """What of it is not as it was given; another is given to the next life then."""
        deadline = time.monotonic() + FREE_S
        while (wrong := self._used()) and time.monotonic() < deadline:
            self._pause.wait(0.5)
        if any(one.startswith("given port") for one in wrong):
            self._port = ""
        if any(one.startswith("given volume") for one in wrong):
            self._volume = ""
        return wrong

    def _used(self) -> list[str]:
        found = []
        port = self._openstack.network.find_port(self._port)
        volume = self._openstack.block_storage.find_volume(self._volume)
        if port is None or port.device_id or port.device_owner or port.security_group_ids != self._groups:
            found.append(
                f"given port {self._port}: {port and (port.device_id, port.device_owner, port.security_group_ids)}"
            )
        if volume is None or volume.status != "available":
            found.append(f"given volume {self._volume}: {volume and volume.status}")
        return found


STAGES = {
    "groups": BusyLane._change_groups,
    "resize": BusyLane._resize,
    "search": BusyLane._search,
    "commit": BusyLane._commit,
    "rebuild": BusyLane._rebuild,
    "restart": BusyLane._restart,
}
