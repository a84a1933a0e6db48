"""What tests ask of the machine that they run on: a port, and which processes there are."""

from __future__ import annotations

import contextlib
import pathlib
import secrets
import socket

PORTS = range(20_000, 30_000)
"""Below those that Linux gives to outgoing connections: one of these would sit on the port while the service that has it restarts."""
TAKEN = []


def free_port():
    """A port that nobody listens on and that no other process of the tests is given while this one lives."""
    while True:
        port, mark = secrets.choice(PORTS), socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0higgins-tests-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
        else:
            TAKEN.append(mark)
            return port


def lives(pid):
    """Whether that process runs (one that nobody buried yet does not)."""
    return _facts(pid)[:1] not in ([], ["Z"])


def parent(pid):
    """The process that started it; ``None`` when it is gone."""
    return next((int(number) for number in _facts(pid)[1:2]), None)


def family(pid):
    """A process and all that came of it."""
    if not pid:
        return []
    children = {}
    for each, parent, _ in _table():
        children.setdefault(parent, []).append(each)
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def session(pid):
    """Everything in the session that this process began, also when it has ended itself."""
    return [each for each, _, began in _table() if began == pid]


def at_work_on(word):
    """Processes with that word among their arguments."""
    found = []
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (place / "cmdline").read_bytes().split(b"\0")
            found += [int(place.name)] if word.encode() in words else []
    return found


def _table():
    """Of each process: its pid, its parent's, and that which began its session."""
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        if facts := _facts(place.name):
            yield int(place.name), int(facts[1]), int(facts[3])


def _facts(pid):
    """What Linux tells of a process after its name (proc(5), ``stat``): state, parent, group, session, ...; nothing when it is gone."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
