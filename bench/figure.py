"""One measured figure, and how a run's figures are printed. Knows no benchmark."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured: ours, what it is held against, and the most (or least) that is wanted of ``judged``.

    ``judged`` is the ratio unless another value is named; a figure without ``most`` and ``least`` is there to be read beside others.
    """

    id: str
    name: str
    ours: float
    against: float | None = None
    against_name: str = ""
    unit: str = "ms"
    most: float | None = None
    least: float | None = None
    by_ratio: bool = False
    detail: dict[str, object] = dataclasses.field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours in units of the other."""
        return self.ours / self.against if self.against else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; ``None`` for a figure without one."""
        judged = self.ratio if self.by_ratio else self.ours
        if judged is None or (self.most is None and self.least is None):
            return None
        return (self.most is None or judged <= self.most) and (self.least is None or judged >= self.least)

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self) | {"ratio": self.ratio, "met": self.met})

    def cells(self) -> tuple[str, ...]:
        """One row of the table."""
        target = "" if self.met is None else f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"
        judged = " x" if self.by_ratio and target else f" {self.unit}" if target else ""
        return (
            self.id,
            self.name,
            f"{self.ours:.4g} {self.unit}",
            "" if self.against is None else f"{self.against:.4g} {self.unit}  {self.against_name}",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            target + judged,
            {True: "yes", False: "NO", None: ""}[self.met],
        )


TITLES = ("id", "figure", "ours", "against", "ratio", "target", "met")


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns."""
    return columns([TITLES, *(figure.cells() for figure in figures)])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of words under one another, the first row underlined."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def spread(values: Sequence[float], scale: float = 1000.0) -> dict[str, float]:
    """Count, least, median, ninth decile and most of samples, in thousandths (ms) unless scaled otherwise."""
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "min": round(ordered[0] * scale, 2),
        "median": round(statistics.median(ordered) * scale, 2),
        "p90": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))] * scale, 2),
        "max": round(ordered[-1] * scale, 2),
    }


def median_ms(values: Sequence[float]) -> float:
    """The median of seconds, in milliseconds."""
    return statistics.median(values) * 1000
