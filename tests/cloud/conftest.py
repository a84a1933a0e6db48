"""What the tests in a whole OpenStack share: clients of its users, a project of the tests' own, and a count of what they left behind.

They run inside the cloud's namespaces: ``script/test cloud`` or, in a cloud that is up,
``script/cloud exec admin "$PWD/.venv/bin/python" -m pytest tests/cloud``.
"""

from __future__ import annotations

import os
import pathlib
import uuid
from collections.abc import Iterator

import pytest

from tests.cloud.census import census, differing
from tests.cloud.cloud_world import Cloud, People, until

NEEDED_S = 600
HERE = pathlib.Path(__file__).parent
LEVELS = (" WARNING ", " ERROR ", " CRITICAL ")
MOST_LINES = 10
LOGS: pytest.StashKey[dict[pathlib.Path, int]] = pytest.StashKey()


@pytest.fixture(scope="session")
def cloud() -> Cloud:
    """The cloud around us, once it is up."""
    place = os.environ.get("HIGGINS_CLOUD")
    if not place:
        pytest.skip("these tests run inside a cloud: script/test cloud")
    run = pathlib.Path(place) / "run"
    until("the cloud to be up", lambda: (run / "up").exists() or (run / "failed").exists(), NEEDED_S)
    if not (run / "up").exists():
        # Its log goes away with it, so what matters of it is said here.
        coming = pathlib.Path(place) / "log" / "coming-up.log"
        said = coming.read_text().splitlines()[-20:] if coming.exists() else []
        pytest.fail("\n".join([f"the cloud in {place} did not come up", *said]), pytrace=False)
    return Cloud(pathlib.Path(place))


@pytest.fixture
def alone() -> None:
    """For tests that take a service away for a while: only in a cloud that nobody else uses."""
    if not os.environ.get("HIGGINS_CLOUD_ALONE"):
        pytest.skip("others use this cloud; set HIGGINS_CLOUD_ALONE=1 if they do not")


@pytest.fixture(scope="session")
def people(cloud: Cloud) -> Iterator[People]:
    """Two projects with users of every persona; gone at the end with all that they own."""
    made = People(cloud, f"test-{uuid.uuid4().hex[:8]}")
    try:
        made.make()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def nothing_left(cloud: Cloud, people: People) -> Iterator[None]:
    """After the module's last test everything outside is as it was before its first; for ``pytestmark = pytest.mark.usefixtures``."""
    before = census(cloud, people)
    yield
    until("all that the tests made to be gone", lambda: not differing(before, census(cloud, people)),
          told=lambda: str(differing(before, census(cloud, people))))  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test may have to wait for the cloud, beside what it needs itself."""
    for item in items:
        if item.path.is_relative_to(HERE):
            own = item.get_closest_marker("timeout")
            item.add_marker(pytest.mark.timeout(NEEDED_S + (own.args[0] if own else 120)), append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember where the services' logs end before a test."""
    item.stash[LOGS] = {log: log.stat().st_size for log in _logs()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With a test that fails goes what the services complained of meanwhile: their logs go away with the cloud."""
    report = yield
    if report.failed and item.path.is_relative_to(HERE):
        before = item.stash.get(LOGS, {})
        said = [f"{log.stem}: {line}" for log in _logs() for line in complaints(log, before.get(log, 0))]
        report.sections.append(("what services complained of meanwhile", "\n".join(said)))
    return report


def _logs() -> list[pathlib.Path]:
    place = os.environ.get("HIGGINS_CLOUD")
    return sorted((pathlib.Path(place) / "log").glob("*.log")) if place else []


def complaints(log: pathlib.Path, start: int) -> list[str]:
    """The last warnings and errors of a log after that place, without what came of them."""
    with log.open(errors="replace") as lines:
        lines.seek(start)
        found = [line[:400].rstrip() for line in lines if any(level in line for level in LEVELS)]
    return found[-MOST_LINES:]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The tables of faults and of orphans, from the reports of whichever worker tried them."""
    from tests.cloud.faults import matrix

    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, ())]
    told = [pair for one in reports for pair in getattr(one, "user_properties", ())]
    faults = [value for name, value in told if name == matrix.PROPERTY]
    orphans = [value for name, value in told if name == "planted orphans"]
    for title, lines in (
        ("what a service answered, and what came of it", matrix.shown(faults) if faults else []),
        ("what was planted, and what higgins-manage audit made of it", orphans),
    ):
        if lines:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)
