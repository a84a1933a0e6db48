"""Image pulls: one at a time for an image however many pods want it, each in its own thread so that no worker waits.

From a registry the engine pulls by itself; what comes from Glance is fetched by ``hands.glance``.

Whoever needs an image asks ``ask`` again and again (his key is looked at again when the pull ends); who no longer needs it
says ``leave``, and a pull that nobody needs is cancelled.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

from higgins.core import errors, model
from higgins.engine.api import Engine, ImageFacts, PullProgress


@dataclasses.dataclass(slots=True)
class _Pull:
    listeners: dict[str, Callable[[str], None]]
    started: float
    done: bool = False
    facts: ImageFacts | None = None
    error: errors.HigginsError | None = None
    told: float = 0.0


Given = model.RegistryLogin | model.ImageGrant | None
"""What a host was given for an image: credentials at its registry, or the leave to fetch it from Glance."""

Fetch = Callable[[model.ImageGrant, Callable[[PullProgress], None], Callable[[], bool]], ImageFacts]


def _fetch_nothing(
    grant: model.ImageGrant, progress: Callable[[PullProgress], None], cancelled: Callable[[], bool]
) -> ImageFacts:
    raise errors.Unsupported(f"This host cannot fetch {grant.name or grant.uuid} from Glance.")


class Pulls:
    """The pulls going on; every method may be called from any thread.

    ``ended`` is called with the key of each asker when a pull ends; ``deadline_s`` after its start a pull is given up.
    """

    def __init__(
        self,
        engine: Engine,
        ended: Callable[[str], None],
        *,
        deadline_s: float,
        progress_s: float = 1.0,
        fetch: Fetch = _fetch_nothing,
    ) -> None:
        self._engine, self._ended, self._fetch = engine, ended, fetch
        self._deadline_s, self._progress_s = deadline_s, progress_s
        self._lock = threading.Lock()
        self._pulls: dict[tuple[str, Given], _Pull] = {}

    def ask(self, key: str, reference: str, given: Given, listener: Callable[[str], None]) -> ImageFacts | None:
        """The image once its pull has ended, None while it goes on; raises what the pull raised.

        ``listener`` is told in words how far it is, at most once in ``progress_s``. An end is told once to each asker.
        """
        name = (reference, given)
        with self._lock:
            pull = self._pulls.get(name)
            if pull is None or (pull.done and key not in pull.listeners):
                pull = self._pulls[name] = _Pull({key: listener}, time.monotonic())
                threading.Thread(target=self._run, args=(name, pull), name=f"pull {reference}", daemon=True).start()
                return None
            if not pull.done:
                pull.listeners.setdefault(key, listener)
                return None
            del pull.listeners[key]
            if not pull.listeners:
                del self._pulls[name]
        if pull.error:
            raise pull.error
        return pull.facts

    def leave(self, key: str) -> None:
        """Say that nobody of this key needs any image now."""
        with self._lock:
            for name, pull in list(self._pulls.items()):
                pull.listeners.pop(key, None)
                if not pull.listeners:
                    del self._pulls[name]

    def _run(self, name: tuple[str, Given], pull: _Pull) -> None:
        facts, error = None, None
        try:
            facts = self._get(name[0], name[1], lambda seen: self._tell(pull, seen), lambda: self._unwanted(pull))
        except errors.Conflict as stopped:
            error = self._given_up(name[0], pull) or stopped
        except errors.HigginsError as failed:
            error = failed
        except Exception as broken:  # noqa: BLE001  the loop of a thread: its askers must hear of whatever broke
            error = errors.Unavailable(f"Pulling {name[0]} broke off: {broken}")
        with self._lock:
            pull.done, pull.facts, pull.error = True, facts, error
            keys = list(pull.listeners)
            if not keys and self._pulls.get(name) is pull:
                del self._pulls[name]
        for key in keys:
            self._ended(key)

    def _get(
        self, reference: str, given: Given, progress: Callable[[PullProgress], None], cancelled: Callable[[], bool]
    ) -> ImageFacts:
        if isinstance(given, model.ImageGrant):
            return self._fetch(given, progress, cancelled)
        return self._engine.pull(reference, login=given, progress=progress, cancelled=cancelled)

    def _unwanted(self, pull: _Pull) -> bool:
        with self._lock:
            return not pull.listeners or time.monotonic() - pull.started > self._deadline_s

    def _given_up(self, reference: str, pull: _Pull) -> errors.HigginsError | None:
        if time.monotonic() - pull.started <= self._deadline_s:
            return None
        return errors.Invalid(
            f"Pulling {reference} took longer than {self._deadline_s:g} s and was given up; try again or use a smaller image."
        )

    def _tell(self, pull: _Pull, seen: PullProgress) -> None:
        with self._lock:
            if time.monotonic() - pull.told < self._progress_s:
                return
            pull.told = time.monotonic()
            listeners = list(pull.listeners.values())
        for listener in listeners:
            listener(_in_words(seen))


def _in_words(seen: PullProgress) -> str:
    layers = f"{seen.layers_done} of {seen.layers} layers" if seen.layers else ""
    unit, shift = ("MiB", 20) if seen.total_bytes >> 20 else ("KiB", 10)
    size = f"{seen.done_bytes >> shift} of {seen.total_bytes >> shift} {unit}" if seen.total_bytes >> shift else ""
    return ", ".join(part for part in (layers, size) if part) or seen.text or "pulling"
