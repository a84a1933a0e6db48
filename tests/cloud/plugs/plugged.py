"""A host with a real engine, the real switch and the real agent in the cloud; only its controller is a double, to which tests say their wishes."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import pathlib
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

from higgins.agent.hands.network import kernel, names
from higgins.agent.hands.network.plugs import Network
from higgins.agent.hands.network.switch import Switch
from higgins.agent.service import Agent
from higgins.core import model
from higgins.core.phase import Desired, Phase
from higgins.engine.load import open_engine
from higgins.engine.ports import TakesPorts
from higgins.wire.client import WireClient
from tests.cloud.cloud_world import PATIENCE_S, Cloud, until
from tests.host.controller_double import TOKEN, Controller, assignment, container, serving
from tests.host.house import QUICK

ENGINES = ("podman", "docker")
OVSDB = "unix:/run/openvswitch/db.sock"
CHASSIS = "node1"
SERVER = ("sh", "-c", "mkdir /www; dd if=/dev/zero of=/www/data bs=1M count=3 2>&-; exec httpd -f -p 8080 -h /www")
SIZE = 3 << 20


class Host:
    """One engine of the cloud under an agent of the test's own; the agent may be stopped and started."""

    def __init__(self, name: str, socket: str = "") -> None:
        self.name, self.installation = name, str(uuid.uuid4())
        self.address = f"unix://{socket or f'/run/higgins-{name}.sock'}?installation={self.installation}"
        # A short path: that of a socket has at most 107 bytes.
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="hp"))
        self.mark = names.mark_of(str(self.root))
        self.controller = Controller()
        self.undo = contextlib.ExitStack()
        self.undo.callback(shutil.rmtree, self.root)
        self.undo.enter_context(serving(self.controller, self.root / "wire"))
        self.boot = "boot-1"
        self.start()

    def start(self) -> None:
        """Start the agent."""
        self.engine = open_engine(self.name, self.address)
        self.switch = Switch(OVSDB)
        self.network = Network(self.mark, kernel, self.switch, joins=not isinstance(self.engine, TakesPorts))
        self.agent = Agent(
            self.engine, WireClient(f"unix:{self.root}/wire", TOKEN), hostname=self.name, state_dir=self.root / "state",
            live_address=f"unix:{self.root}/live", live_token="live", boot=self.boot, network=self.network,
            timings=dataclasses.replace(QUICK, orphan_grace_s=1.0),
        )  # fmt: skip
        self.agent.start()

    def stop(self) -> None:
        """Stop the agent; containers go on."""
        self.agent.stop()

    def end(self) -> None:
        """Delete every pod and stop."""
        for pod in [*self.controller.wants]:
            self.delete(pod)
        self.stop()
        if self.name == "docker":
            self._remove_networks()
        self.undo.close()

    def _remove_networks(self) -> None:
        engine: Any = open_engine("docker", self.address)
        with contextlib.closing(engine):
            for network in engine.call("GET", "/networks", "list").json():
                if network["Driver"] == engine.networks.driver:
                    engine.call("DELETE", f"/networks/{network['Id']}", "remove")

    def run(
        self,
        *plugs: model.Plug,
        command: tuple[str, ...] = SERVER,
        of_container: dict[str, Any] | None = None,
        **words: Any,
    ) -> str:
        """The pod of a container that runs on those ports."""
        pod = str(uuid.uuid4())
        one = container(pod, command=command, **(of_container or {}))
        spec = model.PodSpec(containers=(one,), network_driver="neutron")
        self.controller.wish(assignment(pod, pod=spec, plugs=plugs, stop_timeout_s=0, **words))
        wanted = Phase.CREATED if words.get("desired") is Desired.CREATED else Phase.RUNNING
        self.controller.wait_for(pod, wanted, timeout_s=PATIENCE_S)
        return pod

    def change(self, pod: str, phase: Phase = Phase.RUNNING, **changes: Any) -> model.PodStatus:
        """Another wish for a pod, met."""
        self.controller.change(pod, **changes)
        return self.controller.wait_for(pod, phase, timeout_s=PATIENCE_S)

    def delete(self, pod: str) -> None:
        """A pod is gone."""
        self.controller.change(pod, desired=Desired.DELETED)
        self.controller.wait(lambda: pod not in self.controller.wants, f"{pod} to be gone", PATIENCE_S)

    def inside(self, pod: str, *command: str) -> str:
        """What a command in the container writes."""
        engine: Any = self.engine
        return str(engine.exec(pod, command, timeout_s=PATIENCE_S).output.decode())

    def succeeds(self, pod: str, *command: str) -> bool:
        """Whether a command in the container does."""
        engine: Any = self.engine
        return bool(engine.exec(pod, command, timeout_s=PATIENCE_S).exit_code == 0)

    def reaches(self, pod: str, address: str) -> bool:
        """Whether an echo comes back."""
        return self.succeeds(pod, "ping", "-c", "1", "-W", "1", address)

    def fetches(self, pod: str, address: str) -> bool:
        """Whether all of the server's data comes."""
        return str(SIZE) in self.inside(pod, "sh", "-c", f"timeout 8 wget -q -O - http://{address}:8080/data | wc -c")

    def left(self) -> list[str]:
        """Namespaces, links and ports of the switch that are there for pods of this host."""
        found = [name for name in kernel.namespaces() if names.pod_of(self.mark, name)]
        found += [name for name, tag in kernel.tags().items() if tag.mark == self.mark]
        return found + list(self.switch.ports(self.mark))


