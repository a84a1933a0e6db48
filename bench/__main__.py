"""Runs chosen benchmarks, prints their table and a JSON line for each figure."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from bench import lists, memory, plugs, speed, work
from bench.figure import Figure, columns, table
from bench.house import CannotRun, house

ROUNDS = {"s1": 40, "s2": 20, "s4": 5, "s5": 1, "s8": 1, "s10": 5}
ONLY_WHEN_NAMED = {"plug": 20, "s3": 15, "s3-parts": 8, "s10-cloud": 5}  # what only the test cloud has room for
ON_AN_ENGINE = {"s1": speed.accepted, "s2": speed.one_at_a_time, "s4": speed.many_at_once, "s8": memory.memory}


def main(argv: Sequence[str] | None = None) -> int:
    """0 when all could be measured, whether targets are met or not."""
    options = _parser().parse_args(argv)
    figures: list[Figure] = []
    try:
        for figure in _run(options):
            print(f"{figure.id} {figure.name}: {figure.ours:.4g} {figure.unit}", file=sys.stderr, flush=True)
            figures.append(figure)
    except CannotRun as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    finally:
        _print(figures, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measure Higgins beside the engine alone, in one run."
    )
    parser.add_argument(
        "which",
        nargs="*",
        default=[],
        metavar="s1|s2|s4|s5|s8|s10|plug|s3|s3-parts|s10-cloud",
        help="which figures (default: all but the last four, which need the test cloud)",
    )
    parser.add_argument("--engine", choices=("podman", "docker"), default="podman", help="default: podman")
    parser.add_argument("--rounds", type=int, help="how often each figure is taken (default: as fits the figure)")
    parser.add_argument("--json", metavar="FILE", help="also write the JSON lines to this file")
    return parser


def _run(options: argparse.Namespace) -> Iterator[Figure]:
    chosen = [name for name in ROUNDS if name in options.which or not options.which]
    unknown = set(options.which) - set(ROUNDS) - set(ONLY_WHEN_NAMED)
    if unknown:
        raise CannotRun(
            f"there is no figure called {', '.join(sorted(unknown))}; there are {', '.join(ROUNDS | ONLY_WHEN_NAMED)}"
        )

    def rounds(name: str) -> int:
        return options.rounds or (ROUNDS | ONLY_WHEN_NAMED)[name]

    on_engine = [name for name in chosen if name in ON_AN_ENGINE]
    if on_engine:
        with house(options.engine) as made:
            for name in on_engine:
                yield from ON_AN_ENGINE[name](made, rounds(name))
    if "s5" in chosen:
        with house("fake") as made:
            yield from lists.lists(made, rounds("s5"))
    if "s10" in chosen:
        yield from work.work(options.engine, rounds("s10"))
    if "plug" in options.which:
        yield from plugs.plugs(rounds("plug"))
    if {"s3", "s3-parts", "s10-cloud"} & {*options.which}:
        yield from _in_a_cloud(options, rounds)


def _in_a_cloud(options: argparse.Namespace, rounds: Callable[[str], int]) -> Iterator[Figure]:
    # What these need is not there outside of a test cloud.
    from bench.cloud import counts, parts, speed
    from bench.cloud.town import town

    with town() as found:
        if "s3" in options.which:
            yield from speed.one_at_a_time(found, options.engine, rounds("s3"))
            yield from speed.many_at_once(found, options.engine, max(2, rounds("s3") // 5))
        if "s3-parts" in options.which:
            yield from parts.parts(found, options.engine, rounds("s3-parts"))
        if "s10-cloud" in options.which:
            yield from counts.counts(found, options.engine, rounds("s10-cloud"))


def _print(figures: list[Figure], path: str | None) -> None:
    if not figures:
        return
    lines = [figure.line() for figure in figures]
    print(table(figures))
    _print_parts([figure for figure in figures if "by_part" in figure.detail])
    for figure in figures:
        for name in ("table", "calls"):
            if name in figure.detail:
                print(f"\n{figure.name}")
                print(columns([tuple(map(str, row)) for row in json.loads(json.dumps(figure.detail[name]))]))
    print(f"\nload of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    print("\n".join(lines))
    if path:
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")


def _print_parts(figures: list[Figure]) -> None:
    if not figures:
        return
    by_part = [dict(json.loads(json.dumps(figure.detail["by_part"]))) for figure in figures]
    parts = sorted({part for counts in by_part for part in counts})
    rows = [("by part", *parts)]
    for figure, counts in zip(figures, by_part, strict=True):
        rows.append((figure.name, *(f"{counts[part]:g}" if part in counts else "" for part in parts)))
    print("\n" + columns(rows))


if __name__ == "__main__":
    sys.exit(main())
