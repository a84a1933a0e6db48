"""What an agent and the control plane say to each other. Both sides import this file and nothing of each other.

The agent dials (authenticated by the host's own enrolled credential, ``Authorization: Bearer``; the host is known by it):

* ``POST /wire/v1/hello``        body ``Hello``       -> ``Welcome``: once at start, and after a 409.
* ``GET  /wire/v1/assignments?since=R&wait_s=N`` -> ``Assignments``: at once when something of this host is newer than R,
  else after N seconds with the same revision and no pods. ``since=0`` gives everything (``full``). The wait is the heartbeat.
* ``PUT  /wire/v1/report``       body ``Report``      -> ``ReportAnswer``.
* ``GET  /wire/v1/images/{uuid}?offset=N`` -> the data of an image of Glance from byte N on, for a host whose own assignments grant it.
  ``Content-Length`` says how much is to come; a stream that breaks off is asked for again from where it ended.

The control plane dials the agent only for live questions (``Authorization: Bearer`` with the token the agent gave in its Hello):
``POST /live/v1/pods/{pod}/containers/{container}/{question}`` with a JSON body of the question's class below; the answer's class is named beside it.
Errors travel as ``Fault`` with the error's own HTTP status.
"""

from __future__ import annotations

import dataclasses

from higgins.core import model
from higgins.core.phase import EngineState, Health


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who the agent is and where live questions reach it: ``unix:PATH`` or ``https://HOST:PORT``."""

    facts: model.HostFacts
    live_address: str
    live_token: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """``report_number`` is the last one taken: the agent counts on from there, so that no clock is needed."""

    host_uuid: str
    report_number: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Assignments:
    """Everything of this host that is newer than the asked revision.

    ``full`` says that ``pods`` and ``images`` are all there are: what the host has beyond them is nobody's, but for the pods in
    ``held``, whose newest wish cannot be handed out yet (the cloud's part of it is being made): the host leaves those as they are.
    """

    revision: int
    full: bool
    pods: tuple[model.Assignment, ...] = ()
    images: tuple[model.ImageWish, ...] = ()
    held: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PodReport:
    """One pod as the host has it now."""

    uuid: str
    status: model.PodStatus


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImageReport:
    """One wanted image as the host has it now; ``phase`` is pulling, ready, failed or gone."""

    uuid: str
    generation: int
    phase: str
    reason: str = ""
    image_id: str | None = None
    size_bytes: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is. ``number`` grows with every report of this host; one that is not newer than the last taken is dropped."""

    number: int
    pods: tuple[PodReport, ...] = ()
    images: tuple[ImageReport, ...] = ()
    events: tuple[model.StepEvent, ...] = ()
    facts: model.HostFacts | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportAnswer:
    """``taken`` is false for a report that was not newer; the agent then says Hello and reports everything again."""

    taken: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error of ``higgins.core.errors`` on its way: the class' name and its message."""

    error: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The answer of a question that only has to succeed, and the body of one that needs no more words."""


ASKED_ONCE = frozenset({"exec", "signal", "commit"})
"""Questions that do something each time they are asked: when it is not known whether one arrived, it is not asked again by itself."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogsQuestion:
    """``logs`` -> ``TextAnswer``. ``tail`` None means all; ``since_s`` seconds since the epoch."""

    stdout: bool = True
    stderr: bool = True
    timestamps: bool = False
    tail: int | None = None
    since_s: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TextAnswer:
    """Output of a container, decoded as UTF-8 with replacement."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExecQuestion:
    """``exec`` -> ``ExecAnswer``."""

    command: tuple[str, ...]
    timeout_s: float = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExecAnswer:
    """The end of a command run inside a container."""

    output: str
    exit_code: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopQuestion:
    """``top`` -> ``TopAnswer``."""

    ps_args: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopAnswer:
    """Processes of a container."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StatsAnswer:
    """``stats`` (body ``Nothing``): use right now; ``cpu_percent`` over a short interval, 100 is one processor."""

    cpu_percent: float
    memory_bytes: int
    memory_limit_bytes: int
    block_read_bytes: int
    block_write_bytes: int
    net_rx_bytes: int
    net_tx_bytes: int
    pids: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignalQuestion:
    """``signal`` -> ``Nothing``."""

    signal: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TerminalQuestion:
    """``resize_terminal`` -> ``Nothing``."""

    height: int
    width: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommitQuestion:
    """``commit`` -> ``CommitAnswer``. Only pods of ``project`` find the image by that name afterwards."""

    project: str
    repository: str
    tag: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommitAnswer:
    """The image made, in the host's own store.

    ``POST .../commit_archive`` makes one for a while and streams it as the body, in the form of ``docker save``; it is gone afterwards.
    """

    image_id: str
    digest: str
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PathStatAnswer:
    """What is at a path of a container.

    ``POST .../get_archive?path=P`` streams the tar as the body, this as JSON in the header ``X-Higgins-Path-Stat``;
    ``POST .../put_archive?path=P`` takes the tar as its body and answers ``Nothing``.
    """

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoundContainer:
    """A container with our labels as the engine has it, for ``GET /live/v1/audit``."""

    uuid: str
    pod: str
    state: EngineState
    build: int
    health: Health | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuditAnswer:
    """Everything of ours on the host, for ``higgins-manage audit``; ``POST /live/v1/audit/repair`` removes what nobody was assigned."""

    containers: tuple[FoundContainer, ...]
    volumes: tuple[str, ...] = ()
    leftover_files: tuple[str, ...] = ()
    leftover_networks: tuple[str, ...] = ()
    leftover_volumes: tuple[str, ...] = ()
