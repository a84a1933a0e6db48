"""Quotas, registries, networks, hosts, images and actions over the real store."""

from __future__ import annotations

import datetime

import pytest

from higgins.control.network.bridge import bridge_uuid
from higgins.control.quotas import Limits, Usage
from higgins.control.requests import NewRegistry, RegistryChange
from higgins.core import errors
from higgins.core.caller import Scope
from higgins.core.model import StepEvent
from higgins.core.phase import Phase
from higgins.store.agents import reports
from higgins.store.page import Page
from higgins.store.records import registries
from higgins.wire import contract
from tests.contract.control.control_plane import HOSTNAME, ControlPlane, caller

ADMIN = caller("admin", project="admin")


def test_quotas_come_from_project_class_and_configuration(plane: ControlPlane) -> None:
    control = plane.control.quotas
    assert control.get(caller(), "project-1") == Limits(containers=40, cpu=20, memory=51200, disk=100)
    control.update_class(ADMIN, "default", {"containers": 10, "cpu": 5})
    control.update(ADMIN, "project-1", {"containers": 3})
    assert control.get(caller(), "project-1") == Limits(containers=3, cpu=5, memory=51200, disk=100)
    assert control.defaults(caller(), "project-1") == control.get_class(ADMIN, "default")
    assert control.defaults(caller(), "project-1").containers == 10
    plane.create(cpu=1.5)
    limits, usage = control.usages(caller("reader"), "project-1")
    assert (limits.containers, usage) == (3, Usage(containers=1, memory=512, cpu=1.5, disk=0))
    control.delete(ADMIN, "project-1")
    assert control.get(caller(), "project-1").containers == 10


def test_quotas_of_others_and_wrong_quotas_are_refused(plane: ControlPlane) -> None:
    control = plane.control.quotas
    with pytest.raises(errors.Forbidden):
        control.get(caller("manager"), "project-2")
    with pytest.raises(errors.Forbidden):
        control.update(caller("manager"), "project-1", {"containers": 1})
    for wrong in ({"containers": -2}, {"gpu": 1}, {"cpu": 2**40}):
        with pytest.raises(errors.Invalid):
            control.update(ADMIN, "project-1", wrong)
        with pytest.raises(errors.Invalid):
            control.update_class(ADMIN, "default", wrong)


def test_registries_keep_passwords_sealed(plane: ControlPlane) -> None:
    control = plane.control.registries
    made = control.create(caller(), NewRegistry(domain="r.example", name="mine", username="u", password="canary"))
    assert b"canary" not in (made.password or b"")
    assert "canary" not in repr(made)
    changed = control.update(caller(), "mine", RegistryChange(password="canary-2", domain="s.example:5000"))
    assert (changed.domain, changed.username) == ("s.example:5000", "u")
    with plane.db.read() as tx:
        login = registries.login(registries.get(tx, made.uuid, Scope(None)), plane.sealer)
    assert login.password == "canary-2"
    assert [one.uuid for one in control.list(caller("reader"), filters={"name": "mine"}, page=Page())] == [made.uuid]
    assert control.list(caller(project="project-2"), filters={}, page=Page()) == []
    assert len(control.list(ADMIN, filters={}, page=Page(), all_projects=True)) == 1
    with pytest.raises(errors.NotFound):
        control.get(caller(project="project-2"), made.uuid)
    with pytest.raises(errors.Forbidden):
        control.delete(caller("reader"), made.uuid)
    wrong_ones = (
        NewRegistry(domain="nodots"),
        NewRegistry(domain="https://r.example"),
        NewRegistry(domain="r.example", name=made.uuid),
    )
    for wrong in wrong_ones:
        with pytest.raises(errors.Invalid):
            control.create(caller(), wrong)
    control.delete(caller(), "mine")
    with pytest.raises(errors.NotFound) as caught:
        control.get(caller(), "mine")
    assert caught.value.code == "registry-not-found"


def test_networks_are_only_the_one_that_is_there(plane: ControlPlane) -> None:
    control, uuid = plane.control.networks, bridge_uuid(plane.means.installation)
    made = control.create(ADMIN, name="bridge", neutron_net_id=uuid)
    assert (made.neutron_net_id, made.name, made.project_id) == (uuid, "bridge", "admin")
    with pytest.raises(errors.Conflict):
        control.create(ADMIN, name="again")
    with pytest.raises(errors.NotFound) as caught:
        control.create(ADMIN, name="blue", neutron_net_id="blue")
    assert caught.value.code == "network-not-found"
    with pytest.raises(errors.Forbidden):
        control.delete(caller("manager"), uuid)
    control.delete(ADMIN, uuid)
    with pytest.raises(errors.NotFound):
        control.delete(ADMIN, uuid)


