"""Who waits for which host: the waits of the long-poll, woken from any thread. Lives on the server's event loop."""

from __future__ import annotations

import asyncio
import dataclasses


@dataclasses.dataclass(slots=True)
class Seat:
    """One host at the server: the event its wait waits for, and the newest version that was read for it.

    ``fresh`` says that nothing was heard since that reading, so that a question for the same version can wait without asking the database.
    """

    event: asyncio.Event
    version: int = -1
    fresh: bool = False
    waiting: int = 0


class Waker:
    """Seats by host id. All but ``wake`` must be called on the event loop."""

    def __init__(self) -> None:
        self._seats: dict[int, Seat] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Take the running loop as the one that wakes."""
        self._loop = asyncio.get_running_loop()

    def seat(self, host_id: int) -> Seat:
        """The seat of a host."""
        seat = self._seats.get(host_id)
        if seat is None:
            seat = self._seats[host_id] = Seat(asyncio.Event())
        return seat

    def waiting(self) -> list[int]:
        """Hosts that are waiting now."""
        return [host_id for host_id, seat in self._seats.items() if seat.waiting]

    def versions_read(self, versions: dict[int, int]) -> None:
        """Wake those who wait at another version than the database has."""
        for host_id in self.waiting():
            if versions.get(host_id) != self._seats[host_id].version:
                self._wake(host_id)

    def wake_all(self) -> None:
        """Wake everybody, as when the server stops."""
        for host_id in self._seats:
            self._wake(host_id)

    def wake(self, host_id: int) -> None:
        """Wake a host's wait; may be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, host_id)

    def _wake(self, host_id: int) -> None:
        seat = self._seats.get(host_id)
        if seat is not None:
            seat.fresh = False
            seat.event.set()
