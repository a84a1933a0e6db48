"""How steps are done: every verb has its doer, and what turns out otherwise than believed is looked at again, whatever the verb."""

import pytest

from higgins.agent.execute import Executor, Replan
from higgins.agent.hands.file import Files
from higgins.agent.hands.processors import Processors
from higgins.agent.journal import Journal
from higgins.agent.observe import Observer
from higgins.agent.steps import Step, Verb
from higgins.core import errors
from higgins.engine.fake.driver import FakeEngine
from higgins.engine.fake.store import MemoryStore
from tests.host.controller_double import assignment, container

OWN_WAY = {Verb.FAIL, Verb.PULL}  # one does nothing, the other takes its time


class Portly(FakeEngine):
    """The fake engine as one that takes ports itself; of the container it says what it was given, None for nothing."""

    facts = None
    refusal = errors.NotFound("No such container.")

    def inspect(self, uuid):
        if self.facts is None:
            raise self.refusal
        return self.facts

    def take_ports(self, lend):
        pass

    def connect(self, uuid, port):
        raise self.refusal

    def disconnect(self, uuid, port):
        raise self.refusal

    def namespace(self, uuid):
        return None


class Plugs:
    """A network that is only asked for what it lends."""

    joins = False

    def lend(self, port):
        raise AssertionError


@pytest.fixture
def executor(tmp_path):
    journal, files = Journal(tmp_path / "journal"), Files(tmp_path / "files")
    engine = Portly(MemoryStore(), {})
    observer = Observer(engine, journal, files, boot="boot-1")
    processors = Processors(engine, dedicated=frozenset(), every=frozenset({0}))
    yield Executor(engine, journal, observer, files, None, None, Plugs(), processors=processors)
    journal.close()


def test_every_verb_has_one_doer(executor):
    assert executor.verbs.keys() | OWN_WAY == set(Verb)
    assert not executor.verbs.keys() & OWN_WAY


@pytest.mark.parametrize("refusal", [errors.NotFound("No such container."), errors.Conflict("It is being removed.")])
@pytest.mark.parametrize("verb", [Verb.CONNECT, Verb.DISCONNECT])
def test_a_container_that_vanished_while_it_was_connected_is_planned_for_anew(executor, verb, refusal):
    executor._engine.refusal = refusal
    with pytest.raises(Replan) as raised:
        executor.do(Step(verb, "c1", "a network was attached"), assignment("c1", container("c1")), print)
    assert raised.value.cause is refusal


def test_an_events_words_are_what_they_were():
    assert str(Step(Verb.MAKE_NETWORK, "p1", "no network namespace")) == "make_network p1: no network namespace"
    assert f"{Verb.WRITE_FILES}" == "write_files"
