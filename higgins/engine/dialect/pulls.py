"""Follows one image pull: its progress, its failure told in words, its cancellation. Knows no verbs."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from higgins.engine import api
from higgins.engine.dialect import faults, streams
from higgins.engine.dialect.http import Client, Query

FINISHED = ("Download complete", "Pull complete", "Already exists")


def run(
    client: Client,
    path: str,
    *,
    reference: str,
    query: Query,
    headers: Mapping[str, str],
    progress: Callable[[api.PullProgress], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Pull to the end; ``Conflict`` soon after ``cancelled()``, even while the registry is silent."""
    problem = ""
    with streams.Watch(cancelled) as watch:
        try:
            with contextlib.closing(
                client.stream("POST", path, query=query, headers=headers, opened=watch.arm)
            ) as stream:
                if stream.status >= 400:
                    problem = faults.words(stream.whole().body) or f"status {stream.status}"
                else:
                    problem = _follow(stream.lines(), progress)
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as broken:
            if not watch.fired:
                raise faults.translate(broken, f"pull the image {reference}") from broken
    watch.check(f"The pull of the image {reference} was cancelled.")
    if problem:
        raise faults.pull_failure(problem, reference)


def _follow(lines: streams.Lines, progress: Callable[[api.PullProgress], None] | None) -> str:
    count, problem = Count(), ""
    for text in lines:
        line = msgspec.json.decode(text) if text.strip() else {}
        problem = problem or line.get("error") or (line.get("errorDetail") or {}).get("message") or ""
        if progress is not None and line and not problem:
            progress(count.add(line))
    return problem


class Count:
    """Adds up the lines that an engine writes while it pulls: a state for each layer, or only sentences that name layers."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int, bool]] = {}

    def add(self, line: dict[str, Any]) -> api.PullProgress:
        """The sum after one more line."""
        if "stream" in line:
            text = self._sentence(str(line["stream"]).strip())
        else:
            text = self._state(line.get("id") or "", line.get("status") or "", line.get("progressDetail") or {})
        return api.PullProgress(
            layers_done=sum(finished for _, _, finished in self._layers.values()),
            layers=len(self._layers),
            done_bytes=sum(done for done, _, _ in self._layers.values()),
            total_bytes=sum(total for _, total, _ in self._layers.values()),
            text=text,
        )

    def _sentence(self, text: str) -> str:
        if text.startswith("Copying blob "):
            self._layers.setdefault(text.split()[2], (0, 0, False))
        elif text.startswith("Writing manifest"):
            self._layers = {layer: (done, total, True) for layer, (done, total, _) in self._layers.items()}
        return text

    def _state(self, layer: str, status: str, detail: dict[str, Any]) -> str:
        if layer and status and not status.startswith("Pulling from"):
            done, total, finished = self._layers.get(layer, (0, 0, False))
            finished = finished or status in FINISHED
            if status == "Downloading" and detail.get("total"):
                done, total = detail.get("current") or 0, detail["total"]
            self._layers[layer] = (total if finished else done, total, finished)
        return " ".join(word for word in (layer, status) if word)
