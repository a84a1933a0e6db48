"""Each call that Higgins makes to a service of the cloud goes wrong in each way, and nothing is lost, stuck or left over.

A bounded choice of faults is tried; HIGGINS_ALL_FAULTS=1 tries each answer at each call site, and HIGGINS_FAULT_SITES=WORDS only sites whose
line in the table has these words in it. That table at the end of the run tells what came of each; meanwhile ``log/faults.log`` of the cloud
tells it life by life.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import queue

import pytest

from tests.cloud.cloud_world import PATIENCE_S
from tests.cloud.faults import leftovers, matrix
from tests.cloud.faults.board import Fault
from tests.cloud.faults.busy import BusyLane
from tests.cloud.faults.life import Lane, Life
from tests.cloud.faults.site import site_of
from tests.whole import until

LANES = 8
TRIES = 3
LOGIN = "identity POST /v3/auth/tokens"
LAST_OF_A_SWEEP = "controller: image GET /v2/images?higgins_installation,limit,status"
ALL = bool(os.environ.get("HIGGINS_ALL_FAULTS"))
ONLY = os.environ.get("HIGGINS_FAULT_SITES", "")
pytestmark = pytest.mark.timeout(4 * 3600 if ALL else 1800)


@pytest.fixture(scope="module")
def site(cloud):
    with site_of(cloud) as site:
        yield site


@pytest.fixture(scope="module")
def lanes(site):
    """Users side by side, each with a token that the API knows already."""
    found = [Lane(site) for _ in range(LANES)]
    for lane in found:
        assert site.request("GET", "/v1/containers", token=lane.token).status == 200
    return found


def is_swept(site):
    """Whether the round that the controller's sweep does at its start is over: it asks Glance last, for two kinds of images."""
    given_up = "What Glance has of ours is looked through later" in site.log("controller", 10**7)
    return given_up or site.board.seen.get(LAST_OF_A_SWEEP, 0) >= 2


def undisturbed(site, lane, where):
    """Have one life lived in which no service is slow by itself, for then more is asked than a life asks."""
    for _ in range(TRIES):
        site.board.seen.clear()
        site.board.mentioned.clear()
        before = len(site.log("controller", 10**7))
        life = lane.live(Life(where, ""))
        assert not life.wrong, f"{life}\n{site.logs()}"
        said = "\n".join([site.log("controller", 10**7)[before:], *life.told])
        if "did not answer in time" not in said:
            assert (life.outcome, life.told) == ("recovered", []), f"{life}\n{site.logs()}"
            return
    pytest.fail(f"services were slow by themselves each time\n{said}", pytrace=False)


@pytest.fixture(scope="module")
def calm(site, lanes):
    """The call sites of one life in which nothing goes wrong: how often each was asked, and how often it was told whose request that is."""
    board = site.board
    until(site.is_known_to_placement, "Placement has been told of the host", PATIENCE_S)
    until(lambda: is_swept(site), "the first sweep is over", PATIENCE_S)
    at_start = dict(board.seen)
    # A site for networks and images comes up only for those that the controller does not remember.
    undisturbed(site, lanes[0], "all: /networks/ image GET")
    return {"start": at_start, "seen": dict(board.seen), "mine": dict(board.mentioned)}


@pytest.fixture(scope="module")
def busy_lanes(site, calm):
    """Users whose containers have a busy life; made after the calm one, which must know all sites of its own."""
    return [BusyLane(site) for _ in range(LANES)]


@pytest.fixture(scope="module")
def busy(site, busy_lanes):
    """The call sites of a busy life in which nothing goes wrong, stage by stage."""
    undisturbed(site, busy_lanes[0], "all: ")
    return busy_lanes[0].calls


def chosen(lives):
    """Those that this run is about."""
    found = [life for life in lives if ONLY in life.title]
    if not found:
        pytest.skip(f"no call site of these is called {ONLY}")
    return found


