"""Live questions: what only the host knows now, asked of its agent. Knows nothing of HTTP or of how the agent is reached."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from higgins.control.container import shape
from higgins.control.container.commit import Commits
from higgins.control.container.wishes import allowed, check
from higgins.control.means import Means
from higgins.core.caller import Caller
from higgins.core.errors import Conflict, HigginsError, Invalid, Unavailable
from higgins.core.phase import Wish
from higgins.core.status import Action
from higgins.store import actions, hosts
from higgins.store.pods import Pod
from higgins.threads.turns import Turn, Turns
from higgins.wire import contract

Answer = TypeVar("Answer")

_GRACE_S = 10.0
"""How much longer than a command's own limit its answer is waited for: the agent has to kill it and say so."""


_COMMIT_SILENCE_S = 600.0
"""How long an engine may take before the first byte of a commit: it writes the whole image before."""


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

    def commit_archive(
        self, address: str, token: str, *, pod: str, container: str, timeout_s: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """An archive of an image made of the container, in chunks; the image is gone, and the connection closed, on leaving."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A container, and where its agent answers."""

    pod: Pod
    container: str
    address: str
    token: str = dataclasses.field(repr=False)


class Live:
    """Each method: policy, state, then the agent. ``Unavailable`` (503) says that the host is down or not yet chosen."""

    def __init__(self, means: Means, ask: Ask) -> None:
        self._means = means
        self._ask = ask
        self._commits = Commits(means)
        self._turns = Turns.of(means.settings.threads)

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
        """What it wrote; ``since`` without a zone is UTC."""
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=datetime.UTC)
        question = contract.LogsQuestion(
            stdout=stdout,
            stderr=stderr,
            timestamps=timestamps,
            tail=tail,
            since_s=None if since is None else since.timestamp(),
        )
        return self._question(caller, ident, Action.LOGS, "logs", question, contract.TextAnswer).text

    def execute(
        self, caller: Caller, ident: str, command: tuple[str, ...], *, timeout_s: float | None = None
    ) -> contract.ExecAnswer:
        """Run a command to its end; ``Timeout`` when it takes longer, and then it was killed."""
        if not command:
            raise Invalid("Name the command to run.")
        limit_s = timeout_s or self._means.settings.live_timeout_s
        question = contract.ExecQuestion(command=command, timeout_s=limit_s)
        return self._question(
            caller, ident, Action.EXECUTE, "exec", question, contract.ExecAnswer, timeout_s=limit_s + _GRACE_S
        )

    def top(self, caller: Caller, ident: str, *, ps_args: str | None = None) -> contract.TopAnswer:
        """Its processes."""
        question = contract.TopQuestion(ps_args=ps_args)
        return self._question(caller, ident, Action.TOP, "top", question, contract.TopAnswer)

    def stats(self, caller: Caller, ident: str) -> contract.StatsAnswer:
        """What it uses now."""
        return self._question(caller, ident, Action.STATS, "stats", contract.Nothing(), contract.StatsAnswer)

    def resize_terminal(self, caller: Caller, ident: str, *, height: int, width: int) -> None:
        """Tell its terminal its size; ``Invalid`` when it has none."""
        place = self._reach(caller, ident, Action.RESIZE)
        if not place.pod.spec.containers[0].tty:
            raise Invalid(f"The container {place.pod.uuid} has no terminal. Create it with tty.")
        question = contract.TerminalQuestion(height=height, width=width)
        self._put(place, "resize_terminal", question, contract.Nothing)

    @contextmanager
    def get_archive(
        self, caller: Caller, ident: str, path: str
    ) -> Iterator[tuple[contract.PathStatAnswer, Iterator[bytes]]]:
        """What is at ``path`` and a tar of it, as a stream."""
        place = self._reach(caller, ident, Action.GET_ARCHIVE)
        with (
            self._turn(place),
            self._ask.get_archive(
                place.address,
                place.token,
                pod=place.pod.uuid,
                container=place.container,
                path=path,
                timeout_s=self._means.settings.live_timeout_s,
            ) as found,
        ):
            yield found

    def put_archive(self, caller: Caller, ident: str, path: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar into the directory ``path``."""
        place = self._reach(caller, ident, Action.PUT_ARCHIVE)
        with self._turn(place):
            self._ask.put_archive(
                place.address,
                place.token,
                pod=place.pod.uuid,
                container=place.container,
                path=path,
                tar=tar,
                timeout_s=self._means.settings.live_timeout_s,
            )

    def commit(self, caller: Caller, ident: str, *, repository: str, tag: str | None = None) -> contract.CommitAnswer:
        """Keep its file system as ``repository:tag``: an image of Glance where there is one, and it comes while the caller goes his way.

        Without Glance in the image store of the container's host, where only the caller's project finds it, and with the tag ``latest``
        unless another is named.
        """
        if "glance" in self._means.settings.image_drivers:
            return self._commit_to_glance(caller, ident, repository, tag)
        named = shape.parsed_name(repository if tag is None else f"{repository}:{tag}")
        if named.digest is not None:
            raise Invalid(
                f"'{repository}' names a digest, which only an image that exists can have. Name a repository."
            )
        project, tag = caller.project_id, named.tag or "latest"
        question = contract.CommitQuestion(project=project, repository=named.repo, tag=tag)
        place = self._reach(caller, ident, Action.COMMIT)
        return self._noted(caller, place, Wish.COMMIT, "commit", question, contract.CommitAnswer)

    def _commit_to_glance(self, caller: Caller, ident: str, repository: str, tag: str | None) -> contract.CommitAnswer:
        place = self._reach(caller, ident, Action.COMMIT)

        def take() -> AbstractContextManager[Iterator[bytes]]:
            return self._ask.commit_archive(
                place.address, place.token, pod=place.pod.uuid, container=place.container, timeout_s=_COMMIT_SILENCE_S
            )

        image = self._commits.begin(caller, place.pod, repository=repository, tag=tag, take=take)
        return contract.CommitAnswer(image_id=image, digest="", size_bytes=0)

    def signal(self, caller: Caller, ident: str, name: str) -> Pod:
        """Send its first process a signal (``SIGHUP``); what comes of it is seen when it happens."""
        place = self._reach(caller, ident, Action.KILL)
        self._noted(caller, place, Wish.KILL, "signal", contract.SignalQuestion(signal=name), contract.Nothing)
        return place.pod

    def _reach(self, caller: Caller, ident: str, action: Action) -> _Place:
        """The container and its agent, or why it cannot be asked."""
        with self._means.db.read() as tx:
            pod = allowed(tx, self._means.policy, caller, ident, f"container:{action}")
            host = None if pod.host_id is None else hosts.by_id(tx, pod.host_id)
            now = tx.now
        check(pod, action)
        if host is None:
            raise Conflict(f"The container {pod.uuid} has no host yet, so there is nothing to ask.", code="no-host")
        if not host.is_up(now, self._means.settings.host_down_after_s):
            raise Unavailable(f"The host of container {pod.uuid} is down. Try again when it is back.", code="host-down")
        address, token = hosts.live(host, self._means.sealer)
        return _Place(pod=pod, container=pod.spec.containers[0].uuid, address=address, token=token)

    def _question(
        self,
        caller: Caller,
        ident: str,
        action: Action,
        question: str,
        body: object,
        answer: type[Answer],
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        return self._put(self._reach(caller, ident, action), question, body, answer, timeout_s=timeout_s)

    def _put(
        self, place: _Place, question: str, body: object, answer: type[Answer], *, timeout_s: float | None = None
    ) -> Answer:
        with self._turn(place):
            return self._ask.ask(
                place.address,
                place.token,
                pod=place.pod.uuid,
                container=place.container,
                question=question,
                body=body,
                answer=answer,
                timeout_s=timeout_s or self._means.settings.live_timeout_s,
            )

    def _turn(self, place: _Place) -> Turn:
        """Leave to keep a thread while a host answers: the others must be left for what answers at once."""
        message = "Too many questions to containers wait for their answers already. Try again when one is answered."
        return self._turns.take(place.pod.project_id, message)

    def _noted(
        self, caller: Caller, place: _Place, action: Wish, question: str, body: object, answer: type[Answer]
    ) -> Answer:
        """A question that is one of the container's actions: begun before it is put, ended with what came of it."""
        pod, request = place.pod, caller.request_id
        with self._means.db.write() as tx:
            actions.start(tx, pod.uuid, pod.project_id, caller.user_id, request, action, generation=None)
        failure: str | None = "It was broken off."
        try:
            given = self._put(place, question, body, answer)
            failure = None
        except HigginsError as error:
            failure = error.message
            raise
        finally:
            with self._means.db.write() as tx:
                actions.finish(tx, pod.uuid, request, error=failure)
        return given
