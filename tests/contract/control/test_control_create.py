"""Creates over the real store: what is written, what is refused and leaves nothing, and races for quota and keys."""

from __future__ import annotations

import pathlib

import pytest

from higgins.control.network.bridge import bridge_uuid
from higgins.control.requests import MountRequest, NetworkRequest, NewContainer, NewRegistry
from higgins.core import errors
from higgins.core.caller import Scope
from higgins.core.model import RestartPolicy
from higgins.core.phase import Desired, Phase, PullPolicy, Wish
from higgins.core.status import Status, derive
from higgins.store import pods, quotas
from higgins.store.records import volumes
from tests.contract.control.control_plane import HOSTNAME, ControlPlane, at_once, caller, planes

TABLES = ("pods", "actions", "volumes", "idempotency_keys")


def used(plane: ControlPlane, project: str = "project-1") -> tuple[int, int, int, int]:
    with plane.db.read() as tx:
        usage = quotas.usage(tx, project)
    return usage.containers, usage.cpu_milli, usage.memory_mib, usage.disk_gib


def test_a_create_writes_the_wish_with_defaults_quota_and_action(plane: ControlPlane) -> None:
    who = caller()
    pod = plane.control.containers.create(who, NewContainer(image="busybox", environment={"A": "secret"}), run=True)
    row = plane.row(pod.uuid)
    container = row.spec.containers[0]
    assert (row.desired, row.run, row.build, row.generation, row.wish) == (Desired.RUNNING, 1, 1, 1, Wish.CREATE)
    assert (container.uuid, container.cpus, container.memory_mib) == (row.uuid, 1.0, 512)
    assert row.name.endswith("-container")
    assert row.spec.networks[0].network == bridge_uuid(plane.means.installation)
    assert used(plane) == (1, 1000, 512, 0)
    assert derive(row).status is Status.CREATING
    [action] = plane.control.actions.list(who, pod.uuid)
    assert (action.action, action.request_id, action.generation, action.finished_at) == (
        "create",
        who.request_id,
        1,
        None,
    )
    assert plane.hints == [None]
    assert container.environment == {}
    assert pods.open_spec(row, plane.sealer).containers[0].environment == {"A": "secret"}


def test_a_create_without_run_is_created_only(plane: ControlPlane) -> None:
    pod = plane.create(run=False)
    assert (pod.desired, pod.run) == (Desired.CREATED, 0)


def test_a_create_costs_few_statements(plane: ControlPlane) -> None:
    plane.create()
    plane.statements.reset()
    plane.create()
    assert len(plane.statements.sql) <= 5, plane.statements.sql
    assert plane.statements.commits == 1


def test_a_show_costs_one_statement(plane: ControlPlane) -> None:
    pod = plane.create()
    plane.statements.reset()
    plane.control.containers.get(caller("reader"), pod.uuid)
    assert (len(plane.statements.sql), plane.statements.commits) == (1, 0)


