"""A small controller for tests of the agent: keeps wishes and reports in memory and speaks the real wire on a unix socket."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import socketserver
import threading
import time
import urllib.parse

import msgspec

from higgins.core import errors, model
from higgins.core.phase import Desired, Phase, PullPolicy, Wish
from higgins.wire import contract
from higgins.wire.client import fault_of

TOKEN = "host-token"


def container(uuid, *, image="busybox", **changes):
    given = {"name": uuid, "image": image, "pull_policy": PullPolicy.IF_NOT_PRESENT}
    return model.ContainerSpec(uuid=uuid, **(given | changes))


def assignment(uuid, spec=None, *, pod=None, **changes):
    spec = spec or container(uuid)
    given = {
        "generation": 1,
        "desired": Desired.RUNNING,
        "run": 1,
        "build": 1,
        "wish": Wish.CREATE,
        "request_id": "req-1",
        "stop_timeout_s": 1,
    }
    return model.Assignment(
        uuid=uuid, project_id="p", name=uuid, spec=pod or model.PodSpec(containers=(spec,)), **(given | changes)
    )


class Controller:
    """What an agent is told and what it told; ``wait`` for what it should come to say."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.revision = 0
        self.wants: dict[str, tuple[int, model.Assignment]] = {}
        self.images: dict[str, tuple[int, contract.ImageWish]] = {}
        self.status: dict[str, model.PodStatus] = {}
        self.image_status: dict[str, contract.ImageReport] = {}
        self.history: dict[str, list[model.PodStatus]] = {}
        self.events: dict[tuple[str, str], model.StepEvent] = {}
        self.reports: list[contract.Report] = []
        self.hellos: list[contract.Hello] = []
        self.facts: list[model.HostFacts] = []
        self.number = 0
        self.refuse = 0
        self.greeted = False
        self.drop_gone = True

    def wish(self, want: model.Assignment) -> None:
        with self.changed:
            self.revision += 1
            self.wants[want.uuid] = (self.revision, want)
            self.changed.notify_all()

    def change(self, uuid: str, **changes) -> model.Assignment:
        with self.changed:
            want = self.wants[uuid][1]
            want = dataclasses.replace(want, generation=want.generation + 1, **changes)
        self.wish(want)
        return want

    def resume(self, other: Controller) -> None:
        """Know what another controller knows."""
        with other.changed:
            self.revision, self.number = other.revision, other.number
            self.wants, self.status = dict(other.wants), dict(other.status)
            self.history = {uuid: list(told) for uuid, told in other.history.items()}

    def wish_image(self, want) -> None:
        with self.changed:
            self.revision += 1
            self.images[want.uuid] = (self.revision, want)
            self.changed.notify_all()

    def forget(self, uuid: str) -> None:
        with self.changed:
            self.wants.pop(uuid, None)

    def hello(self, hello):
        with self.changed:
            self.hellos.append(hello)
            self.facts.append(hello.facts)
            self.greeted = True
            self.changed.notify_all()
            return contract.Welcome(host_uuid="host-1", report_number=self.number)

    def assignments(self, since, wait_s):
        with self.changed:
            if not self.greeted:
                raise errors.Conflict("Say Hello first.")
            self.changed.wait_for(lambda: since == 0 or self.revision > since, wait_s)
            return contract.Assignments(
                revision=self.revision,
                full=since == 0,
                pods=tuple(want for number, want in self.wants.values() if number > since),
                images=tuple(want for number, want in self.images.values() if number > since),
            )

    def report(self, report):
        with self.changed:
            if self.refuse or report.number <= self.number:
                self.refuse = max(0, self.refuse - 1)
                return contract.ReportAnswer(taken=False)
            self.number = report.number
            self.reports.append(report)
            for pod in report.pods:
                self.status[pod.uuid] = pod.status
                self.history.setdefault(pod.uuid, []).append(pod.status)
                if pod.status.phase is Phase.GONE and self.drop_gone:
                    self.wants.pop(pod.uuid, None)
            for image in report.images:
                self.image_status[image.uuid] = image
            for event in report.events:
                self.events[event.pod, event.key] = event
            if report.facts:
                self.facts.append(report.facts)
            self.changed.notify_all()
            return contract.ReportAnswer(taken=True)

    def wait(self, condition, what="", timeout_s=15.0):
        with self.changed:
            if not self.changed.wait_for(condition, timeout_s):
                raise AssertionError(f"waited {timeout_s} s in vain for {what}; status is {self.status}")

    def wait_for(self, uuid, phase, *, generation=None, timeout_s=15.0):
        """The status once it has that phase and has seen the newest wish (or the given one)."""

        def reached():
            status, want = self.status.get(uuid), self.wants.get(uuid)
            newest = generation or (want[1].generation if want else 0)
            return status is not None and status.phase is phase and status.observed_generation >= newest

        self.wait(reached, f"{uuid} to be {phase}", timeout_s)
        return self.status[uuid]

    def verbs(self, pod):
        """The steps told of a pod, as verb and result, in the order of their first telling."""
        return [(event.verb, event.result) for (owner, _), event in self.events.items() if owner == pod]

    def results(self, pod, verb):
        return [event for (owner, _), event in self.events.items() if owner == pod and event.verb == verb]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path, controller):
        self.controller = controller
        self.open: set = set()
        super().__init__(str(path), _Handler)

    def handle_error(self, request, client_address):
        """A client that went away is no news."""

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        """Silence."""

    def _serve(self):
        controller = self.server.controller
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        try:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise errors.Unauthorized("Who are you?")
            if parts.path.endswith("hello"):
                answer = controller.hello(msgspec.json.decode(body, type=contract.Hello))
            elif parts.path.endswith("report"):
                answer = controller.report(msgspec.json.decode(body, type=contract.Report))
            else:
                answer = controller.assignments(int(query["since"]), float(query["wait_s"]))
            status = 200
        except errors.HigginsError as error:
            status, answer = error.http_status, fault_of(error)
        data = msgspec.json.encode(answer)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815


@contextlib.contextmanager
def serving(controller, path):
    """The controller on a unix socket; on leaving, its connections are cut as by a kill."""
    server = _Server(path, controller)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"unix:{path}"
    finally:
        server.shutdown()
        server.server_close()
        for request in list(server.open):
            with contextlib.suppress(OSError):
                request.shutdown(2)
        path.unlink(missing_ok=True)
        thread.join()


def until(condition, what, timeout_s=15.0):
    """Wait for what nobody notifies of."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        pause.wait(0.005)
