"""Which images in a host's store a pod may be made of: by the names of registries only, and not what is there for others."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest

from higgins.core import model
from higgins.core.phase import Phase, PullPolicy
from higgins.wire import contract
from higgins.wire.client import LiveClient
from tests.host.controller_double import assignment, container

MISSING, NEVER, ALWAYS = PullPolicy.IF_NOT_PRESENT, PullPolicy.NEVER, PullPolicy.ALWAYS
PRIVATE = "127.0.0.1:5001/team/forbidden:1"
OPEN = "127.0.0.1:5001/team/open:1"
LOGIN = model.RegistryLogin(domain="127.0.0.1:5001", username="corp", password="secret")


def run(house, uuid, image, *, project="p", policy=MISSING, login=None, phase=Phase.RUNNING):
    """What became of a pod of one container of this image."""
    spec = container(uuid, image=image, pull_policy=policy, registry=f"record-{login.username}" if login else None)
    want = assignment(uuid, spec, registries={spec.registry: login} if login else {})
    house.controller.wish(dataclasses.replace(want, project_id=project))
    return house.controller.wait_for(uuid, phase)


def made_of(house, uuid):
    return house.store.get(uuid).digest


def commit(house, *, project="p", name="nginx"):
    question = contract.CommitQuestion(project=project, repository=name, tag="latest")
    with contextlib.closing(LiveClient(house.live, "live-token")) as live:
        return live.ask("c1", "c1", "commit", question, contract.CommitAnswer)


@pytest.mark.parametrize("policy", [MISSING, NEVER, ALWAYS])
def test_an_id_is_no_name(house, policy):
    house.start()
    theirs = house.engine._keep_image("higgins.local/glance:theirs", "a" * 64)
    for place, name in enumerate((theirs.image_id, theirs.image_id[7:], f"missing@{theirs.image_id}")):
        run(house, f"c{place}", name, policy=policy, phase=Phase.FAILED)
    assert not house.store.all()


@pytest.mark.parametrize("policy", [MISSING, NEVER, ALWAYS])
def test_what_is_kept_for_others_has_no_name(house, policy):
    house.start()
    house.engine._keep_image("higgins.local/glance:theirs", "a" * 64)
    for place, name in enumerate(("higgins.local/glance:theirs", "HIGGINS.local:80/glance:theirs")):
        assert "no registry" in run(house, f"c{place}", name, policy=policy, phase=Phase.FAILED).reason
    house.controller.wish_image(model.ImageWish(uuid="i1", image="higgins.local/glance:theirs", generation=1))
    house.controller.wait(lambda: (i := house.controller.image_status.get("i1")) and i.phase == "failed")


@pytest.mark.parametrize("policy", [MISSING, NEVER, ALWAYS])
def test_a_commit_is_its_projects_alone(house, policy):
    house.start()
    run(house, "c1", "busybox")
    made = commit(house)
    run(house, "mine", "nginx", policy=policy)
    assert made_of(house, "mine") == made.digest
    if policy is NEVER:
        run(house, "theirs", "nginx", project="q", policy=policy, phase=Phase.FAILED)
    else:
        run(house, "theirs", "docker.io/library/nginx:latest", project="q", policy=policy)
        assert made_of(house, "theirs") != made.digest
    house.stop()
    house.start()
    run(house, "later", "nginx", policy=policy)
    assert made_of(house, "later") == made.digest


def test_a_commit_that_is_gone_leaves_the_name_to_the_registry(house):
    house.start()
    run(house, "c1", "busybox")
    made = commit(house)
    run(house, "mine", "nginx")
    with house.store.locked():
        house.store.rest().images = {}
    run(house, "later", "nginx")
    assert made_of(house, "mine") == made.digest != made_of(house, "later")


def test_what_a_login_fetched_is_for_those_whom_the_registry_gives_it(house):
    house.start()
    run(house, "theirs", PRIVATE, login=LOGIN)
    for place, policy in enumerate((MISSING, NEVER, ALWAYS)):
        run(house, f"c{place}", PRIVATE, policy=policy, phase=Phase.FAILED)
    wrong = dataclasses.replace(LOGIN, username="nobody", password="")
    run(house, "wrong", PRIVATE, login=wrong, phase=Phase.FAILED)
    pulls = house.engine.asked(PRIVATE).count("pull")
    run(house, "again", PRIVATE, login=LOGIN)
    assert house.engine.asked(PRIVATE).count("pull") == pulls
    house.stop()
    house.start()
    run(house, "later", PRIVATE, login=LOGIN)
    run(house, "still", PRIVATE, phase=Phase.FAILED)
    assert house.engine.asked(PRIVATE).count("pull") == 1  # of this agent, for the one without a login


def test_what_a_registry_gives_everybody_is_asked_for_once_more_and_then_for_all(house):
    house.start()
    run(house, "first", OPEN, login=LOGIN)
    for uuid in ("second", "third"):
        run(house, uuid, OPEN)
    assert house.engine.asked(OPEN).count("pull") == 2


def test_images_that_nobody_fetched_with_a_login_are_not_even_looked_at(house):
    house.start()
    run(house, "c1", "busybox")
    assert {"image", "pull"}.isdisjoint(house.engine.asked())
