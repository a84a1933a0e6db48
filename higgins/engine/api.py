"""What Higgins asks of a container engine. Drivers live beside this file and are found by entry points.

An engine returns facts and never decides. Every call blocks, is safe to repeat and to call from several threads, and raises
only ``higgins.core.errors``: ``NotFound`` for a container that is not there, ``ImageNotFound``, ``NameTaken``, ``Unsupported``,
``Invalid`` for what the engine refuses for good, ``Conflict`` for a state that forbids it, and ``Unavailable`` or ``Timeout``
when the engine itself does not answer. A container is named by its own uuid; the driver keeps the engine's names to itself.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import IO, Protocol, runtime_checkable

from higgins.core import model
from higgins.core.phase import Health


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A path of the host, or a named volume of the engine (when ``source`` is no path), at a place in the container."""

    source: str
    destination: str
    read_only: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """All that is needed to create one container.

    ``image`` is the name to create from (with a digest where one is known); ``image_id`` the id of the image that the host itself found
    it to mean, which then counts. ``network`` is ``bridge`` (the engine's
    own), ``none``, ``ns:PATH`` (a namespace made beforehand), ``container:UUID`` (another member of the pod), or ``ports``: the
    links of ``ports``, for an engine that is ``ports.TakesPorts``. ``processors`` are those of the host that it may run on, as ``0-3,8``; empty: any.
    """

    pod: str
    build: int
    spec: model.ContainerSpec
    image: str
    image_id: str | None = None
    hostname: str | None = None
    network: str = "bridge"
    binds: tuple[Bind, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    processors: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """How far an image pull is, over all of its layers; bytes are 0 where the engine does not tell them."""

    layers_done: int = 0
    layers: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    text: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image in the engine's store. ``digest`` is ``sha256:...`` of the manifest where known, else of the image's config."""

    image_id: str
    digest: str
    names: tuple[str, ...]
    size_bytes: int
    created_at: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """Something happened to a container of ours; ``what`` is only a hint, the facts come from ``inspect``."""

    container: str
    pod: str
    what: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """The end of a command run inside a container; ``output`` has stdout and stderr in the order they came."""

    output: bytes
    exit_code: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """``ps`` of a container: column titles, and a row a process."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One sample of a running container. Counters grow since its start; a limit of 0 means none."""

    cpu_s: float
    memory_bytes: int
    memory_limit_bytes: int
    block_read_bytes: int = 0
    block_write_bytes: int = 0
    net_rx_bytes: int = 0
    net_tx_bytes: int = 0
    pids: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """What is at a path inside a container; ``mode`` holds Go's ``os.FileMode`` bits as Docker's clients read them."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What the engine says of itself and its host; ``cannot_limit`` names the fields of ``ContainerSpec`` that do not hold here."""

    name: str
    version: str
    runtimes: tuple[str, ...] = ()
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    disk_quota: bool = False
    rootless: bool = False
    keeps_health_clock: bool = True
    keeps_log_files: bool = False
    data_path: str = "/"
    cannot_limit: tuple[str, ...] = ()


class Engine(Protocol):
    """A container engine on this host."""

    name: str

    def info(self) -> EngineInfo:
        """The engine's version and what it can do; also the cheapest way to see whether it answers."""
        ...

    def list(self) -> Iterable[model.ContainerFacts]:
        """Every container that carries Higgins' labels, in any state."""
        ...

    def inspect(self, uuid: str) -> model.ContainerFacts:
        """The facts of one container; ``NotFound`` when there is none."""
        ...

    def images(self) -> Iterable[ImageFacts]:
        """Every image in the engine's store."""
        ...

    def image(self, reference: str) -> ImageFacts:
        """The image of this name on this host; ``ImageNotFound`` when it is not here.

        An id is no name, and a digest means an image only together with the repository that it came from: names are what users write,
        and whose image it is shows in nothing but where it comes from.
        """
        ...

    def pull(
        self,
        reference: str,
        *,
        login: model.RegistryLogin | None = None,
        progress: Callable[[PullProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> ImageFacts:
        """Fetch an image from its registry and say what it was resolved to; stops with ``Conflict`` soon after ``cancelled()``."""
        ...

    def remove_image(self, reference: str) -> None:
        """Take an image out of the store; nothing happens when it is not there, ``Conflict`` when it is in use."""
        ...

    def create(self, creation: Creation) -> None:
        """Make a container without starting it; ``NameTaken`` when it exists, ``ImageNotFound`` when its image is not here."""
        ...

    def start(self, uuid: str) -> None:
        """Start it; nothing happens when it runs."""
        ...

    def stop(self, uuid: str, *, timeout_s: int, signal: str | None = None) -> None:
        """Ask it to end (``signal`` instead of its stop signal), kill it after ``timeout_s``; nothing happens when it has ended."""
        ...

    def signal(self, uuid: str, signal: str) -> None:
        """Send a signal to its first process; ``Conflict`` when it does not run."""
        ...

    def remove(self, uuid: str) -> None:
        """Remove it whatever its state; nothing happens when it is not there."""
        ...

    def events(self, connected: Callable[[], None]) -> Iterator[EngineEvent]:
        """Follow what happens to our containers; ``connected`` is called once the stream is open, ``Unavailable`` when it breaks."""
        ...

    def close(self) -> None:
        """Break open streams and give connections back; the engine and its containers go on."""
        ...


@runtime_checkable
class CanPause(Protocol):
    """Freezes a container and thaws it."""

    def pause(self, uuid: str) -> None:
        """Freeze it; nothing happens when it is frozen."""
        ...

    def unpause(self, uuid: str) -> None:
        """Thaw it; nothing happens when it runs."""
        ...


@runtime_checkable
class CanExec(Protocol):
    """Runs commands inside a running container."""

    def exec(self, uuid: str, command: tuple[str, ...], *, timeout_s: float) -> ExecResult:
        """Run a command to its end; on ``Timeout`` the command has been killed and nothing of it is left."""
        ...


@runtime_checkable
class CanReadLogs(Protocol):
    """Keeps what a container wrote."""

    def logs(
        self,
        uuid: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: int | None = None,
        since: datetime.datetime | None = None,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """What it wrote, in chunks without the engine's framing; with ``follow`` until it ends."""
        ...


@runtime_checkable
class CanStat(Protocol):
    """Tells what a container uses."""

    def stats(self, uuid: str) -> Stats:
        """One sample; ``Conflict`` when it does not run."""
        ...

    def top(self, uuid: str, ps_args: str | None = None) -> Processes:
        """Its processes; ``Conflict`` when it does not run."""
        ...


@runtime_checkable
class CanCopy(Protocol):
    """Copies files in and out as tar streams."""

    def get_archive(self, uuid: str, path: str) -> AbstractContextManager[tuple[PathStat, Iterator[bytes]]]:
        """What is at a path, and a tar of it; ``NotFound`` when there is nothing."""
        ...

    def put_archive(self, uuid: str, path: str, tar: IO[bytes]) -> None:
        """Unpack a tar into a directory of the container; ``NotFound`` when the directory is not there."""
        ...


@runtime_checkable
class CanCommit(Protocol):
    """Makes an image of a container's file system."""

    def commit(self, uuid: str, repository: str, tag: str) -> ImageFacts:
        """Freeze it for a moment and keep its file system as ``repository:tag``."""
        ...


@runtime_checkable
class CanLoadImages(Protocol):
    """Takes images in from archives as well as from registries."""

    def load_image(self, name: str, archive: Iterator[bytes]) -> ImageFacts:
        """Take in the one image of an archive as ``docker save`` writes it, which must carry exactly this name (with its tag).

        ``Invalid`` for what is no such archive, and then nothing of that name is there; ``OutOfCapacity`` when the disk is full.
        """
        ...


@runtime_checkable
class CanSaveImages(Protocol):
    """Gives images out as archives."""

    def save_image(self, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """An archive of one image as ``docker save`` writes it, in chunks as they are asked for; ``ImageNotFound``."""
        ...


@runtime_checkable
class CanResize(Protocol):
    """Changes the limits of a container in place."""

    def resize(self, uuid: str, *, cpus: float | None, memory_mib: int | None) -> None:
        """Set limits, for one that does not run from its next start on; ``None`` leaves one as it is. ``Conflict`` when it uses more.

        Of one whose facts say ``keeps_limits=False`` and that does not run, the start must follow at once.
        """
        ...


@runtime_checkable
class CanResizeTerminal(Protocol):
    """Tells a container's terminal its size."""

    def resize_terminal(self, uuid: str, *, height: int, width: int) -> None:
        """Set the size of the container's own terminal."""
        ...


@runtime_checkable
class CanProbe(Protocol):
    """Runs a container's health check on the caller's clock (for engines without a timer of their own)."""

    def probe(self, uuid: str) -> Health:
        """Run the check once; the engine keeps the count of failures. ``Timeout`` soon after the check's own."""
        ...


@runtime_checkable
class HasVolumes(Protocol):
    """Keeps named volumes of its own."""

    def create_volume(self, name: str, labels: dict[str, str]) -> None:
        """Make a volume; nothing happens when it is there."""
        ...

    def remove_volume(self, name: str) -> None:
        """Remove a volume and its data; nothing happens when it is not there, ``Conflict`` when it is in use."""
        ...

    def volumes(self) -> Iterable[str]:
        """Names of the volumes that carry Higgins' labels."""
        ...


@runtime_checkable
class LeavesHalves(Protocol):
    """Has, when it is killed in the middle of a creation, a container that it keeps in its store and does not know.

    None of ``ABILITIES``: there is nothing in it that a user could ask for.
    """

    def halves(self) -> Mapping[str, str]:
        """The store's own ids of such containers by uuid, of whatever installation, since the store knows no labels.

        Also of one that is being made: it is no half before it has kept its id for longer than any creation takes.
        """
        ...

    def remove_half(self, store_id: str) -> None:
        """Take away the one of this id; nothing happens when it is none any more, whatever was made under its name since."""
        ...


ABILITIES: dict[str, type] = {
    "pause": CanPause,
    "exec": CanExec,
    "logs": CanReadLogs,
    "stats": CanStat,
    "copy": CanCopy,
    "commit": CanCommit,
    "load": CanLoadImages,
    "save": CanSaveImages,
    "resize": CanResize,
    "terminal": CanResizeTerminal,
    "probe": CanProbe,
    "volumes": HasVolumes,
}


def abilities(engine: Engine) -> tuple[str, ...]:
    """Names of the optional protocols that an engine has, sorted."""
    return tuple(sorted(name for name, ability in ABILITIES.items() if isinstance(engine, ability)))


OpenEngine = Callable[[str], Engine]
"""What an entry point of the group ``higgins.engines`` names: given the engine's address, its driver. Makes no call yet."""
