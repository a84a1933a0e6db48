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

Given = model.RegistryLogin | model.ImageGrant | None
"""What a host was given for an image: credentials at its registry, or the leave to fetch it from Glance."""

_SUSPECTED_S = 1.0
"""For how long a pull that seems to be silent is watched before it is given up."""


@dataclasses.dataclass(slots=True)
class _Pull:
    reference: str
    given: Given
    listeners: dict[str, Callable[[str], None]]
    heard: float
    suspected: float | None = None  # since when it seems to be silent
    seen: PullProgress = PullProgress()  # noqa: RUF009  frozen
    done: bool = False
    facts: ImageFacts | None = None
    error: errors.HigginsError | None = None
    told: float = 0.0

    @property
    def name(self) -> str:
        """What its users call the image."""
        grant = isinstance(self.given, model.ImageGrant) and self.given
        return grant.name or grant.uuid if grant else self.reference


_Name = tuple[str, model.RegistryLogin | None]
Fetch = Callable[[model.ImageGrant, Callable[[PullProgress], None], Callable[[], bool]], ImageFacts]


def _fetch_nothing(
    grant: model.ImageGrant, progress: Callable[[PullProgress], None], cancelled: Callable[[], bool]
) -> ImageFacts:
    raise errors.Unsupported(f"This host cannot fetch {grant.name or grant.uuid} from Glance.")


class Pulls:
    """The pulls going on; every method may be called from any thread.

    ``ended`` is called with the key of each asker when a pull ends; one of which nothing new was heard for ``silence_s`` is given up.
    """

    def __init__(
        self,
        engine: Engine,
        ended: Callable[[str], None],
        *,
        silence_s: float,
        progress_s: float = 1.0,
        fetch: Fetch = _fetch_nothing,
    ) -> None:
        self._engine, self._ended, self._fetch = engine, ended, fetch
        self._silence_s, self._progress_s = silence_s, progress_s
        self._lock = threading.Lock()
        self._pulls: dict[_Name, _Pull] = {}

    def ask(self, key: str, reference: str, given: Given, listener: Callable[[str], None]) -> ImageFacts | None:
        """The image once its pull has ended, None while it goes on; raises what the pull raised.

        Of Glance's images ``reference`` alone says which one it is, whatever the users call it.
        ``listener`` is told in words how far it is, at most once in ``progress_s``. An end is told once to each asker.
        """
        name = (reference, None if isinstance(given, model.ImageGrant) else given)
        with self._lock:
            pull = self._pulls.get(name)
            if pull is None or (pull.done and key not in pull.listeners):
                pull = self._pulls[name] = _Pull(reference, given, {key: listener}, time.monotonic())
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

    def _run(self, name: _Name, pull: _Pull) -> None:
        facts, error = None, None
        try:
            facts = self._get(pull, lambda seen: self._tell(pull, seen), lambda: self._unwanted(pull))
        except errors.Conflict as stopped:
            error = self._given_up(pull) or stopped
        except errors.HigginsError as failed:
            error = failed
        except Exception as broken:  # noqa: BLE001  the loop of a thread: its askers must hear of whatever broke
            error = errors.Unavailable(f"Pulling {pull.name} broke off: {broken}")
        with self._lock:
            pull.done, pull.facts, pull.error = True, facts, error
            keys = list(pull.listeners)
            if not keys and self._pulls.get(name) is pull:
                del self._pulls[name]
        for key in keys:
            self._ended(key)

    def _get(self, pull: _Pull, progress: Callable[[PullProgress], None], cancelled: Callable[[], bool]) -> ImageFacts:
        if isinstance(pull.given, model.ImageGrant):
            return self._fetch(pull.given, progress, cancelled)
        return self._engine.pull(pull.reference, login=pull.given, progress=progress, cancelled=cancelled)

    def _unwanted(self, pull: _Pull) -> bool:
        with self._lock:
            return not pull.listeners or self._is_silent(pull)

    def _is_silent(self, pull: _Pull) -> bool:
        now = time.monotonic()
        if now - pull.heard <= self._silence_s:
            return False
        # The machine may have stood still: what was said before that is read first.
        pull.suspected = pull.suspected or now
        return now - pull.suspected >= min(_SUSPECTED_S, self._silence_s)

    def _given_up(self, pull: _Pull) -> errors.HigginsError | None:
        if not self._is_silent(pull):
            return None
        return errors.Invalid(
            f"Pulling {pull.name} got no further for {self._silence_s:g} s and was given up; "
            "see whether its registry answers, and rebuild the container."
        )

    def _tell(self, pull: _Pull, seen: PullProgress) -> None:
        with self._lock:
            if seen != pull.seen:
                pull.seen, pull.heard, pull.suspected = seen, time.monotonic(), None
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
