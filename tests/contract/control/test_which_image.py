"""Which image a name means: of Glance to the project of the container, of registries never what hosts keep for others."""

from __future__ import annotations

import dataclasses
import itertools
import uuid
from typing import Any, cast

import pytest

from higgins.cloud.glance import PAGE, Glance
from higgins.cloud.services import Services
from higgins.control import service
from higgins.control.requests import NewContainer, NewRegistry, RegistryChange
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.core.phase import Phase
from tests.contract.control.control_plane import ControlPlane, caller


class Images:
    """Glance's answers to who sees everything: an administrator, and our own account."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.members: dict[tuple[str, str], str] = {}

    def add(self, name: str, owner: str, **more: Any) -> str:
        given = {
            "id": str(uuid.uuid4()), "name": name, "owner": owner, "status": "active", "visibility": "private",
            "container_format": "docker", "checksum": "c", "os_hash_algo": "sha512", "os_hash_value": "v", "size": 1, "tags": [],
        }  # fmt: skip
        self.images[given["id"]] = given | more
        return given["id"]

    def call(self, method: str, path: str, *, query: dict[str, str] | None = None, **_words: Any) -> Any:
        parts = path.split("/")[3:]
        if not parts:
            return self._listed(query or {})
        if len(parts) == 1 and parts[0] in self.images:
            return self.images[parts[0]]
        if len(parts) == 3 and (parts[0], parts[2]) in self.members:
            return {"status": self.members[parts[0], parts[2]]}
        raise errors.NotFound("Glance has no such thing.")

    def _listed(self, query: dict[str, str]) -> dict[str, Any]:
        rest = iter(self.images.values())
        if "marker" in query:
            rest = itertools.dropwhile(lambda one: one["id"] != query["marker"], rest)
            next(rest)
        name = query.get("name", "").removeprefix('in:"').removesuffix('"')
        fitting = [one for one in rest if name in ("", one["name"])]
        size = int(query["limit"])
        return {"images": fitting[:size]} | ({"next": "there is more"} if fitting[size:] else {})


@pytest.fixture
def glance() -> Images:
    return Images()


@pytest.fixture
def clouded(plane: ControlPlane, glance: Images) -> Any:
    """The use cases with such a Glance."""
    settings = dataclasses.replace(plane.means.settings, image_drivers=("docker", "glance"))
    services = Services(session=cast("Any", None), glance=Glance(cast("Any", glance)))
    return service.build(dataclasses.replace(plane.means, settings=settings, services=services), plane.agent)


def who(*roles: str, project: str = "project-1") -> Caller:
    return dataclasses.replace(caller(*roles, project=project), token="token")


def meant(clouded: Any, name: str, asks: Caller) -> str:
    pod = clouded.containers.create(asks, NewContainer(image=name, image_driver="glance"), run=False)
    return str(pod.spec.containers[0].found_image.uuid)


def test_a_project_s_own_image_comes_before_others_whatever_an_administrator_sees(clouded: Any, glance: Images) -> None:
    glance.add("nginx", "project-2")
    public = glance.add("nginx", "project-2", visibility="public")
    assert meant(clouded, "nginx", who("admin")) == public
    own = glance.add("nginx", "project-1")
    for asks in (who("admin"), who()):
        assert meant(clouded, "nginx", asks) == own
    glance.add("nginx", "project-1")
    with pytest.raises(errors.Conflict, match="uuid"):
        meant(clouded, "nginx", who())


def test_own_images_that_no_container_can_be_made_of_do_not_stand_before_others(clouded: Any, glance: Images) -> None:
    glance.add("nginx", "project-1", status="queued")
    public = glance.add("nginx", "project-2", visibility="public")
    assert meant(clouded, "nginx", who()) == public
    glance.add("disk", "project-1", container_format="bare")
    with pytest.raises(errors.Invalid, match="container format bare"):
        meant(clouded, "disk", who())


def test_what_was_offered_must_be_accepted_and_what_was_not_is_not_there(clouded: Any, glance: Images) -> None:
    shared = glance.add("nginx", "project-2", visibility="shared")
    for asked in ("nginx", shared):
        with pytest.raises(errors.ImageNotFound, match="this project may use"):
            meant(clouded, asked, who("admin"))
    for status in ("pending", "rejected"):
        glance.members[shared, "project-1"] = status
        with pytest.raises(errors.ImageNotFound, match="Accept it" if status == "pending" else "may use"):
            meant(clouded, "nginx", who())
    glance.members[shared, "project-1"] = "accepted"
    assert meant(clouded, "nginx", who()) == shared


def test_a_tag_is_looked_for_where_the_whole_is_nobodys_name_that_counts(clouded: Any, glance: Images) -> None:
    glance.add("nginx:v1", "project-2")
    own = glance.add("nginx", "project-1", tags=["v1"])
    assert meant(clouded, "nginx:v1", who("admin")) == own


def test_a_rebuild_by_an_administrator_means_images_of_the_containers_project(
    plane: ControlPlane, clouded: Any, glance: Images
) -> None:
    pod = plane.made()
    glance.add("nginx", "admins")
    theirs = glance.add("nginx", "project-1")
    rebuilt = clouded.containers.rebuild(who("admin", project="admins"), pod.uuid, image="nginx", image_driver="glance")
    assert rebuilt.spec.containers[0].found_image.uuid == theirs


@pytest.mark.parametrize("name", ["higgins.local/glance:theirs", "Higgins.LOCAL:80/glance:theirs"])
def test_a_name_is_checked_when_only_the_driver_changes(
    plane: ControlPlane, clouded: Any, glance: Images, name: str
) -> None:
    for image, refused in ((name, True), ("nginx", False)):
        glance.add(image, "project-1")
        pod = clouded.containers.create(who(), NewContainer(image=image, image_driver="glance"), run=False)
        plane.place()
        plane.report(pod, Phase.RUNNING)
        if refused:
            with pytest.raises(errors.Invalid, match="no registry"):
                clouded.containers.rebuild(who(), pod.uuid, image_driver="docker")
        else:
            rebuilt = clouded.containers.rebuild(who(), pod.uuid, image_driver="docker").spec.containers[0]
            assert (rebuilt.image, rebuilt.image_driver, rebuilt.found_image) == ("nginx", "docker", None)


def test_no_registry_has_the_domain_of_what_hosts_keep_for_others(plane: ControlPlane) -> None:
    registries = plane.control.registries
    for domain in ("higgins.local", "HIGGINS.local:443"):
        with pytest.raises(errors.Invalid):
            registries.create(caller(), NewRegistry(domain=domain, name="own"))
    made = registries.create(caller(), NewRegistry(domain="r.example", name="own"))
    with pytest.raises(errors.Invalid):
        registries.update(caller(), made.uuid, RegistryChange(domain="higgins.local"))
    with pytest.raises(errors.Invalid, match="no registry"):
        plane.create(image="higgins.local/project/theirs")
    with pytest.raises(errors.Invalid, match="an image's id"):
        plane.create(image="sha256:" + "a" * 64)


def test_a_search_reads_every_page(clouded: Any, glance: Images) -> None:
    for place in range(4 * PAGE + 1):
        glance.add(f"box-{place}", "project-1")
    found = clouded.images.search(who(), f"box-{4 * PAGE}", image_driver="glance")
    assert [one.name for one in found] == [f"box-{4 * PAGE}"]
