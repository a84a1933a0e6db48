"""What a pod gives back to different services it gives back at the same time: each of these answers only once both have been asked."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

from higgins.cloud.neutron import Neutron
from higgins.cloud.placement import Placement
from higgins.core import model
from higgins.core.phase import Phase
from higgins.provision.allocations import Allocations
from higgins.provision.loop import Provisioner
from higgins.provision.ports import Ports
from higgins.scheduler.loop import Scheduler
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire import hints
from tests.contract.store_rows import Rows, status

NET = "11111111-1111-4111-8111-111111111111"
PORT = {
    "id": "p", "network_id": NET, "mac_address": "fa:16:3e:00:00:01", "binding:vif_type": "ovs", "binding:host_id": "host1",
}  # fmt: skip
ANSWERS: dict[tuple[str, str], Any] = {
    ("POST", "ports"): {"port": PORT},
    ("GET", "networks"): {"network": {"id": NET, "project_id": "project"}},
    ("GET", "subnets"): {"subnets": []},
    ("GET", "allocations"): {"allocations": {}},
    ("PUT", "allocations"): None,
}


class Cloud:
    """Neutron and Placement in one."""

    def __init__(self) -> None:
        self._both_here = threading.Barrier(2, timeout=120)
        self.deleted: set[str] = set()

    def call(self, method: str, path: str, **_words: Any) -> Any:
        what = path.split("/")[1]
        if method == "DELETE":
            self._both_here.wait()
            self.deleted.add(what)
            return None
        return ANSWERS[method, what]


def test_room_is_given_back_beside_the_ports(db: Database, rows: Rows, sealer: Sealer) -> None:
    rows.host()
    new = rows.new()
    spec = dataclasses.replace(new.spec, network_driver="neutron", networks=(model.NetworkWish(network=NET),))
    pod = rows.pod(uuid=new.uuid, spec=spec)
    Scheduler(db, hints.LocalHints()).run_once()
    cloud = Cloud()
    kinds = [Allocations(Placement(cloud)), Ports(Neutron(cloud), "installation")]
    loop = Provisioner(db, hints.LocalHints(), kinds, sealer)
    loop.make_once()
    placed = rows.again(pod)
    assert placed.provision_generation == 1
    assert placed.host_id is not None
    rows.delete(placed)
    rows.report(placed.host_id, 1, (placed, status(Phase.GONE, 2)))
    loop.take_back_once()
    assert cloud.deleted == {"allocations", "ports"}
    assert not rows.exists(pod)
