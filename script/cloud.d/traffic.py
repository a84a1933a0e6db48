"""The part of `script/cloud smoke` that looks below the APIs: packets really pass where groups let them, and a volume's device really keeps data.

Plugs by hand (veth, ovs-vsctl, losetup's device), so that a failure here is the cloud's own. Runs as root inside the cloud's namespaces.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

MTU = 1442
DATA_MIB = 5


def run(*command: str | pathlib.Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command with its words kept; CalledProcessError when it fails and that matters."""
    return subprocess.run(command, check=check, text=True, capture_output=True)


def comes_true(done: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it becomes so within the time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def must(what: str, held: bool) -> None:
    """Ends the run when it does not hold."""
    if not held:
        raise SystemExit(f"this does not hold: {what}")


class Place:
    """A network namespace that is a Neutron port: what a container's network will be."""

    def __init__(self, demo: Any, admin: Any, host: str, name: str, group: Any, undo: contextlib.ExitStack) -> None:
        network = demo.network.find_network("private")
        self.name = name
        self.port = demo.network.create_port(network_id=network.id, name=name, security_groups=[group.id])
        undo.callback(demo.network.delete_port, self.port)
        admin.network.update_port(self.port, binding_host_id=host)
        fixed = [(ip["ip_address"], demo.network.get_subnet(ip["subnet_id"])) for ip in self.port.fixed_ips]
        self.address, self.address_v6 = (
            next(address for address, subnet in fixed if subnet.ip_version == version) for version in (4, 6)
        )
        outside, inside = f"tap{self.port.id[:11]}", f"p{self.port.id[:11]}"
        run("ip", "netns", "add", name)
        undo.callback(run, "ip", "netns", "delete", name)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside)
        undo.callback(run, "ip", "link", "delete", outside, check=False)
        run(
            "ip",
            "link",
            "set",
            inside,
            "netns",
            name,
            "name",
            "eth0",
            "address",
            self.port.mac_address,
            "mtu",
            str(MTU),
        )
        for link in ("lo", "eth0"):
            run("ip", "-n", name, "link", "set", link, "up")
        run("ip", "link", "set", outside, "up")
        for address, subnet in fixed:
            run("ip", "-n", name, "address", "add", f"{address}/{subnet.cidr.split('/')[1]}", "dev", "eth0", "nodad")
            run("ip", "-n", name, "route", "add", "default", "via", subnet.gateway_ip)
        run("ovs-vsctl", "add-port", "br-int", outside, "--", "set", "Interface", outside,
            f"external_ids:iface-id={self.port.id}", f'external_ids:attached-mac="{self.port.mac_address}"')  # fmt: skip
        undo.callback(run, "ovs-vsctl", "--if-exists", "del-port", "br-int", outside)
        must(
            "a plugged port becomes ACTIVE", comes_true(lambda: demo.network.get_port(self.port.id).status == "ACTIVE")
        )

    def reaches(self, address: str) -> bool:
        """Whether one echo comes back."""
        command = ("ip", "netns", "exec", self.name, "ping", "-c", "1", "-W", "1", address)
        return run(*command, check=False).returncode == 0

    def serves(self, folder: str, undo: contextlib.ExitStack) -> None:
        """Serves a folder by HTTP on port 8080 until the stack is undone."""
        server = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "python3", "-m", "http.server", "8080", "--directory", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        undo.callback(server.wait)
        undo.callback(server.kill)


def fetched(address: str, *prefix: str) -> bool:
    """Whether all of the data comes over HTTP from that address."""
    ask = (
        "curl",
        "--silent",
        "--noproxy",
        "*",
        "--max-time",
        "8",
        "--write-out",
        "%{size_download}",
        "--output",
        "/dev/null",
    )
    done = run(*prefix, *ask, f"http://{address}:8080/data", check=False)
    return done.stdout == str(DATA_MIB << 20)


def packets(
    demo: Any, admin: Any, host: str, name: str, undo: contextlib.ExitStack, step: Callable[[str, float], None]
) -> None:
    """Two places on `private`: refused, then let through by a rule; then from outside by a floating IP."""
    since = time.monotonic()
    group = demo.network.create_security_group(name=f"{name}-traffic")
    undo.callback(demo.network.delete_security_group, group)
    one, two = (Place(demo, admin, host, f"{name}-{number}", group, undo) for number in "12")
    must("without a rule nothing comes in", not one.reaches(two.address))
    for family, protocol, port in (("IPv4", "icmp", None), ("IPv6", "ipv6-icmp", None), ("IPv4", "tcp", 8080)):
        demo.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype=family, protocol=protocol,
            port_range_min=port, port_range_max=port,
        )  # fmt: skip
    for address in (two.address, two.address_v6):
        must("with a rule an echo comes back", comes_true(functools.partial(one.reaches, address)))
    folder = undo.enter_context(tempfile.TemporaryDirectory())
    pathlib.Path(folder, "data").write_bytes(bytes(DATA_MIB << 20))
    two.serves(folder, undo)
    inside = ("ip", "netns", "exec", one.name)
    must("TCP passes between ports", comes_true(lambda: fetched(two.address, *inside)))
    step("two ports plugged: refused by the group, let through by a rule, echo by v4 and v6, TCP", since)
    since = time.monotonic()
    public = demo.network.find_network("public")
    floating = demo.network.create_ip(floating_network_id=public.id, port_id=two.port.id)
    undo.callback(demo.network.delete_ip, floating)
    must("a floating IP answers from outside", comes_true(lambda: fetched(floating.floating_ip_address)))
    step(f"floating IP {floating.floating_ip_address} answers from outside", since)


def device(admin: Any, volume: Any, host: str, undo: contextlib.ExitStack, step: Callable[[str, float], None]) -> None:
    """Attaches a volume by the attachments API, makes a filesystem, and reads back after a second attachment what was written in the first."""
    folder = pathlib.Path(undo.enter_context(tempfile.TemporaryDirectory()))
    since = time.monotonic()
    for visit in ("writes", "reads"):
        with attached(admin, volume, host) as path, contextlib.ExitStack() as mounted:
            if visit == "writes":
                run("mkfs.ext4", "-q", path)
            run("mount", path, folder)
            mounted.callback(run, "umount", folder)
            if visit == "writes":
                (folder / "data").write_text(volume.id)
            must("a volume keeps its data", (folder / "data").read_text() == volume.id)
        busy = run("losetup", "--list", "--noheadings", "--output", "NAME").stdout.split()
        must("a detached volume has no device", path not in busy)
    step("volume attached twice: what was written is read", since)


@contextlib.contextmanager
def attached(admin: Any, volume: Any, host: str) -> Iterator[str]:
    """The path of a volume's device while it is attached."""
    connector = {"ip": "127.0.0.1", "host": host, "initiator": None, "multipath": False, "os_type": "linux"}
    made = admin.block_storage.create_attachment(volume.id, connector=connector)
    try:
        admin.block_storage.complete_attachment(made)
        yield admin.block_storage.get_attachment(made.id).connection_info["device_path"]
    finally:
        admin.block_storage.delete_attachment(made)
