"""Live questions: what only the host knows now, asked of its agent. Knows nothing of HTTP or of how the agent is reached."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from higgins.core.caller import Caller
from higgins.wire import contract

Answer = TypeVar("Answer")


class Ask(Protocol):
    """What this folder needs of ``wire.client.LiveClient``: one question to one agent. Raises ``core.errors`` as the agent meant them.

    ``Unavailable`` when the agent does not answer, ``Timeout`` when it does not in time. ``address`` and ``token`` are the host's own.
    """

    def ask(
        self,
        address: str,
        token: str,
        *,
        pod: str,
        container: str,
        question: str,
        body: object,
        answer: type[Answer],
        timeout_s: float,
    ) -> Answer:
        """Put one question (a name of ``wire.contract``) and give its answer."""
        ...

    def get_archive(
        self, address: str, token: str, *, pod: str, container: str, path: str, timeout_s: float
    ) -> AbstractContextManager[tuple[contract.PathStatAnswer, Iterator[bytes]]]:
        """What is at a path, and its tar in chunks; the connection is closed on leaving."""
        ...

    def put_archive(
        self, address: str, token: str, *, pod: str, container: str, path: str, tar: Iterable[bytes], timeout_s: float
    ) -> None:
        """Send a tar to be unpacked."""
        ...


class Live:
    """Each method: policy, state, then the agent. ``Unavailable`` (503) says that the host is down or not yet chosen."""

    def logs(
        self,
        caller: Caller,
        ident: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: int | None = None,
        since: datetime.datetime | None = None,
    ) -> str:
        """What it wrote."""
        raise NotImplementedError

    def execute(
        self, caller: Caller, ident: str, command: tuple[str, ...], *, timeout_s: float | None = None
    ) -> contract.ExecAnswer:
        """Run a command to its end; ``Timeout`` when it takes longer, and then it was killed."""
        raise NotImplementedError

    def top(self, caller: Caller, ident: str, *, ps_args: str | None = None) -> contract.TopAnswer:
        """Its processes."""
        raise NotImplementedError

    def stats(self, caller: Caller, ident: str) -> contract.StatsAnswer:
        """What it uses now."""
        raise NotImplementedError

    def resize_terminal(self, caller: Caller, ident: str, *, height: int, width: int) -> None:
        """Tell its terminal its size."""
        raise NotImplementedError

    def get_archive(
        self, caller: Caller, ident: str, path: str
    ) -> AbstractContextManager[tuple[contract.PathStatAnswer, Iterator[bytes]]]:
        """What is at ``path`` and a tar of it, as a stream."""
        raise NotImplementedError

    def put_archive(self, caller: Caller, ident: str, path: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar into the directory ``path``."""
        raise NotImplementedError

    def commit(self, caller: Caller, ident: str, *, repository: str, tag: str | None = None) -> contract.CommitAnswer:
        """Keep its file system as ``repository:tag`` (latest) in the image store of its host."""
        raise NotImplementedError
