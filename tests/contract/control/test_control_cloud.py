"""Use cases with a Neutron beside them: what stands in a wish, whoever makes it, and what a repeated request gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, cast

import pytest

from higgins.cloud.neutron import Neutron
from higgins.cloud.services import Services
from higgins.control.requests import NetworkRequest, NewContainer
from higgins.control.service import build
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.core.phase import Phase
from tests.contract.control.control_plane import ControlPlane, caller

NETS = {"project-1": "11111111-1111-4111-8111-111111111111", "project-2": "22222222-2222-4222-8222-222222222222"}
GROUPS = {"project-1": "33333333-3333-4333-8333-333333333333", "project-2": "44444444-4444-4444-8444-444444444444"}
PORT = "55555555-5555-4555-8555-555555555555"


class Cloud:
    """A Neutron that shows everything to everybody, as it does to administrators."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.tables: dict[str, list[dict[str, Any]]] = {
            "networks": [
                {"id": ident, "name": "net", "project_id": project, "created_at": project}
                for project, ident in NETS.items()
            ],
            "security_groups": [
                {"id": ident, "name": "default", "project_id": project} for project, ident in GROUPS.items()
            ],
            "ports": [
                {"id": PORT, "network_id": NETS["project-1"], "project_id": "project-1", "mac_address": "m", "device_id": ""}
            ],
            "rbac_policies": [],
        }  # fmt: skip

    def call(self, method: str, path: str, *, query: Any = None, **_words: Any) -> Any:
        self.asked.append(path)
        name = path.strip("/").replace("-", "_")
        named = {key: value for key, value in (query or {}).items() if key in ("id", "name")}
        return {name: [one for one in self.tables[name] if all(one.get(key) == value for key, value in named.items())]}


@pytest.fixture
def cloud(plane: ControlPlane) -> Iterator[Cloud]:
    cloud = Cloud()
    services = Services(session=cast("Any", None), neutron=Neutron(cloud))
    plane.means = dataclasses.replace(plane.means, services=services)
    plane.control = build(plane.means, plane.agent)
    return cloud


def with_token(*roles: str, project: str = "project-1") -> Caller:
    return dataclasses.replace(caller(*roles, project=project), token="token")


def test_an_administrator_wires_a_container_with_what_its_own_project_has(plane: ControlPlane, cloud: Cloud) -> None:
    pod = plane.made(with_token(project="project-2"))
    changed = plane.control.containers.add_security_group(with_token("admin"), pod.uuid, "default")
    assert changed.spec.security_groups == (GROUPS["project-2"],)
    assert pod.spec.networks[0].network == NETS["project-2"]
    with pytest.raises(errors.Invalid, match="already"):
        plane.control.containers.network_attach(with_token("admin"), pod.uuid, network="net")
    with pytest.raises(errors.Invalid, match="belongs to another project"):
        plane.control.containers.network_attach(with_token("admin"), pod.uuid, port=PORT)
    plane.report(changed, Phase.RUNNING)
    detached = plane.control.containers.network_detach(with_token("admin"), pod.uuid, network="net")
    assert detached.spec.networks == ()


def test_a_request_that_comes_again_finds_the_port_in_use_by_the_container_it_made(
    plane: ControlPlane, cloud: Cloud
) -> None:
    def create(key: str) -> str:
        new = NewContainer(image="busybox", nets=(NetworkRequest(port=PORT),))
        return plane.control.containers.create(
            with_token(), new, run=True, idempotency_key=key, request_hash="hash"
        ).uuid

    first = create("key")
    cloud.tables["ports"][0]["device_id"] = first
    cloud.asked.clear()
    assert create("key") == first
    assert cloud.asked == []
    with pytest.raises(errors.Invalid, match="in use"):
        create("another")


def test_a_request_that_comes_again_while_the_first_is_answered_gives_the_same(
    plane: ControlPlane, cloud: Cloud
) -> None:
    """The second read no key, and while it asks Neutron the first makes its container, which takes the port."""
    new = NewContainer(image="busybox", nets=(NetworkRequest(port=PORT),))
    words = {"run": True, "idempotency_key": "key", "request_hash": "hash"}
    call, made = cloud.call, []

    def overtaken(*given: Any, **more: Any) -> Any:
        cloud.call = call
        made.append(plane.control.containers.create(with_token(), new, **words).uuid)
        cloud.tables["ports"][0]["device_id"] = made[0]
        return call(*given, **more)

    cloud.call = overtaken
    assert plane.control.containers.create(with_token(), new, **words).uuid == made[0]