def test_hosts_services_and_zones(plane: ControlPlane) -> None:
    control = plane.control
    assert [host.hostname for host in control.hosts.list(ADMIN)] == [HOSTNAME]
    assert control.hosts.get(ADMIN, HOSTNAME).cpus == 4
    assert control.zones.list(caller("reader")) == ["nova"]
    [service] = control.services.list(ADMIN)
    assert control.services.is_up(service)
    plane.time += datetime.timedelta(seconds=61)
    assert not control.services.is_up(service)
    plane.time -= datetime.timedelta(seconds=61)
    disabled = control.services.disable(ADMIN, HOSTNAME, "zun-compute", reason="repair")
    assert (disabled.disabled, disabled.disabled_reason) == (True, "repair")
    enabled = control.services.enable(ADMIN, HOSTNAME, "zun-compute")
    assert (enabled.disabled, enabled.disabled_reason) == (False, None)
    assert not control.services.is_up(control.services.force_down(ADMIN, HOSTNAME, "zun-compute", forced_down=True))
    for host, binary in (("nowhere", "zun-compute"), (HOSTNAME, "zun-wsproxy")):
        with pytest.raises(errors.NotFound) as caught:
            control.services.enable(ADMIN, host, binary)
        assert caught.value.code == "zun-service-not-found"
    for ask in (control.hosts.list, control.services.list):
        with pytest.raises(errors.Forbidden):
            ask(caller("manager"))
    control.services.delete(ADMIN, HOSTNAME, "zun-compute")
    assert control.hosts.list(ADMIN) == []


def test_a_host_with_containers_is_not_forgotten(plane: ControlPlane) -> None:
    plane.made()
    with pytest.raises(errors.Conflict, match="still has containers"):
        plane.control.services.delete(ADMIN, HOSTNAME, "zun-compute")


def test_images_are_wished_onto_a_host_and_off_it(plane: ControlPlane) -> None:
    control = plane.control.images
    made = control.pull(ADMIN, repo="r.example:5000/team/web:2", host=HOSTNAME)
    assert (made.repo, made.tag, made.hostname) == ("r.example:5000/team/web", "2", HOSTNAME)
    assert plane.hints == [plane.host_id]
    digest = control.pull(ADMIN, repo="busybox@sha256:" + "ab" * 32, host=HOSTNAME)
    assert digest.tag == "sha256:" + "ab" * 32
    assert control.pull(ADMIN, repo="busybox", host=HOSTNAME).tag == "latest"
    assert control.get(ADMIN, "r.example:5000/team/web").uuid == made.uuid == control.get(ADMIN, made.uuid).uuid
    with pytest.raises(errors.Conflict, match="Several"):
        control.get(ADMIN, "busybox")
    with pytest.raises(errors.Conflict, match="already"):
        control.pull(ADMIN, repo="busybox:latest", host=HOSTNAME)
    wrong_ones = (
        ("busybox", None, "nowhere"),
        ("Bad", None, HOSTNAME),
        ("busybox:1", "2", HOSTNAME),
        ("busybox", "a b", HOSTNAME),
    )
    for repo, tag, host in wrong_ones:
        with pytest.raises(errors.Invalid):
            control.pull(ADMIN, repo=repo, tag=tag, host=host)
    for missing in ("none", "A B", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(errors.NotFound) as caught:
            control.get(ADMIN, missing)
        assert caught.value.code == "image-not-found"
    control.delete(ADMIN, made.uuid)
    assert made.uuid not in {image.uuid for image in control.list(ADMIN, page=Page())}
    with pytest.raises(errors.Forbidden):
        control.pull(caller("manager"), repo="busybox", host=HOSTNAME)


def test_a_search_answers_from_what_hosts_have(plane: ControlPlane) -> None:
    control = plane.control.images
    made = control.pull(ADMIN, repo="team/web", host=HOSTNAME)
    assert control.search(caller(), "web") == []
    ready = contract.ImageReport(uuid=made.uuid, generation=1, phase="ready")
    with plane.db.write() as tx:
        assert reports.take(tx, plane.host_id, contract.Report(number=next(plane.numbers), images=(ready,)))
    plane.create(image="website:1")
    plane.create(caller(project="project-2"), image="web-of-another-project")
    assert [found.name for found in control.search(caller("reader"), "web")] == ["team/web", "website"]
    assert [found.name for found in control.search(caller(), "website", image_driver="docker", exact_match=True)] == [
        "website"
    ]
    with pytest.raises(errors.Invalid, match="glance"):
        control.search(caller(), "web", image_driver="glance")


def test_steps_of_actions_are_shown_in_their_order(plane: ControlPlane) -> None:
    who = caller()
    pod = plane.create(who)
    plane.place()
    at = datetime.datetime(2026, 3, 4, 12, 0, tzinfo=datetime.UTC)
    steps = [
        StepEvent(
            key=str(n), pod=pod.uuid, request_id=who.request_id, verb=verb, target="t", why="why",
            started_at=at + datetime.timedelta(seconds=n), result="Success",
        )
        for n, verb in enumerate(("pull", "create", "start"))
    ]  # fmt: skip
    plane.report(pod, Phase.RUNNING, events=steps)
    action, found = plane.control.actions.get(caller("reader"), pod.uuid, who.request_id)
    assert (action.action, [step.verb for step in found]) == ("create", ["pull", "create", "start"])
    assert [step.verb for step in plane.control.actions.events(caller(), pod.name, limit=2)] == ["create", "start"]
    with pytest.raises(errors.NotFound):
        plane.control.actions.events(caller(project="project-2"), pod.uuid)
