"""A user's container on processors of its own, through the whole service on real engines, with the agent killed in between."""

from __future__ import annotations

import os
import re

import pytest

from higgins.core import cpusets
from tests.whole import QUICK, until, whole

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="processors can be set aside where there are several"),
]

SAYS_WHERE = (
    "trap 'exit 0' TERM; while read -r name rest; do [ $name = Cpus_allowed_list: ] && echo runs on $rest; done </proc/self/status;"
    " while true; do sleep 0.1; done"
)


@pytest.fixture(params=["podman", "docker"])
def site(request):
    daemon = request.getfixturevalue(f"{request.param}_daemon")
    options = {**QUICK, "agent": QUICK["agent"] | {"dedicated_cpus": max(os.sched_getaffinity(0))}}
    with whole(request.param, f"unix://{daemon.socket}", options) as service:
        yield service
        service.nothing_is_left()


def made(site, **fields):
    return site.create(command=["sh", "-c", SAYS_WHERE], memory="32", **fields)


def told(site, uid, times=1):
    """Where each of its runs said that it is."""

    def places():
        found = re.findall(r"runs on ([\d,-]+)", site.request("GET", f"/v1/containers/{uid}/logs").text)
        return [cpusets.parse(place) for place in found] if len(found) == times else None

    return until(places, "it says where it runs")


def test_a_container_keeps_its_processors_for_itself_while_it_is_there(site):
    every = os.sched_getaffinity(0)
    last = {max(every)}
    own = made(site, cpu=1, cpu_policy="dedicated")
    other = made(site, cpu=0.5)
    site.reached(own, "Running")
    site.reached(other, "Running")
    assert told(site, own) == [last]
    assert told(site, other) == [every - last]
    refused = site.reached(made(site, cpu=1, cpu_policy="dedicated"), "Error")
    assert "without enough dedicated processors" in refused["status_reason"]
    site.kill("agent")
    until(site.is_up, "the service answers and its host is up")
    assert site.act(own, "reboot", timeout=1).status == 202
    assert told(site, own, 2) == [last, last]
    site.reached(own, "Running")
    assert site.act(own, "rebuild").status == 202
    site.reached(own, "Running")
    assert site.on_engine()[own].build == 2
    assert told(site, own) == [last]
    assert site.delete(own).status == 204
    site.gone(own)
    following = made(site, cpu=1, cpu_policy="dedicated")
    site.reached(following, "Running")
    assert told(site, following) == [last]
    [host] = site.admin("GET", "/v1/hosts").json["hosts"]
    assert host["enable_cpu_pinning"] is True
