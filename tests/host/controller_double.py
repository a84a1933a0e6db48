"""A small controller for tests of the agent: keeps wishes and reports in memory behind the real server of the wire."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import threading
import time

from higgins.core import errors, model
from higgins.core.phase import Desired, Phase, PullPolicy, Wish
from higgins.wire import contract
from higgins.wire.hints import LocalHints, host_topic
from higgins.wire.server import Server

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
        self.hints = LocalHints()
        self.revision = 1
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
        self.hints.nudge(host_topic(1))

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
        self.hints.nudge(host_topic(1))

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

    def assignments(self, since):
        with self.changed:
            if not self.greeted:
                raise errors.Conflict("Say Hello first.")
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

    def wait(self, condition, what="", timeout_s=150.0):
        with self.changed:
            if not self.changed.wait_for(condition, timeout_s):
                raise AssertionError(f"waited {timeout_s} s in vain for {what}; status is {self.status}")

    def wait_for(self, uuid, phase, *, generation=None, timeout_s=150.0):
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


class _Taken:
    leaves_gone = False


class _Desk:
    """The controller as the wire's server wants it; there is one host."""

    def __init__(self, controller):
        self._controller = controller

    def authenticate(self, credential_hash):
        return 1 if credential_hash == hashlib.sha256(TOKEN.encode()).hexdigest() else None

    def hello(self, host_id, facts, live_address, live_token):
        hello = contract.Hello(facts=facts, live_address=live_address, live_token=live_token)
        welcome = self._controller.hello(hello)
        return welcome.host_uuid, welcome.report_number

    def assignments(self, host_id, since):
        return self._controller.assignments(since)

    def report(self, host_id, report):
        return _Taken() if self._controller.report(report).taken else None

    def versions(self, host_ids):
        return dict.fromkeys(host_ids, self._controller.revision)

    def seen(self, host_ids):
        """Heard of is all that is asked."""


@contextlib.contextmanager
def serving(controller, path):
    """The controller on a unix socket, by the real server."""
    server = Server(_Desk(controller), controller.hints, f"unix:{path}", threads=2)
    server.start()
    try:
        yield f"unix:{path}"
    finally:
        server.stop()
        path.unlink(missing_ok=True)


def until(condition, what, timeout_s=150.0):
    """Wait for what nobody notifies of."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        pause.wait(0.005)
