"""Pulls from real registries: digests, progress, credentials, cancellation, and registries that do not answer."""

from __future__ import annotations

import contextlib
import threading

import pytest

from higgins.core import errors, model
from tests.engine import running
from tests.engine.conftest import Bench

OPEN, LOGIN = "127.0.0.1:5000", "127.0.0.1:5001"
BOX, FORBIDDEN = f"{OPEN}/team/box:1", f"{LOGIN}/team/forbidden:1"
ability = pytest.mark.ability


@pytest.fixture
def puller(bench: Bench) -> Bench:
    """An engine with two registries beside it: one for all, one behind a password."""
    if bench.daemon is not None:
        bench.daemon.registry(OPEN, "team/box:1", login=False)
        bench.daemon.registry(LOGIN, "team/forbidden:1", login=True)
    for name in (BOX, FORBIDDEN):
        bench.engine.remove_image(name)
    return bench


@ability("pull")
def test_a_pull_tells_its_progress_and_the_digest(puller):
    seen = []
    facts = puller.engine.pull(BOX, progress=seen.append)
    assert facts.digest.startswith("sha256:")
    assert facts.names == (BOX,)
    assert seen[-1].layers >= 1
    assert puller.engine.image(BOX) == facts
    uid = puller.made(image=BOX)
    assert puller.engine.inspect(uid).image_digest == facts.digest
    if puller.name != "fake":
        assert puller.engine.inspect(uid).exposed_ports == (80,)


@ability("pull")
def test_a_pull_by_digest_gives_the_same_image(puller):
    digest = puller.engine.pull(BOX).digest
    puller.engine.remove_image(BOX)
    named = f"{OPEN}/team/box@{digest}"
    assert puller.engine.pull(named).digest == digest
    uid = puller.made(image=named)
    assert puller.engine.inspect(uid).image_digest == digest
    puller.engine.remove(uid)
    puller.engine.remove_image(named)
    with pytest.raises(errors.ImageNotFound):
        puller.engine.image(named)


@ability("pull, bad days")
@pytest.mark.parametrize("name", [f"{OPEN}/team/missing:1", f"{OPEN}/team/box:missing"])
def test_what_the_registry_lacks_is_not_found(puller, name):
    with pytest.raises(errors.ImageNotFound):
        puller.engine.pull(name)


@ability("pull, bad days")
def test_a_registry_that_is_not_there_is_unavailable(puller):
    with pytest.raises(errors.Unavailable):
        puller.engine.pull("127.0.0.1:5009/team/unreachable:1")


@ability("private registry")
def test_a_private_image_needs_a_login(puller):
    with pytest.raises(errors.ImageNotFound):
        puller.engine.pull(FORBIDDEN)
    login = model.RegistryLogin(domain=LOGIN, username=running.USER, password=running.PASSWORD)
    assert puller.engine.pull(FORBIDDEN, login=login).names == (FORBIDDEN,)


@ability("private registry")
def test_a_wrong_password_is_told_and_never_shown(puller):
    if puller.name == "fake":
        pytest.skip("the fake engine takes every password")
    login = model.RegistryLogin(domain=LOGIN, username=running.USER, password="wrong-horse")
    with pytest.raises(errors.ImageNotFound) as caught:
        puller.engine.pull(FORBIDDEN, login=login)
    assert "wrong-horse" not in caught.value.message


@ability("pull, many at once")
def test_pulls_of_one_image_at_the_same_time(puller):
    digests, problems = [], []

    def one():
        try:
            digests.append(puller.engine.pull(BOX).digest)
        except errors.HigginsError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(digests) == 6
    assert len(set(digests)) == 1


@ability("pull, cancelled")
def test_a_pull_can_be_cancelled(puller):
    cancelled = threading.Event()
    with contextlib.ExitStack() as stack:
        name = f"{OPEN}/team/slow-30s:1"
        if puller.daemon is not None:
            stack.enter_context(running.silent_server(puller.daemon, 5002))
            name = "127.0.0.1:5002/team/box:1"
        threading.Timer(0.5, cancelled.set).start()
        with pytest.raises(errors.Conflict):
            puller.engine.pull(name, cancelled=cancelled.is_set)
    assert cancelled.is_set()
