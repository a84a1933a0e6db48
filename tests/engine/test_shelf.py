"""Whose the images in a real engine's store are: commits of projects, and what came from a registry behind a password."""

from __future__ import annotations

import dataclasses

import pytest

from higgins.agent.hands.shelf import Shelf
from higgins.agent.journal import Journal
from higgins.core import errors, model
from tests.engine import running

PRIVATE = "127.0.0.1:5001/team/forbidden:2"
ability = pytest.mark.ability


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


@ability("commit")
@pytest.mark.parametrize("name", ["busybox", "[::1]:5000/Team.Example/x", "R.example:5000/team/box:v1", "a/b_c"])
def test_a_commit_is_found_by_its_project_and_replaces_nothing(bench, journal, name):
    before = bench.engine.image("busybox")
    shelf = Shelf(bench.engine, journal)
    if "Team" in name:
        with pytest.raises(errors.Invalid):
            shelf.commit(bench.engine, bench.made(), "p", name)
        return
    made = shelf.commit(bench.engine, bench.made(), "p", name)
    assert bench.engine.image("busybox") == before
    for at in (shelf, Shelf(bench.engine, journal)):
        assert at.own("p", name).image_id == made.image_id
        assert at.own("q", name) is None
        assert at.own("p", f"other/{name.rpartition('/')[2]}") is None
    creation = dataclasses.replace(bench.creation(image=name), image_id=made.image_id)
    bench.engine.create(creation)
    bench.engine.remove(creation.spec.uuid)
    bench.engine.remove_image(made.names[0])
    assert shelf.own("p", name) is None


@ability("private registry")
def test_what_a_login_fetched_is_not_found_without_it(bench, journal):
    if bench.daemon is not None:
        bench.daemon.registry("127.0.0.1:5001", "team/forbidden:2", login=True)
    shelf = Shelf(bench.engine, journal)
    shelf.fetching(PRIVATE, "record")
    login = model.RegistryLogin(domain="127.0.0.1:5001", username=running.USER, password=running.PASSWORD)
    facts = bench.engine.pull(PRIVATE, login=login)
    shelf.fetched(PRIVATE, facts, "record")
    for name in (PRIVATE, f"127.0.0.1:5001/team/forbidden@{facts.digest}"):
        assert shelf.found(name, "record").image_id == facts.image_id
        for other in ("", "another"):
            with pytest.raises(errors.ImageNotFound):
                shelf.found(name, other)
    with pytest.raises(errors.ImageNotFound):
        bench.engine.image(f"127.0.0.1:5001/team/box@{facts.digest}")
    bench.engine.remove_image(PRIVATE)
