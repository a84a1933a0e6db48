"""How answers are shown: JSON, or aligned columns; times and sizes for people. It must not ask the service anything."""

from __future__ import annotations

import datetime
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_json(value: Any, *, indented: bool | None = None) -> None:
    """One JSON document; indented on a terminal unless said otherwise."""
    indent = 2 if (sys.stdout.isatty() if indented is None else indented) else None
    print(json.dumps(value, indent=indent, ensure_ascii=False))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns; on a terminal the header is bold, and the widest columns are cut until the lines fit."""
    lines = [list(headers), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headers))]
    terminal = sys.stdout.isatty()
    if terminal:
        widths = _fitting(widths, shutil.get_terminal_size().columns)
    for number, line in enumerate(lines):
        cells = (cut(cell, width).ljust(width) for cell, width in zip(line, widths, strict=True))
        text = "  ".join(cells).rstrip()
        print(f"\x1b[1m{text}\x1b[0m" if terminal and number == 0 else text)


def _fitting(widths: list[int], room: int) -> list[int]:
    widths = list(widths)
    for _ in range(max(0, sum(widths) + 2 * (len(widths) - 1) - room)):
        widest = widths.index(max(widths))
        widths[widest] = max(1, widths[widest] - 1)
    return widths


def cut(text: str, width: int) -> str:
    """The text, ended with an ellipsis where it is too long."""
    return text if len(text) <= width else text[: width - 1] + "…"


def clean(cell: object) -> str:
    """A value as one line without control characters, so that no name or reason can steer the terminal."""
    text = "" if cell is None else str(cell)
    return "".join(c if c.isprintable() else " " for c in text)


def clock(value: str | None) -> str:
    """A time of the API as local time of day, with the date when it is not today's."""
    when = parse_time(value)
    if when is None:
        return ""
    local = when.astimezone()
    today = datetime.datetime.now(datetime.UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M:%S")


def parse_time(value: str | None) -> datetime.datetime | None:
    """A time of the API, with or without T, zone and fraction; without a zone it is UTC."""
    if not value:
        return None
    try:
        when = datetime.datetime.fromisoformat(value)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)


def ago(value: str | None) -> str:
    """How long ago a time of the API was, such as ``5 minutes ago``."""
    when = parse_time(value)
    if when is None:
        return ""
    seconds = max(0, int((datetime.datetime.now(datetime.UTC) - when).total_seconds()))
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return "now"


def size(count_bytes: float) -> str:
    """Bytes for people, such as ``12.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count_bytes < 1024:
            return f"{count_bytes:.0f} {unit}" if unit == "B" else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1024
    return f"{count_bytes:.1f} TiB"


def status(container: dict[str, Any]) -> str:
    """A container's status as one phrase: what it does, its health, and the reason when it failed."""
    text = str(container.get("status_detail") or container.get("status") or "Unknown").strip()
    if container.get("status") in {"Error", "Unknown"}:
        reason = container.get("status_reason")
        return f"{container['status']}: {reason}" if reason else str(container["status"])
    if container.get("status") not in {"Running", "Paused", "Stopped"}:
        text = str(container.get("status") or "Unknown")
    health = container.get("health")
    return f"{text} ({health})" if health and container.get("status") == "Running" else text


def addresses(container: dict[str, Any]) -> list[str]:
    """The addresses of a container, on all of its networks."""
    found = container.get("addresses") or {}
    return [str(entry["addr"]) for entries in found.values() for entry in entries if entry.get("addr")]


def step(event: dict[str, Any], container: dict[str, Any]) -> str:
    """What an event did to what; the container itself goes by its name."""
    target = event.get("target")
    words = [
        str(event.get("verb") or "").replace("_", " "),
        container.get("name") if target == container["uuid"] else target,
    ]
    return clean(" ".join(str(word) for word in words if word))
