"""Containers of images of Glance: the real Glance, the real wire, a real engine."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import pathlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from higgins.core import errors
from higgins.core.phase import Phase
from higgins.engine import load
from higgins.engine.api import Engine
from higgins.wire.client import WireClient
from tests.cloud.cloud_world import Cloud, People, until
from tests.cloud.pictured import Pictured, archive
from tests.engine import running

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module", params=["podman", "docker"])
def daemon(request: pytest.FixtureRequest) -> Iterator[running.Daemon]:
    why = running.missing(request.param)
    if why:
        pytest.skip(why)
    with running.daemon(request.param) as private:
        yield private


@pytest.fixture
def world(daemon: running.Daemon, cloud: Cloud, people: People) -> Iterator[Pictured]:
    engine = load.open_engine(daemon.name, f"unix://{daemon.socket}?installation={uuid.uuid4()}")
    with inhabited(cloud, people, engine) as made:
        yield made
    engine.close()


@pytest.fixture
def quick(cloud: Cloud, people: People) -> Iterator[Pictured]:
    """For what does not depend on the engine."""
    with inhabited(cloud, people, load.open_engine("fake", "fake:")) as made:
        yield made


@contextlib.contextmanager
def inhabited(cloud: Cloud, people: People, engine: Engine) -> Iterator[Pictured]:
    """An installation of which nothing is left."""
    with tempfile.TemporaryDirectory(prefix="hig-", ignore_cleanup_errors=True) as folder:
        made = Pictured(pathlib.Path(folder), cloud, people, engine)
        try:
            yield made
        finally:
            made.end()


@contextlib.contextmanager
def uploaded(people: People, data: bytes, persona: str = "member", **words: Any) -> Iterator[Any]:
    """An image in Glance, gone afterwards."""
    glance = people.connection(persona).image
    given = {"name": f"box-{uuid.uuid4().hex[:8]}", "container_format": "docker", "disk_format": "raw"} | words
    image = glance.create_image(data=data, **given)
    try:
        yield glance.get_image(image.id)
    finally:
        glance.delete_image(image, ignore_missing=True)


def test_a_container_is_made_of_exactly_the_image_that_its_user_named(world: Pictured, people: People) -> None:
    with uploaded(people, archive(says="from glance")) as image:
        pod = world.create(image.name, command=("cat", "/says"))
        ended = world.until(pod, Phase.STOPPED)
        assert world.logs(pod) == "from glance"
        found = ended.spec.containers[0].found_image
        assert found is not None
        assert (found.uuid, found.algorithm, found.checksum) == (image.id, "sha512", image.hash_value)
        assert world.ours() == {f"higgins.local/glance:{image.id}-{image.hash_value[:16]}"}
        # The tag in the archive is not taken: it is this engine's own busybox, which has no /says.
        plain = world.create("busybox", image_driver="docker", command=("cat", "/says"))
        shown = world.until(plain, Phase.STOPPED)
        assert shown.status is not None
        assert shown.status.containers[0].exit_code != 0
        steps = world.steps(pod)
        assert [step.verb for step in steps] == ["pull", "create", "start"]


def test_many_starts_share_one_download_and_the_second_time_needs_none(world: Pictured, people: People) -> None:
    with uploaded(people, gzip.compress(archive(says="shared", filler=30 << 20), 1)) as image:
        together = [world.create(image.id) for _ in range(4)]
        for pod in together:
            world.until(pod, Phase.RUNNING)
        assert world.source.asked == [(image.id, 0)]
        world.until(world.create(image.id), Phase.RUNNING)
        assert world.source.asked == [(image.id, 0)]


def test_what_breaks_off_on_the_way_goes_on_from_there(quick: Pictured, people: People) -> None:
    with uploaded(people, archive(says="resumed", filler=8 << 20)) as image:
        quick.source.breaks, quick.source.after = 2, 3_000_000
        quick.until(quick.create(image.id), Phase.RUNNING)
        offsets = [offset for _, offset in quick.source.asked]
        assert len(offsets) == 3
        assert offsets[0] == 0 < offsets[1] < offsets[2]


def test_a_name_means_what_its_user_may_see(quick: Pictured, people: People) -> None:
    name = f"box-{uuid.uuid4().hex[:8]}"
    for ident in (name, str(uuid.uuid4())):
        with pytest.raises(errors.ImageNotFound) as missing:
            quick.create(ident)
        assert missing.value.http_status == 400
    with uploaded(people, archive(), "stranger", name=name) as foreign:
        for ident in (name, foreign.id):
            with pytest.raises(errors.ImageNotFound):
                quick.create(ident)
        with uploaded(people, archive(says="own"), name=name, tags=["v1"]) as own:
            pod = quick.until(quick.create(f"{name}:v1"), Phase.RUNNING)
            found = pod.spec.containers[0].found_image
            assert found is not None
            assert found.uuid == own.id
            with pytest.raises(errors.ImageNotFound):
                quick.create(f"{name}:v2")
            with uploaded(people, archive(), name=name), pytest.raises(errors.Conflict):
                quick.create(name)


def test_what_no_container_can_be_made_of_is_refused_at_once(quick: Pictured, people: People) -> None:
    with uploaded(people, b"a disk", container_format="bare") as bare, pytest.raises(errors.Invalid, match="docker"):
        quick.create(bare.name)
    glance = people.connection("member").image
    queued = glance.create_image(
        name=f"box-{uuid.uuid4().hex[:8]}", container_format="docker", disk_format="raw", allow_duplicates=True
    )
    try:
        with pytest.raises(errors.Invalid, match="queued"):
            quick.create(queued.id)
    finally:
        glance.delete_image(queued)


def test_an_offered_image_is_used_when_it_was_accepted_and_no_longer_than_it_is_offered(
    quick: Pictured, people: People
) -> None:
    project = people.connection("member").current_project_id
    with uploaded(people, archive(says="lent"), "stranger", visibility="shared") as image:
        lender = people.connection("stranger").image
        lender.add_member(image, member_id=project)
        with pytest.raises(errors.ImageNotFound, match="accept"):
            quick.create(image.id)
        people.connection("member").image.update_member(project, image, status="accepted")
        pod = quick.create(image.id)
        quick.until(pod, Phase.RUNNING)
        lender.remove_member(project, image)
        quick.control.containers.stop(quick.who(), pod.uuid, timeout_s=5)
        quick.until(pod, Phase.STOPPED)
        quick.control.containers.start(quick.who(), pod.uuid)  # no new use of it: the container is there
        quick.until(pod, Phase.RUNNING)
        quick.control.containers.rebuild(quick.who(), pod.uuid)
        quick.until(pod, Phase.FAILED)
        assert "not shared with this project" in quick.reason(pod)


def test_an_image_that_is_deleted_while_it_is_fetched_says_so(quick: Pictured, people: People) -> None:
    with uploaded(people, archive(filler=8 << 20)) as image:
        quick.source.breaks, quick.source.after = 1, 100_000
        quick.source.on_break = lambda: quick.glance.delete(image.id)
        pod = quick.create(image.id)
        quick.until(pod, Phase.FAILED)
        assert f"Glance has no image {image.id}" in quick.reason(pod)
        assert quick.ours() == set()
        assert list((quick.folder / "agent/images").iterdir()) == []


def test_an_image_deleted_before_a_rebuild_fails_it_with_the_reason(quick: Pictured, people: People) -> None:
    with uploaded(people, archive()) as image:
        pod = quick.create(image.name)
        quick.until(pod, Phase.RUNNING)
        quick.glance.delete(image.id)
        quick.control.containers.rebuild(quick.who(), pod.uuid)
        quick.until(pod, Phase.FAILED)
        assert f"{image.name} was deleted from Glance" in quick.reason(pod)


def test_a_rebuild_may_name_another_image(world: Pictured, people: People) -> None:
    with uploaded(people, archive(says="one")) as one, uploaded(people, archive(says="two")) as two:
        pod = world.create(one.name, command=("cat", "/says"))
        world.until(pod, Phase.STOPPED)
        world.control.containers.rebuild(world.who(), pod.uuid, image=two.name)
        world.until(pod, Phase.CREATED)
        world.control.containers.start(world.who(), pod.uuid)
        world.until(pod, Phase.STOPPED)
        assert world.logs(pod).endswith("two")
        with pytest.raises(errors.ImageNotFound):
            world.control.containers.rebuild(world.who(), pod.uuid, image="no-such-image")


@pytest.mark.parametrize("broken", [lambda: b"no archive", lambda: archive()[: 1 << 20]], ids=["text", "half"])
def test_a_broken_archive_fails_the_container_and_leaves_nothing(
    quick: Pictured, people: People, broken: Callable[[], bytes]
) -> None:
    with uploaded(people, broken()) as image:
        pod = quick.create(image.id)
        quick.until(pod, Phase.FAILED)
        assert "archive cannot be used" in quick.reason(pod)
        assert quick.ours() == set()
        assert list((quick.folder / "agent/images").iterdir()) == []


def test_an_image_too_big_for_the_host_says_so(quick: Pictured, people: People) -> None:
    quick.start_agent(most_image_bytes=1 << 20)
    with uploaded(people, archive()) as image:
        pod = quick.create(image.id)
        quick.until(pod, Phase.FAILED)
        assert "takes no more than 1 MiB" in quick.reason(pod)
        assert quick.source.asked == []


def test_only_a_host_that_was_granted_an_image_gets_it(quick: Pictured, people: People) -> None:
    wire = WireClient(f"unix:{quick.folder}/w", "token")
    stranger = WireClient(f"unix:{quick.folder}/w", "another token")
    with uploaded(people, archive()) as image, uploaded(people, archive()) as other:
        pod = quick.create(image.id)
        quick.until(pod, Phase.RUNNING)
        with wire.image(image.id, 10) as chunks:
            assert hashlib.sha256(b"".join(chunks)).digest() == hashlib.sha256(archive()[10:]).digest()
        with pytest.raises(errors.NotFound), wire.image(other.id, 0):
            pass
        with pytest.raises(errors.Unauthorized), stranger.image(image.id, 0):
            pass
        quick.delete(pod)
        with pytest.raises(errors.NotFound), wire.image(image.id, 0):
            pass


def test_what_nothing_uses_any_more_is_removed_from_the_host(world: Pictured, people: People) -> None:
    world.start_agent(unused_s=0, resync_s=0.2)
    with uploaded(people, archive()) as image:
        pod = world.create(image.id)
        world.until(pod, Phase.RUNNING)
        assert len(world.ours()) == 1
        world.delete(pod)
        until("the image to be removed", lambda: not world.ours())


def test_a_commit_becomes_an_image_of_the_users_project_and_runs(world: Pictured, people: People) -> None:
    name = f"committed-{uuid.uuid4().hex[:8]}"
    with uploaded(people, archive()) as image:
        pod = world.create(image.id, command=("sh", "-c", "echo changed >/says; sleep 1000"))
        world.until(pod, Phase.RUNNING)
        until(
            "the change",
            lambda: world.control.live.execute(world.who(), pod.uuid, ("cat", "/says")).output == "changed\n",
        )
        who = world.who()
        made = world.control.live.commit(who, pod.uuid, repository=name, tag="v2").image_id
        glance = people.connection("member").image
        try:
            until("the commit to end", lambda: world.action(pod, who.request_id).finished_at)
            assert world.action(pod, who.request_id).message is None, world.action(pod, who.request_id).reason
            shown = glance.get_image(made)
            assert (shown.name, shown.status, shown.container_format, shown.disk_format) == (
                name,
                "active",
                "docker",
                "qcow2",
            )
            assert (shown.owner, shown.tags) == (who.project_id, ["v2"])
            assert world.ours() == {f"higgins.local/glance:{image.id}-{image.hash_value[:16]}"}
            again = world.create(f"{name}:v2", command=("cat", "/says"))
            world.until(again, Phase.STOPPED)
            assert world.logs(again) == "changed\n"
        finally:
            glance.delete_image(made, ignore_missing=True)


def test_a_commit_that_breaks_leaves_nothing_and_says_why(world: Pictured, people: People) -> None:
    with uploaded(people, archive()) as image:
        pod = world.create(image.id)
        world.until(pod, Phase.RUNNING)
        who = world.who()
        world.engine.save_image = _broken_off  # type: ignore[attr-defined]
        try:
            made = world.control.live.commit(who, pod.uuid, repository="never", tag=None).image_id
            until("the commit to end", lambda: world.action(pod, who.request_id).finished_at)
        finally:
            del world.engine.save_image  # type: ignore[attr-defined]
        ended = world.action(pod, who.request_id)
        assert (ended.message, bool(ended.reason)) == ("Error", True)
        with pytest.raises(errors.ImageNotFound):
            world.glance.get(made)
        assert not any("commit" in name for name in world.ours())


@contextlib.contextmanager
def _broken_off(name: str) -> Iterator[Iterator[bytes]]:
    def chunks() -> Iterator[bytes]:
        yield bytes(1 << 20)
        raise errors.Unavailable(f"The engine went away while {name} was saved.")

    yield chunks()


def test_images_of_glance_are_searched_with_the_users_own_eyes(quick: Pictured, people: People) -> None:
    name = f"box-{uuid.uuid4().hex[:8]}"
    with uploaded(people, archive(), name=name) as own, uploaded(people, archive(), "stranger", name=name):
        for exact, asked in ((True, name), (False, name[2:])):
            found = quick.control.images.search(quick.who(), asked, image_driver="glance", exact_match=exact)
            assert [one.uuid for one in found] == [own.id]
        assert not quick.control.images.search(quick.who(), name[:-1], image_driver="glance", exact_match=True)


def test_nobody_names_what_hosts_keep_for_others(quick: Pictured) -> None:
    for image in ("higgins.local/glance:x", "higgins.local:443/glance:x"):
        with pytest.raises(errors.Invalid, match="no registry"):
            quick.create(image, image_driver="docker")
