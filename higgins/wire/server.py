"""The controller's end of the wire: agents greet, wait for assignments and report. The one place of the control plane with asyncio.

A thousand waiting agents are a thousand coroutines; the database is asked on a few threads. Knows HTTP, tokens and waits; what a host
is assigned it asks of a ``Desk``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from higgins.core import errors, model
from higgins.threads import private_sockets, typed_json
from higgins.wire import contract, hints
from higgins.wire.client import fault_of
from higgins.wire.images import Courier, ImageSource
from higgins.wire.waker import Seat, Waker

LOG = logging.getLogger(__name__)
T = TypeVar("T")

_HOST_KEY: web.RequestKey[int] = web.RequestKey("host_id", int)
_LONGEST_BODY_BYTES = 64 * 1024 * 1024
_LONGEST_WAIT_S = 20.0  # a wait is the heartbeat: well below the silence after which a host counts as down


class Found(Protocol):
    """What a desk finds for a host; the fields are those of ``contract.Assignments``."""

    @property
    def revision(self) -> int: ...  # noqa: D102
    @property
    def full(self) -> bool: ...  # noqa: D102
    @property
    def pods(self) -> tuple[model.Assignment, ...]: ...  # noqa: D102
    @property
    def images(self) -> tuple[model.ImageWish, ...]: ...  # noqa: D102
    @property
    def held(self) -> tuple[str, ...]: ...  # noqa: D102


class Taken(Protocol):
    """A report that was taken."""

    @property
    def leaves_gone(self) -> bool:
        """Whether pods of it are gone whose rows the loops must see to."""
        ...


class Desk(Protocol):
    """Who answers agents. Every call blocks and may come from any thread."""

    def authenticate(self, credential_hash: str) -> int | None:
        """The id of the host with this credential: SHA-256 of its token, in hex, compared in constant time."""
        ...

    def hello(self, host_id: int, facts: model.HostFacts, live_address: str, live_token: str) -> tuple[str, int]:
        """Take a greeting; the host's uuid and the number of the last report taken."""
        ...

    def assignments(self, host_id: int, since: int) -> Found:
        """What changed after a version."""
        ...

    def report(self, host_id: int, report: contract.Report) -> Taken | None:
        """Take a report; ``None`` when it is not newer than the last one taken."""
        ...

    def versions(self, host_ids: Collection[int]) -> Mapping[int, int]:
        """The versions of these hosts' wishes."""
        ...

    def seen(self, host_ids: Collection[int]) -> None:
        """Note that these hosts were heard of."""
        ...

    def grants_image(self, host_id: int, uuid: str) -> bool:
        """Whether an assignment of this host names this image of Glance."""
        ...


