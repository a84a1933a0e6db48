"""What a new cloud holds before anyone uses it: identities and the catalogue, networks, a volume type. Repeating a step changes nothing.

Knows the public APIs through the SDK, and passwords from the cloud's directory; no service's configuration.
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import keystoneauth1.exceptions
import openstack

REGION = "RegionOne"
HERE = "http://127.0.0.1"
SERVICE_USERS = ("glance", "placement", "neutron", "cinder", "heat", "higgins")
ROLES = ("admin", "manager", "member", "reader", "service", "heat_stack_owner", "heat_stack_user")
# Containers are found under both names: what clients of Zun ask for, and the official type that it is an alias of.
CATALOGUE = (
    ("glance", "image", ":9292"),
    ("placement", "placement", ":8780"),
    ("neutron", "network", ":9696"),
    ("cinder", "block-storage", ":8776/v3/%(project_id)s"),
    ("cinderv3", "volumev3", ":8776/v3/%(project_id)s"),
    ("heat", "orchestration", ":8004/v1/%(project_id)s"),
    ("higgins", "container", ":9517/v1"),
    ("higgins-alias", "application-container", ":9517/v1"),
)


def one(find: Callable[..., Any], create: Callable[..., Any], name: str, **fields: Any) -> Any:
    """What has that name, made when there is none."""
    return find(name) or create(name=name, **fields)


def identities(cloud: Any, secret: Callable[[str], str]) -> None:
    """Projects, users with their roles, the catalogue, and Heat's domain for the users of stacks."""
    keystone = cloud.identity
    service, demo = (
        one(keystone.find_project, keystone.create_project, name, domain_id="default") for name in ("service", "demo")
    )
    roles = {name: one(keystone.find_role, keystone.create_role, name) for name in ROLES}

    def user(name: str, project: Any, *granted: str) -> Any:
        found = one(
            keystone.find_user, keystone.create_user, name,
            password=secret(name), domain_id="default", default_project_id=project.id,
        )  # fmt: skip
        for role in granted:
            keystone.assign_project_role_to_user(project, found, roles[role])
        return found

    for name in SERVICE_USERS:
        user(name, service, "admin", "service")
    # Volumes that go with a container are made in its project, and count against that project's quota.
    higgins = keystone.find_user("higgins")
    keystone.assign_domain_role_to_user("default", higgins, roles["member"], inherited=True)
    user("demo", demo, "member", "heat_stack_owner")
    admin = user("admin", keystone.find_project("admin"), "admin", "heat_stack_owner")
    keystone.assign_project_role_to_user(demo, admin, roles["admin"])
    for name, kind, address in CATALOGUE:
        offer(keystone, name, kind, HERE + address)
    domain = one(keystone.find_domain, keystone.create_domain, "heat", description="Users that stacks make")
    keeper = next(iter(keystone.users(domain_id=domain.id, name="heat_domain_admin")), None) or keystone.create_user(
        name="heat_domain_admin", domain_id=domain.id, password=secret("heat_domain_admin")
    )
    keystone.assign_domain_role_to_user(domain, keeper, roles["admin"])


def offer(keystone: Any, name: str, kind: str, address: str) -> None:
    """A service of the catalogue with its three endpoints."""
    service = next(iter(keystone.services(type=kind)), None) or keystone.create_service(name=name, type=kind)
    known = {endpoint.interface for endpoint in keystone.endpoints(service_id=service.id)}
    for interface in {"public", "internal", "admin"} - known:
        keystone.create_endpoint(service_id=service.id, interface=interface, url=address, region_id=REGION)


def networks(cloud: Any, _: Callable[[str], str]) -> None:
    """`public`, an external network on br-ex; `private` with v4 and v6 of the project demo, and the router between them."""
    neutron = cloud.network
    demo = cloud.identity.find_project("demo").id
    public = one(
        neutron.find_network, neutron.create_network, "public",
        is_router_external=True, is_default=True, provider_network_type="flat", provider_physical_network="public",
    )  # fmt: skip
    one(
        neutron.find_subnet, neutron.create_subnet, "public-v4",
        network_id=public.id, ip_version=4, cidr="172.24.4.0/24", gateway_ip="172.24.4.1", enable_dhcp=False,
        allocation_pools=[{"start": "172.24.4.10", "end": "172.24.4.200"}],
    )  # fmt: skip
    private = one(neutron.find_network, neutron.create_network, "private", project_id=demo)
    inside = {"network_id": private.id, "project_id": demo}
    four = one(
        neutron.find_subnet, neutron.create_subnet, "private-v4",
        ip_version=4, cidr="10.0.0.0/24", dns_nameservers=["10.0.0.1"], **inside,
    )  # fmt: skip
    six = one(
        neutron.find_subnet, neutron.create_subnet, "private-v6",
        ip_version=6, cidr="fd00:10::/64", gateway_ip="fd00:10::1", ipv6_address_mode="dhcpv6-stateful", ipv6_ra_mode="dhcpv6-stateful", **inside,
    )  # fmt: skip
    if neutron.find_router("router") is None:
        router = neutron.create_router(name="router", project_id=demo, external_gateway_info={"network_id": public.id})
        for subnet in (four, six):
            neutron.add_interface_to_router(router, subnet_id=subnet.id)


def volumes(cloud: Any, _: Callable[[str], str]) -> None:
    """The type `loop`; ends when Cinder's scheduler knows the back end, without which each new volume is in error.

    That both are `up` says less: each notes that before it listens, and what one tells the other until then is lost.
    """
    cinder = cloud.block_storage
    if not any(kind.name == "loop" for kind in cinder.types()):
        cinder.create_type(name="loop", extra_specs={"volume_backend_name": "loop"})
    wait_for(
        "cinder-scheduler knows no back end; see its log and that of cinder-volume.",
        lambda: bool(told(cinder, "/scheduler-stats/get_pools", "pools")),
    )


def stacks(cloud: Any, _: Callable[[str], str]) -> None:
    """Nothing; ends when an engine of Heat works, without which its API answers nothing."""
    wait_for(
        "heat-engine does not report itself; see its log.",
        lambda: any(service["status"] == "up" for service in told(cloud.orchestration, "/services", "services")),
    )


def told(service: Any, path: str, what: str) -> list[Any]:
    """What a service's API says; nothing while that of which it has to ask does not listen yet: such a question is lost, and it waits in vain."""
    with contextlib.suppress(keystoneauth1.exceptions.ClientException):
        answer = service.get(path, timeout=10)
        if answer.ok:
            return list(answer.json()[what])
    return []


def wait_for(complaint: str, done: Callable[[], bool]) -> None:
    """Returns when it is so; ends the program with the complaint when it is not within seven and a half minutes, which is for a busy machine."""
    deadline = time.monotonic() + 450
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(complaint)
        time.sleep(0.5)


def main() -> None:
    """seed.py DIR identities|networks|volumes|stacks."""
    top = pathlib.Path(sys.argv[1])
    cloud = openstack.connect(
        auth_url=f"{HERE}:5000/v3", username="admin", password=(top / "secret" / "admin").read_text(), project_name="admin",
        user_domain_name="Default", project_domain_name="Default", region_name=REGION, load_yaml_config=False, load_envvars=False,
    )  # fmt: skip
    steps = {"identities": identities, "networks": networks, "volumes": volumes, "stacks": stacks}
    steps[sys.argv[2]](cloud, lambda name: (top / "secret" / name).read_text())


if __name__ == "__main__":
    main()
