"""Metrics: what a scrape tells, in one process and over a directory that several share."""

from __future__ import annotations

import os
import subprocess
import sys

from higgins.api.metrics import Metrics

SEVERAL = """
import sys
from higgins.api.metrics import Metrics
metrics = Metrics()
metrics.request("/v1/containers", "GET", 200, 0.003)
if sys.argv[1] == "scrape":
    print(metrics.text().decode())
"""


def test_requests_are_counted_by_route_method_and_status():
    metrics = Metrics()
    metrics.request("/v1/containers/{ident}", "GET", 200, 0.003)
    metrics.request("/v1/containers/{ident}", "GET", 200, 0.2)
    metrics.request("/v1/containers/{ident}", "GET", 404, 0.003)
    text = metrics.text().decode()
    labels = 'method="GET",route="/v1/containers/{ident}"'
    assert f'higgins_api_request_duration_seconds_count{{{labels},status="200"}} 2.0' in text
    assert f'higgins_api_request_duration_seconds_count{{{labels},status="404"}} 1.0' in text


def test_gauges_are_asked_for_at_each_scrape():
    running = {("running",): 2.0}
    metrics = Metrics(lambda: [("higgins_containers", "Containers by phase.", ("phase",), running)])
    assert 'higgins_containers{phase="running"} 2.0' in metrics.text().decode()
    running["running",] = 3.0
    assert 'higgins_containers{phase="running"} 3.0' in metrics.text().decode()


def test_processes_that_share_a_directory_are_added_up(tmp_path):
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for what in ("count", "scrape"):
        found = subprocess.run(
            [sys.executable, "-c", SEVERAL, what], env=environment, check=True, capture_output=True, text=True
        )
    labels = 'method="GET",route="/v1/containers",status="200"'
    assert f"higgins_api_request_duration_seconds_count{{{labels}}} 2.0" in found.stdout


def test_methods_that_nobody_knows_are_one():
    metrics = Metrics()
    for number in range(5):
        metrics.request("unrouted", f"MADEUP{number}", 405, 0.001)
    text = metrics.text().decode()
    assert 'higgins_api_request_duration_seconds_count{method="OTHER",route="unrouted",status="405"} 5.0' in text
    assert "MADEUP" not in text
