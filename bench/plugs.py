"""S3's part on the host: a namespace, a pair of links and the switch, beside a namespace made by ``ip``. Runs where an Open vSwitch is.

It needs no Neutron: the ports are made up, so that nothing of the network's other side is measured.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator

from bench.figure import Figure, median_ms, spread
from bench.house import CannotRun
from higgins.agent.hands.network import kernel, names
from higgins.agent.hands.network.plugs import Network
from higgins.agent.hands.network.switch import Switch
from higgins.core import errors, model
from higgins.core.phase import Desired, Wish

OVSDB = "unix:/run/openvswitch/db.sock"
WARM_UP = 3


def plugs(rounds: int) -> Iterator[Figure]:
    """Until a new namespace has a port with its addresses on the switch; for both kinds of engines, and the way back."""
    switch = Switch(OVSDB)
    try:
        switch.ports("bench")
    except errors.HigginsError as silent:
        raise CannotRun(f"{silent.message} Run it by script/cloud exec.") from silent
    floor = [_floor() for _ in range(rounds)]
    for joins, engine in ((True, "podman"), (False, "docker")):
        network = Network("bench", kernel, switch, joins=joins)
        took = [_plugged(network, turn) for turn in range(rounds + WARM_UP)][WARM_UP:]
        for place, name in enumerate(("plugged", "unplugged")):
            taken = [each[place] for each in took]
            yield Figure(
                id="S3 plug",
                name=f"{name} as for {engine}",
                ours=median_ms(taken),
                against=median_ms(floor),
                against_name="ip netns add",
                most=60 if name == "plugged" else None,
                detail={"ours": spread(taken), "floor": spread(floor)},
            )


def _floor() -> float:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    began = time.perf_counter()
    subprocess.run(["ip", "netns", "add", name], check=True)
    took = time.perf_counter() - began
    subprocess.run(["ip", "netns", "del", name], check=True)
    return took


def _plugged(network: Network, turn: int) -> tuple[float, float]:
    pod, port = str(uuid.uuid4()), str(uuid.uuid4())
    addresses = (
        model.FixedIp(addr="198.18.0.5", prefix_length=24, gateway="198.18.0.1"),
        model.FixedIp(addr="fd00:5::5", prefix_length=64, version=6, gateway="fd00:5::1"),
    )
    plug = model.Plug(
        port=port, network=str(uuid.uuid4()), mac=f"fa:16:3e:00:01:{turn % 256:02x}", mtu=1442,
        datapath_type="netdev", fixed_ips=addresses,
    )  # fmt: skip
    spec = model.PodSpec(containers=(), network_driver="neutron")
    want = model.Assignment(
        uuid=pod, project_id="bench", name="bench", generation=1, desired=Desired.RUNNING, run=1, build=1,
        wish=Wish.CREATE, request_id=None, spec=spec, plugs=(plug,),
    )  # fmt: skip
    began = time.perf_counter()
    if network.joins:
        network.make(pod)
    network.plug(want, port)
    plugged = time.perf_counter()
    network.remove(pod)
    assert not kernel.has_link(names.outer(port))
    return plugged - began, time.perf_counter() - plugged