class Server:
    """Serves agents on a thread of its own. ``address`` is ``unix:PATH`` (mode 0600) or ``https://HOST:PORT``, which needs ``tls``."""

    def __init__(
        self,
        desk: Desk,
        own_hints: hints.Hints,
        address: str,
        *,
        tls: ssl.SSLContext | None = None,
        threads: int = 4,
        sweep_s: float = 2.0,
        seen_every_s: float = 10.0,
        credential_kept_s: float = 30.0,
        images: ImageSource | None = None,
    ) -> None:
        self._desk = desk
        self._hints = own_hints
        self._address = address
        self._tls = tls
        self._sweep_s = sweep_s
        self._seen_every_s = seen_every_s
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="wire")
        self._courier = None if images is None else Courier(images)
        self._waker = Waker()
        self._keys = _Credentials(desk, credential_kept_s)
        self._heard: dict[int, float] = {}
        self._noted: dict[int, float] = {}
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        own_hints.listen(self._hear)

    def start(self) -> None:
        """Serve; returns once agents are answered, raises when the address cannot be taken."""
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Let every wait end at once and close."""
        loop, stop, thread = self._loop, self._stop, self._thread
        if loop is None or stop is None or thread is None:
            return
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        self._thread = None
        self._pool.shutdown()
        if self._courier is not None:
            self._courier.close()

    def _hear(self, topic: str) -> None:
        host_id = hints.host_of(topic)
        if host_id is not None:
            self._waker.wake(host_id)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that starts the server
            self._failure = error
            if self._started.is_set():
                LOG.exception("The wire's server ended")
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._waker.open()
        app = web.Application(middlewares=[self._guard], client_max_size=_LONGEST_BODY_BYTES)
        app.router.add_post("/wire/v1/hello", self._hello)
        app.router.add_get("/wire/v1/assignments", self._assignments)
        app.router.add_put("/wire/v1/report", self._report)
        app.router.add_get("/wire/v1/images/{uuid}", self._image)
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=2.0, handler_cancellation=True
        )
        await runner.setup()
        try:
            await self._listen(runner)
            sweep = asyncio.create_task(self._sweep())
            self._started.set()
            await self._stop.wait()
            sweep.cancel()
            self._waker.wake_all()
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        if self._address.startswith("unix:"):
            listening = private_sockets.bound(self._address.removeprefix("unix:"), socket.SOCK_STREAM)
            await web.SockSite(runner, listening).start()
            return
        if self._tls is None or not self._address.startswith("https://"):
            raise errors.Invalid(
                f"The wire's address {self._address} must be unix:PATH, or https://HOST:PORT with a certificate and its key."
            )
        host, _, port = self._address.removeprefix("https://").rstrip("/").rpartition(":")
        await web.TCPSite(runner, host.strip("[]") or None, int(port), ssl_context=self._tls).start()

    async def _ask(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            request[_HOST_KEY] = await self._caller(request)
            return await handler(request)
        except errors.HigginsError as error:
            return _answer(fault_of(error), status=error.http_status)
        except (msgspec.MsgspecError, ValueError) as error:
            return _answer(fault_of(errors.Invalid(f"This is not what the wire speaks: {error}")), status=400)

    async def _caller(self, request: web.Request) -> int:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise errors.Unauthorized("Give this host's enrolled credential as a bearer token.")
        host_id = await self._keys.host_of(token, self._ask)
        if host_id is None:
            raise errors.Unauthorized("This credential belongs to no host. Enroll the host again.")
        self._heard[host_id] = time.monotonic()
        return host_id

    async def _hello(self, request: web.Request) -> web.Response:
        hello = typed_json.decode(await request.read(), contract.Hello)
        host_id = request[_HOST_KEY]
        _check_live_address(hello.live_address, one_machine=self._address.startswith("unix:"))
        taken = await self._ask(self._desk.hello, host_id, hello.facts, hello.live_address, hello.live_token)
        self._noted[host_id] = time.monotonic()
        self._hints.nudge(hints.SCHEDULE)
        return _answer(contract.Welcome(host_uuid=taken[0], report_number=taken[1]))

    async def _report(self, request: web.Request) -> web.Response:
        report = typed_json.decode(await request.read(), contract.Report)
        taken = await self._ask(self._desk.report, request[_HOST_KEY], report)
        self._noted[request[_HOST_KEY]] = time.monotonic()
        if taken is not None and taken.leaves_gone:
            self._hints.nudge(hints.TAKE_BACK)
        return _answer(contract.ReportAnswer(taken=taken is not None))

    async def _image(self, request: web.Request) -> web.StreamResponse:
        uuid, offset = request.match_info["uuid"], int(request.query.get("offset", "0"))
        if self._courier is None or not await self._ask(self._desk.grants_image, request[_HOST_KEY], uuid):
            raise errors.NotFound(f"The image {uuid} was not granted to this host.")
        return await self._courier.send(request, uuid, max(0, offset))

    async def _assignments(self, request: web.Request) -> web.Response:
        since = int(request.query.get("since", "0"))
        wait_s = min(_LONGEST_WAIT_S, max(0.0, float(request.query.get("wait_s", "0"))))
        deadline = asyncio.get_running_loop().time() + wait_s
        host_id = request[_HOST_KEY]
        seat = self._waker.seat(host_id)
        seat.waiting += 1
        try:
            while True:
                found = await self._look(seat, host_id, since)
                if found is not None and (found.full or found.pods or found.images):
                    return _answer(_assignments_of(found))
                since = since if found is None else found.revision
                if not await self._wait(seat, deadline):
                    return _answer(contract.Assignments(revision=since, full=False))
        finally:
            seat.waiting -= 1

    async def _look(self, seat: Seat, host_id: int, since: int) -> Found | None:
        """What is newer than ``since``; ``None`` without asking the database when nothing was heard since it was read at ``since``."""
        if seat.fresh and since == seat.version:
            return None
        seat.event.clear()
        seat.fresh = True
        try:
            found = await self._ask(self._desk.assignments, host_id, since)
        except BaseException:
            seat.fresh = False  # what was heard of has not been read
            raise
        seat.version = found.revision
        return found

    async def _wait(self, seat: Seat, deadline: float) -> bool:
        """Whether it pays to look again; false when the time is over or the server stops."""
        left_s = deadline - asyncio.get_running_loop().time()
        if left_s <= 0 or self._stop is None or self._stop.is_set():
            return False
        try:
            async with asyncio.timeout(left_s):
                await seat.event.wait()
        except TimeoutError:
            return False
        return not self._stop.is_set()

    async def _sweep(self) -> None:
        """Now and then look for changes whose hint was lost, for all who wait at once, and note who was heard of."""
        while True:
            await asyncio.sleep(self._sweep_s)
            try:
                waiting = self._waker.waiting()
                if waiting:
                    self._waker.versions_read(dict(await self._ask(self._desk.versions, waiting)))
                await self._note_heard()
            except errors.HigginsError as error:
                LOG.warning("The wire's server will look again: %s", error.message)
            except Exception:  # a loop outlives whatever one round meets: without it idle hosts would count as down
                LOG.exception("The wire's server met something unforeseen and will look again")

    async def _note_heard(self) -> None:
        now = time.monotonic()
        due = [host for host, at in self._heard.items() if at > self._noted.get(host, 0.0)]
        due = [host for host in due if now - self._noted.get(host, 0.0) >= self._seen_every_s]
        if due:
            await self._ask(self._desk.seen, due)
            if any(host not in self._noted for host in due):
                self._hints.nudge(hints.SCHEDULE)
            self._noted.update(dict.fromkeys(due, now))


class _Credentials:
    """Remembers for a short time whose token is whose, by hash, so that a long-poll does not cost a query each time."""

    def __init__(self, desk: Desk, kept_s: float) -> None:
        self._desk = desk
        self._kept_s = kept_s
        self._known: dict[str, tuple[float, int]] = {}

    async def host_of(self, token: str, ask: Callable[..., Awaitable[int | None]]) -> int | None:
        digest = hashlib.sha256(token.encode()).hexdigest()
        now = time.monotonic()
        known = self._known.get(digest)
        if known is not None and now - known[0] < self._kept_s:
            return known[1]
        host_id = await ask(self._desk.authenticate, digest)
        if host_id is None:
            self._known.pop(digest, None)
            return None
        self._known[digest] = (now, host_id)
        return host_id


def _assignments_of(found: Found) -> contract.Assignments:
    return contract.Assignments(
        revision=found.revision, full=found.full, pods=found.pods, images=found.images, held=found.held
    )


def _check_live_address(address: str, *, one_machine: bool) -> None:
    """``Invalid`` for an address that the API must not dial on a host's word: a socket of its own machine, unless that is the host's too.

    Which https address is not asked: it must show a certificate of the agents' authority before it is told anything.
    """
    if address.startswith("unix:"):
        if one_machine:
            return
        raise errors.Invalid(
            "An agent on another machine cannot be asked over a unix socket. Set [agent] live_listen to https://HOST:PORT."
        )
    try:
        parts = urlsplit(address)
        right = parts.scheme == "https" and parts.hostname and parts.port and parts.netloc == address[len("https://") :]
    except ValueError:
        right = False
    if not right or "@" in address:
        raise errors.Invalid(
            "The agent's live address must be https://HOST:PORT. Correct [agent] live_listen or live_address."
        )


def _answer(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