@dataclasses.dataclass
class Networks:
    """Networks made for tests, of the user demo."""

    cloud: Cloud
    made: list[Any] = dataclasses.field(default_factory=list)

    def make(self, *subnets: dict[str, Any]) -> str:
        """The name of a new one with these subnets; one without ``gateway_ip`` has the gateway that Neutron chooses."""
        neutron = self.cloud.demo.network
        network = neutron.create_network(name=f"plugs-{uuid.uuid4().hex[:8]}")
        self.made.append(network)
        for words in subnets:
            version = ipaddress.ip_network(words["cidr"]).version
            neutron.create_subnet(network_id=network.id, ip_version=version, **words)
        return str(network.name)

    def remove(self) -> None:
        """Delete them, once Neutron's own ports for addresses have left them."""
        neutron = self.cloud.demo.network
        for one in self.made:
            ports = {"network_id": one.id, "device_owner": ""}
            until("the network to be free", lambda asked=ports: not list(neutron.ports(**asked)), 90)
            neutron.delete_network(one)


@dataclasses.dataclass
class Ports:
    """Ports made for tests, and what the host is told of them."""

    cloud: Cloud
    group: Any
    made: list[str] = dataclasses.field(default_factory=list)

    def plug(self, network_name: str = "private", **words: Any) -> model.Plug:
        """A port of the user demo, bound to this host, as provisioning would make it."""
        neutron = self.cloud.demo.network
        network = neutron.find_network(network_name)
        made = neutron.create_port(network_id=network.id, security_groups=[self.group.id], name="test", **words)
        self.made.append(made.id)
        port = self.cloud.admin.network.update_port(made, binding_host_id=CHASSIS)
        fixed = [(ip["ip_address"], neutron.get_subnet(ip["subnet_id"])) for ip in port.fixed_ips]
        return model.Plug(
            port=port.id, network=network.id, mac=port.mac_address, mtu=network.mtu,
            bridge=port.binding_vif_details["bridge_name"],
            datapath_type=port.binding_vif_details.get("datapath_type", ""),
            fixed_ips=tuple(
                model.FixedIp(
                    addr=addr, prefix_length=ipaddress.ip_network(subnet.cidr).prefixlen, version=subnet.ip_version,
                    subnet=subnet.id, gateway=subnet.gateway_ip,
                    routes=tuple((one["destination"], one["nexthop"]) for one in subnet.host_routes),
                )
                for addr, subnet in fixed
            ),
            dns_servers=("192.0.2.53",), dns_search=("cloud.example",),
        )  # fmt: skip

    def active(self, plug: model.Plug) -> None:
        """Wait until Neutron says that the port is plugged."""
        neutron = self.cloud.demo.network
        until("a plugged port to be ACTIVE", lambda: neutron.get_port(plug.port).status == "ACTIVE", 90)

    def remove(self) -> None:
        """Delete them."""
        for port in self.made:
            self.cloud.demo.network.delete_port(port, ignore_missing=True)


def address(plug: model.Plug, version: int = 4) -> str:
    """The port's address."""
    return next(fixed.addr for fixed in plug.fixed_ips if fixed.version == version)


def fetched(where: str) -> int:
    """How many bytes a server gives to somebody outside of any container."""
    with contextlib.suppress(OSError), socket.create_connection((where, 8080), 5) as connection:
        connection.settimeout(5)
        connection.sendall(b"GET /data HTTP/1.0\r\n\r\n")
        return sum(len(part) for part in _parts(connection))
    return 0


def _parts(connection: socket.socket) -> Iterator[bytes]:
    while part := connection.recv(1 << 16):
        yield part
