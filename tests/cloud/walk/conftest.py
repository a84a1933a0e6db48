"""What walks share: the client, and two people of one project who type."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.cloud.cloud_world import PASSWORD, Cloud, People
from tests.cloud.walk.typed_commands import Client, OpenStack, client

Undo = Callable[[Callable[[], object]], object]


@pytest.fixture(scope="session")
def program(cloud: Cloud) -> Iterator[Client]:
    """The loaded client, once the cloud is up."""
    with client() as running:
        yield running


@pytest.fixture(scope="session")
def member(program: Client, people: People) -> OpenStack:
    """An ordinary user, who walks."""
    return OpenStack(program, f"{people.name}-member", PASSWORD, people.name)


@pytest.fixture(scope="session")
def admin(program: Client, people: People) -> OpenStack:
    """An administrator in the same project: for what users may not choose or see."""
    return OpenStack(program, f"{people.name}-admin", PASSWORD, people.name)


@pytest.fixture
def afterwards() -> Iterator[Undo]:
    """Takes what is to be done when the test is over, the last first."""
    with contextlib.ExitStack() as stack:
        yield stack.callback