UNKNOWN = "f2b1c1de-6a7e-4a8b-9a54-0b2f1d2c3e4f"
REFUSED = [
    ({"image": "Bad Image"}, errors.Invalid, "invalid-image-name"),
    ({"image_driver": "glance"}, errors.Invalid, "invalid-value"),
    ({"name": "-x"}, errors.Invalid, "invalid-value"),
    ({"name": "f2b1c1de-6a7e-4a8b-9a54-0b2f1d2c3e4f"}, errors.Invalid, "invalid-value"),
    ({"cpu": 0.01}, errors.Invalid, "invalid-value"),
    ({"cpu": 17.0}, errors.Invalid, "invalid-value"),
    ({"cpu_policy": "dedicated"}, errors.Invalid, "invalid-value"),
    ({"cpu_policy": "dedicated", "cpu": 1.5}, errors.Invalid, "invalid-value"),
    ({"memory_mib": 2}, errors.Invalid, "invalid-value"),
    ({"disk_gib": 1000}, errors.Invalid, "invalid-value"),
    ({"pids_limit": 0}, errors.Invalid, "invalid-value"),
    ({"environment": {"A=B": "x"}}, errors.Invalid, "invalid-value"),
    ({"exposed_ports": ("0/tcp",)}, errors.Invalid, "invalid-value"),
    ({"auto_remove": True, "restart_policy": RestartPolicy(name="always")}, errors.Invalid, "invalid-value"),
    ({"mounts": (MountRequest(destination="x", source="v"),)}, errors.Invalid, "invalid-value"),
    ({"mounts": (MountRequest(destination="/x"),)}, errors.Invalid, "invalid-value"),
    ({"mounts": (MountRequest(destination="/x", source="/etc"),)}, errors.Invalid, "invalid-value"),
    ({"mounts": (MountRequest(destination="/x", source="v"), MountRequest(destination="/x", size_gib=1))}, errors.Invalid, "invalid-value"),
    ({"mounts": (MountRequest(destination="/x", kind="file", content=b"x" * 9_000_000),)}, errors.Invalid, "invalid-value"),
    ({"mounts": (MountRequest(destination="/y", source="ok"), MountRequest(destination="/x", source=UNKNOWN))}, errors.NotFound, "volume-not-found"),
    ({"nets": (NetworkRequest(network="blue"),)}, errors.NotFound, "network-not-found"),
    ({"nets": (NetworkRequest(network="bridge", port="p"),)}, errors.NotFound, "port-not-found"),
    ({"nets": (NetworkRequest(network="bridge", v4="10.0.0.9"),)}, errors.Invalid, "invalid-value"),
    ({"nets": (NetworkRequest(network="bridge"), NetworkRequest(network="bridge"))}, errors.Invalid, "invalid-value"),
    ({"security_groups": ("default",)}, errors.Invalid, "security-group-not-found"),
    ({"registry": "nowhere"}, errors.NotFound, "registry-not-found"),
    ({"privileged": True}, errors.Forbidden, "policy-not-authorized"),
    ({"runtime": "runsc"}, errors.Forbidden, "policy-not-authorized"),
    ({"host": HOSTNAME}, errors.Forbidden, "policy-not-authorized"),
    ({"image_pull_policy": PullPolicy.NEVER}, errors.Forbidden, "policy-not-authorized"),
    ({"mounts": (MountRequest(destination="/x", size_gib=5),), "memory_mib": 8000}, errors.OverQuota, "over-quota"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "error", "code"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_refused_create_leaves_nothing_behind(
    plane: ControlPlane, fields: dict[str, object], error: type[errors.HigginsError], code: str
) -> None:
    plane.control.quotas.update(caller("admin"), "project-1", {"memory": 4000})
    with pytest.raises(error) as caught:
        plane.control.containers.create(
            caller(), NewContainer(**({"image": "busybox"} | fields)), run=True, idempotency_key="k", request_hash="h"
        )
    assert caught.value.code == code
    assert len(caught.value.message) > 20
    assert [plane.count(table) for table in TABLES] == [0, 0, 0, 0]
    assert used(plane) == (0, 0, 0, 0)
    assert plane.hints == []


def test_unknown_host_and_known_host(plane: ControlPlane) -> None:
    admin = caller("admin")
    with pytest.raises(errors.NotFound) as caught:
        plane.create(admin, host="nowhere")
    assert caught.value.code == "requested-host-not-found"
    assert plane.create(admin, host=HOSTNAME).spec.requested_host == HOSTNAME


def test_readers_and_strangers_create_nothing(plane: ControlPlane) -> None:
    for role in ("reader", "auditor", "service"):
        with pytest.raises(errors.Forbidden, match="container:create"):
            plane.create(caller(role))


def test_an_image_of_a_registry_gets_its_domain(plane: ControlPlane) -> None:
    who = caller()
    registry = plane.control.registries.create(who, NewRegistry(domain="r.example:5000", name="mine", password="pw"))
    pod = plane.create(who, image="team/web:1", registry="mine")
    assert pod.spec.containers[0].image == pod.image == "r.example:5000/team/web:1"
    assert pod.spec.containers[0].registry == registry.uuid
    assert plane.create(who, image="R.example:5000/team/web:2", registry="mine").image == "R.example:5000/team/web:2"
    with pytest.raises(errors.NotFound, match="mine"):
        plane.create(caller(project="project-2"), registry="mine")


def test_no_login_goes_to_another_registry_than_its_own(plane: ControlPlane) -> None:
    who = caller()
    plane.control.registries.create(who, NewRegistry(domain="r.example", name="mine", password="pw"))
    plane.control.registries.create(who, NewRegistry(domain="index.docker.io", name="hub", password="pw"))
    for image in ("other.example/web", "r.example:5000/web", "docker.io/library/web"):
        with pytest.raises(errors.Invalid, match=r"is not of the registry r\.example\. Name it without"):
            plane.create(who, image=image, registry="mine")
    pod = plane.made(image="r.example/web", registry="mine")
    with pytest.raises(errors.Invalid, match="is not of the registry"):
        plane.control.containers.rebuild(who, pod.uuid, image="other.example/web")
    assert plane.control.containers.rebuild(who, pod.uuid, image="web:2").image == "r.example/web:2"
    assert plane.create(who, image="docker.io/library/web", registry="hub").image == "docker.io/library/web"


def test_a_container_whose_registry_was_forgotten_can_be_rebuilt(plane: ControlPlane) -> None:
    registry = plane.control.registries.create(caller(), NewRegistry(domain="r.example", name="mine", password="pw"))
    pod = plane.made(image="web", registry="mine")
    plane.control.registries.delete(caller(), registry.uuid)
    assert plane.control.containers.rebuild(caller(), pod.uuid, image="other.example/web").image == "other.example/web"


def test_an_image_named_by_digest_is_accepted(plane: ControlPlane) -> None:
    name = "busybox@sha256:" + "ab" * 32
    assert plane.create(image=name).image == name


def test_volumes_are_made_on_first_use_or_go_with_the_container(plane: ControlPlane) -> None:
    first = plane.create(
        mounts=(MountRequest(destination="/a", source="data"), MountRequest(destination="/b", size_gib=2))
    )
    second = plane.create(mounts=(MountRequest(destination="/c", source="data", read_only=True),))
    other = plane.create(caller(project="project-2"), mounts=(MountRequest(destination="/c", source="data"),))
    with plane.db.read() as tx:
        data = volumes.get(tx, "data", Scope("project-1"))
        own = volumes.of(tx, [first.spec.containers[0].mounts[1].volume])
    assert first.spec.containers[0].mounts[0].volume == second.spec.containers[0].mounts[0].volume == data.uuid
    assert other.spec.containers[0].mounts[0].volume != data.uuid
    assert [(volume.pod_uuid, volume.size_gib) for volume in own.values()] == [(first.uuid, 2)]
    assert data.pod_uuid is None
    by_uuid = plane.create(mounts=(MountRequest(destination="/d", source=data.uuid),))
    assert by_uuid.spec.containers[0].mounts[0].volume == data.uuid


@pytest.mark.parametrize("placed", [False, True])
def test_a_deleted_container_takes_its_own_volume_with_it(plane: ControlPlane, placed: bool) -> None:
    pod = plane.create(
        mounts=(MountRequest(destination="/a", source="data"), MountRequest(destination="/b", size_gib=2))
    )
    if placed:
        plane.place()
    plane.control.containers.delete(caller(), pod.uuid)
    if placed:
        plane.report(pod, Phase.GONE)
    plane.sweep()
    assert [plane.count(table) for table in ("pods", "volumes", "ledger")] == [0, 1, 0]
    with plane.db.read() as tx:
        assert volumes.get(tx, "data", Scope("project-1")).pod_uuid is None


def test_a_container_that_no_host_can_take_says_why(plane: ControlPlane) -> None:
    plane.control.services.disable(caller("admin"), HOSTNAME, "zun-compute")
    pod, who = plane.create(), caller()
    plane.place()
    shown = derive(plane.row(pod.uuid))
    assert shown.status is Status.ERROR
    assert shown.reason
    [action] = plane.control.actions.list(who, pod.uuid)
    assert (action.message, action.reason) == ("Error", shown.reason)
    plane.control.services.enable(caller("admin"), HOSTNAME, "zun-compute")
    started = plane.control.containers.start(who, pod.uuid)
    assert derive(started).status is Status.CREATING
    plane.place()
    assert plane.row(pod.uuid).hostname == HOSTNAME


def test_injected_files_are_sealed(plane: ControlPlane, tmp_path: pathlib.Path) -> None:
    canary = b"canary-in-a-file"
    pod = plane.create(
        environment={"KEY": "canary-in-the-environment"},
        mounts=(MountRequest(destination="/etc/x", kind="file", content=canary),),
    )
    assert pods.open_spec(plane.row(pod.uuid), plane.sealer).containers[0].mounts[0].content == canary
    plane.close()
    assert not any(b"canary" in file.read_bytes() for file in tmp_path.iterdir())


def test_two_names_may_be_the_same_and_are_then_ambiguous(plane: ControlPlane) -> None:
    first = plane.create(name="web")
    plane.create(name="web")
    with pytest.raises(errors.Conflict, match="web"):
        plane.control.containers.get(caller(), "web")
    assert plane.control.containers.get(caller(), first.uuid).uuid == first.uuid


@pytest.mark.parametrize(("scope", "elsewhere"), [("project", True), ("global", False)])
def test_names_can_be_unique(tmp_path: pathlib.Path, scope: str, elsewhere: bool) -> None:
    plane = ControlPlane(tmp_path, unique_name_scope=scope)
    plane.create(name="web")
    for project, fine in (("project-1", False), ("project-2", elsewhere)):
        if fine:
            plane.create(caller(project=project), name="web")
        else:
            with pytest.raises(errors.NameTaken):
                plane.create(caller(project=project), name="web")
    assert used(plane) == (1, 1000, 512, 0)
    other = plane.made(name="other")
    with pytest.raises(errors.NameTaken):
        plane.control.containers.rename(caller(), other.uuid, "web")
    plane.close()


def test_an_idempotency_key_makes_one_container(plane: ControlPlane) -> None:
    def create(key: str, request: str, project: str = "project-1"):
        return plane.control.containers.create(
            caller(project=project), NewContainer(image="busybox"), run=True, idempotency_key=key, request_hash=request
        )

    first = create("key", "a")
    assert create("key", "a").uuid == first.uuid
    assert create("key", "a", "project-2").uuid != first.uuid
    with pytest.raises(errors.Conflict, match="another request"):
        create("key", "b")
    assert used(plane) == (1, 1000, 512, 0)
    plane.control.containers.delete(caller(), first.uuid, stop=True)
    plane.sweep()
    with pytest.raises(errors.Conflict, match="gone"):
        create("key", "a")


def test_one_key_sent_many_times_at_once_makes_one_container(plane: ControlPlane) -> None:
    def create():
        return plane.control.containers.create(
            caller(), NewContainer(image="busybox"), run=True, idempotency_key="key", request_hash="a"
        )

    results = at_once(*[create] * 8)
    assert len({pod.uuid for pod in results}) == 1
    assert plane.count("pods") == 1


def test_parallel_creates_never_go_over_the_quota(plane: ControlPlane) -> None:
    plane.control.quotas.update(caller("admin"), "project-1", {"containers": 5})
    results = at_once(*[plane.create] * 16)
    refused = [result for result in results if isinstance(result, errors.OverQuota)]
    assert (16 - len(refused), plane.count("pods"), plane.count("actions")) == (5, 5, 5)
    assert all("containers" in error.message and "5" in error.message for error in refused)
    assert used(plane) == (5, 5000, 2560, 0)


def test_quota_counts_the_defaults_and_is_given_back(plane: ControlPlane) -> None:
    plane.control.quotas.update(caller("admin"), "project-1", {"memory": 600})
    pod = plane.made()
    with pytest.raises(errors.OverQuota, match="memory"):
        plane.create()
    plane.control.containers.delete(caller(), pod.uuid, stop=True)
    plane.report(pod, Phase.GONE)
    plane.sweep()
    assert used(plane) == (0, 0, 0, 0)
    plane.create()


def test_named_volumes_have_a_limit_and_those_that_are_there_go_on(tmp_path: pathlib.Path) -> None:
    for plane in planes(tmp_path, quota_local_volumes=1):
        first = (MountRequest(destination="/a", source="data"),)
        plane.create(mounts=first)
        plane.create(mounts=first)
        plane.create(caller(project="project-2"), mounts=first)
        plane.create(mounts=(MountRequest(destination="/a", size_gib=1),))
        with pytest.raises(errors.OverQuota, match="Mount one of those"):
            plane.create(mounts=(MountRequest(destination="/a", source="more"),))
        assert plane.count("volumes") == 3


LINK_LOCAL = ("169.254.169.254", "169.254.169.254:80", "169.254.43518", "[fe80::1]:5000", "[::ffff:a9fe:a9fe]:80")


@pytest.mark.parametrize("registry", LINK_LOCAL)
def test_hosts_are_not_sent_to_link_local_addresses(plane: ControlPlane, registry: str) -> None:
    with pytest.raises(errors.Invalid, match="link-local"):
        plane.create(image=f"{registry}/x")
    plane.control.registries.create(caller(), NewRegistry(domain=registry, name="there", username="u", password="p"))
    with pytest.raises(errors.Invalid, match="link-local"):
        plane.create(image="x", registry="there")
    pod = plane.made()
    with pytest.raises(errors.Invalid, match="link-local"):
        plane.control.containers.rebuild(caller(), pod.uuid, image=f"{registry}/x")
    with pytest.raises(errors.Invalid, match="link-local"):
        plane.control.images.pull(caller("admin"), repo=f"{registry}/x", host=HOSTNAME)
    assert plane.count("pods") == 1


def test_an_operator_says_from_where_images_come(tmp_path: pathlib.Path) -> None:
    for plane in planes(tmp_path, registries=("docker.io", "*.corp.example", "127.0.0.1:5000")):
        for image in ("nginx", "docker.io/library/nginx:1", "r.corp.example:5000/x", "127.0.0.1:5000/x"):
            assert plane.create(image=image).image == image
        for image in ("quay.io/x", "127.0.0.1:22/x", "localhost/x", "corp.example/x", "10.0.0.1:8080/x"):
            with pytest.raises(errors.Invalid, match=r"Use one of: docker\.io"):
                plane.create(image=image)