class Progress:
    """Tells the log how far the lives of a test are; one that is lived again counts twice."""

    def __init__(self, site, count):
        self._path, self._name, self._count = site.tenant.cloud.place / "log/faults.log", site.tenant.name, count
        self._numbers = itertools.count(1)

    def __call__(self, life):
        with self._path.open("a") as log:
            log.write(
                f"{self._name} {next(self._numbers)} ({self._count}, and some again): {life.wrong or 'well'}: {life}\n"
            )
        return life


def lived(site, lanes, lives):
    """All these lives, side by side, and what they left over."""
    free, told = queue.SimpleQueue(), Progress(site, len(lives))
    for lane in lanes:
        free.put(lane)

    def one(life):
        lane = free.get()
        try:
            fault = Fault(site=life.site, answer=life.answer, lasts_s=life.lasts_s, nth=life.nth)
            return told(lane.live(life, fault))
        finally:
            free.put(lane)

    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as threads:
        done = list(threads.map(one, lives))
    # In company the service may ask otherwise: for several containers at once it asks Placement once.
    return searched(site, [life if life.hits or life.wrong else one(life.at(life.stage)) for life in done])


def searched(site, lives):
    """The lives with what they left over."""
    things = leftovers.of(site)
    for life in lives:
        life.left += leftovers.mentioned(things, life.words)
    return lives


def judged(request, site, lives):
    request.node.user_properties += [(matrix.PROPERTY, matrix.row(life)) for life in lives]
    wrong = [str(life) for life in lives if life.wrong or not life.hits]
    assert wrong == [], "\n".join([*wrong, site.logs()])
    assert leftovers.project(leftovers.of(site)) == []


def test_whatever_a_service_answers_nothing_is_stuck_or_left_over(request, site, lanes, calm):
    sites = calm["mine"] | {one: count for one, count in calm["seen"].items() if told_by_token(one)}
    assert len(sites) > 20
    lives = chosen((matrix.every if ALL else matrix.some)(sites))
    judged(request, site, lived(site, lanes, lives))


def test_whatever_a_service_answers_in_a_busy_life(request, site, busy_lanes, calm, busy):
    """What the first life asks is not tried in this one's again."""
    lives = []
    for stage, found in busy.items():
        sites = {one: count for one, count in found.items() if " identity " not in one and one not in calm["seen"]}
        lives += [life.at(stage) for life in (matrix.every if ALL else matrix.two)(sites)]
    assert lives
    judged(request, site, lived(site, busy_lanes, chosen(lives)))


def told_by_token(call_site):
    return call_site.startswith("api:") and LOGIN not in call_site


def test_calls_that_do_not_tell_for_whom_they_are(request, site, lanes, calm):
    """One life at a time, so that whoever asks is meant."""
    told = {one for one in calm["seen"] if calm["mine"].get(one) or told_by_token(one)}
    sites = {one: 1 for one in calm["seen"].keys() - calm["start"].keys() - told if LOGIN not in one}
    lives = chosen((matrix.every if ALL else matrix.some)(sites))
    told = Progress(site, len(lives))
    for life in lives:
        fault = Fault(site=life.site, answer=life.answer, lasts_s=life.lasts_s)
        told(lanes[0].live(life, fault, alone=True))
    judged(request, site, searched(site, lives))


def test_calls_that_are_made_when_the_service_starts(request, site, lanes, calm):
    """It logs in, and tells Placement what its host has, whenever the services let it; containers wait for that."""
    sites = {one: 1 for one in [*calm["start"], *calm["seen"]] if one in calm["start"] or LOGIN in one}
    lives = chosen(matrix.every(sites) if ALL else matrix.few(sites))
    told = Progress(site, len(lives))
    for life in lives:
        site.stop("controller", "api")
        site.forget_host()
        fault = Fault(site=life.site, answer=life.answer, lasts_s=life.lasts_s)
        with site.board.armed(fault):
            site.start("controller", "api")
            lanes[0].live(life)
        life.hits = fault.hits
        told(life)
    judged(request, site, searched(site, lives))
