"""`script/cloud smoke`: makes one thing of each service as the ordinary user demo, looks at it, and removes it again.

Knows the public APIs through the SDK, and the two users of clouds.yaml. Whatever was made is removed also when a later step fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import sys
import tarfile
import time
import uuid
from collections.abc import Callable
from typing import Any

import openstack
import traffic

CONTENT = b"smoke\n"


def step(what: str, since: float) -> None:
    """One line: what was seen to work, and how long it took."""
    print(f"{time.monotonic() - since:7.2f} s  {what}", flush=True)


def wait_for(what: str, done: Callable[[], bool], seconds: float = 60) -> None:
    """Returns when it is so; ends the run when it is not within the time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"waited {seconds:.0f} seconds in vain for {what}.")
        time.sleep(0.2)


def network(cloud: Any, name: str, undo: contextlib.ExitStack) -> None:
    """A network with a subnet, a security group with a rule, and a port of both."""
    neutron = cloud.network
    since = time.monotonic()
    made = neutron.create_network(name=name)
    undo.callback(neutron.delete_network, made)
    subnet = neutron.create_subnet(network_id=made.id, name=name, ip_version=4, cidr="10.99.0.0/24")
    undo.callback(neutron.delete_subnet, subnet)
    step("network and subnet", since)
    since = time.monotonic()
    group = neutron.create_security_group(name=name)
    undo.callback(neutron.delete_security_group, group)
    neutron.create_security_group_rule(security_group_id=group.id, direction="ingress", protocol="icmp")
    port = neutron.create_port(network_id=made.id, name=name, security_groups=[group.id])
    undo.callback(neutron.delete_port, port)
    address = neutron.get_port(port.id).fixed_ips[0]["ip_address"]
    step(f"security group with a rule, port with the address {address}", since)


def image(cloud: Any, name: str, undo: contextlib.ExitStack) -> None:
    """An image of the format that containers have; what is read back is what was written."""
    since = time.monotonic()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(CONTENT)
        tar.addfile(member, io.BytesIO(CONTENT))
    data = archive.getvalue()
    made = cloud.image.create_image(
        name=name, container_format="docker", disk_format="raw", data=data, validate_checksum=False
    )
    undo.callback(cloud.image.delete_image, made)
    wait_for("the image to be active", lambda: cloud.image.get_image(made.id).status == "active")
    assert cloud.image.download_image(made.id).content == data
    assert cloud.image.get_image(made.id).hash_value == hashlib.sha512(data).hexdigest()
    step("image of the container format docker, written and read", since)


def volume(cloud: Any, name: str, undo: contextlib.ExitStack) -> Any:
    """A volume, made and gone again: gone takes longer than the answer to the request."""
    cinder = cloud.block_storage
    since = time.monotonic()
    made = cinder.create_volume(name=name, size=1)

    def remove() -> None:
        cinder.delete_volume(made)
        wait_for("the volume to be gone", lambda: not [one for one in cinder.volumes() if one.id == made.id])

    undo.callback(remove)
    wait_for("the volume to be available", lambda: cinder.get_volume(made.id).status == "available")
    step("volume of 1 GiB", since)
    return made


def container(cloud: Any, admin: Any, name: str, undo: contextlib.ExitStack) -> None:
    """A container on each host, found by the catalogue; it has an address of the network private, and is gone afterwards."""
    private = cloud.network.find_network("private").id
    version = {"OpenStack-API-Version": "container 1.40"}

    def ask(method: str, path: str, **words: Any) -> Any:
        endpoint = {"service_type": "container", "interface": "public"}
        return admin.session.request(path, method, endpoint_filter=endpoint, headers=version, raise_exc=False, **words)

    for host in [one["hostname"] for one in ask("GET", "/hosts").json()["hosts"]]:
        since = time.monotonic()
        wanted = {
            "name": name,
            "image": "busybox",
            "command": ["sleep", "100"],
            "host": host,
            "nets": [{"network": private}],
        }
        made = ask("POST", "/containers?run=true", json=wanted)
        if made.status_code != 202:
            sys.exit(f"no container was made: {made.text}")
        path = f"/containers/{made.json()['uuid']}"
        undo.callback(wait_for, "the container to be gone", lambda path=path: ask("GET", path).status_code == 404)
        undo.callback(ask, "DELETE", f"{path}?force=true")
        wait_for("the container to run", lambda path=path: ask("GET", path).json()["status"] in ("Running", "Error"))
        shown = ask("GET", path).json()
        if shown["status"] != "Running":
            sys.exit(f"the container on {host} does not run: {shown['status_reason']}")
        address = shown["addresses"][private][0]["addr"]
        step(f"container on {host} with the address {address}", since)


def catalogue(cloud: Any) -> None:
    """What the user's token shows: each service has an address."""
    since = time.monotonic()
    token = cloud.session.auth.get_access(cloud.session)
    kinds = {entry["type"] for entry in token.service_catalog.catalog if entry["endpoints"]}
    wanted = {
        "identity", "image", "network", "placement", "block-storage", "volumev3", "orchestration",
        "container", "application-container",
    }  # fmt: skip
    missing = wanted - kinds
    if missing:
        sys.exit(f"the catalogue lacks {', '.join(sorted(missing))}.")
    step(f"token of {cloud.config.config['auth']['username']}, catalogue of {len(kinds)} types", since)


def main() -> None:
    """Tries each service; exit code 0 when all of it worked and all of it is gone."""
    cloud, admin = openstack.connect(cloud="demo"), openstack.connect(cloud="admin")
    host = socket.gethostname()
    name = f"smoke-{uuid.uuid4().hex[:8]}"
    catalogue(cloud)
    with contextlib.ExitStack() as undo:
        network(cloud, name, undo)
        image(cloud, name, undo)
        made = volume(cloud, name, undo)
        traffic.device(admin, made, host, undo, step)
        traffic.packets(cloud, admin, host, name, undo, step)
        container(cloud, admin, name, undo)
        since = time.monotonic()
    step("all removed", since)
    left = [
        *cloud.network.ports(name=name), *cloud.network.networks(name=name), *cloud.network.security_groups(name=name),
        *cloud.image.images(name=name), *cloud.block_storage.volumes(name=name),
    ]  # fmt: skip
    if left:
        sys.exit(f"left over: {left}")


if __name__ == "__main__":
    main()
