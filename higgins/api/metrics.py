"""Prometheus: requests by route, and what there is (containers, hosts). Works in one process or, through a shared directory, in several."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import prometheus_client
from prometheus_client import core, multiprocess, registry

Sample = tuple[str, str, tuple[str, ...], Mapping[tuple[str, ...], float]]
"""A gauge's name, its help, its labels' names, and its values by their labels' values."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class _Gauges(registry.Collector):
    """Asks for the gauges at each scrape; nothing is counted in between."""

    def __init__(self, gather: Callable[[], Iterable[Sample]]) -> None:
        self._gather = gather

    def collect(self) -> Iterable[core.Metric]:
        for name, text, labels, values in self._gather():
            family = core.GaugeMetricFamily(name, text, labels=labels)
            for label_values, value in values.items():
                family.add_metric(label_values, value)
            yield family


class Metrics:
    """The metrics of one app.

    With PROMETHEUS_MULTIPROC_DIR in the environment (set before prometheus_client is first imported) a scrape adds up all processes
    that share the directory; ``gather`` is asked by the one that is scraped.
    """

    def __init__(self, gather: Callable[[], Iterable[Sample]] = tuple) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._gauges = _Gauges(gather)
        self._requests = prometheus_client.Histogram(
            "higgins_api_request_duration_seconds",
            "Time to answer, by route, method and status.",
            ("route", "method", "status"),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
            registry=self._registry,
        )
        self._children: dict[tuple[str, str, int], Any] = {}

    def request(self, route: str, method: str, status: int, took_s: float) -> None:
        """Count one request; ``route`` is its template, never the path itself."""
        # Strangers make up as many methods as they like, and each would be kept for ever.
        key = (route, method if method in _METHODS else "OTHER", status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(*key[:2], str(status))
        child.observe(took_s)

    def text(self) -> bytes:
        """What Prometheus reads."""
        found: registry.CollectorRegistry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            found = prometheus_client.CollectorRegistry()
            multiprocess.MultiProcessCollector(found)  # type: ignore[no-untyped-call]
        gauges = prometheus_client.CollectorRegistry()
        gauges.register(self._gauges)
        return prometheus_client.generate_latest(found) + prometheus_client.generate_latest(gauges)
