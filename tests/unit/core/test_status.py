"""Zun's words over every combination of inputs, and over the rows that users meet."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Iterator

import pytest

from higgins.core.phase import Desired, Phase, Wish
from higgins.core.status import ALLOWED, Action, Status, TaskState, derive, detail

GENERATION = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    desired: Desired = Desired.RUNNING
    wish: Wish = Wish.CREATE
    generation: int = GENERATION
    run: int = 1
    host_id: int | None = 1
    schedule_generation: int = 0
    schedule_reason: str | None = None
    provision_generation: int = 0
    provision_reason: str | None = None
    phase: Phase | None = None
    observed_generation: int = 0
    observed_run: int = 0
    reason: str | None = None


def every() -> Iterator[Facts]:
    refusals = ((0, None), (GENERATION - 1, "older"), (GENERATION, "now"))
    for desired, wish, phase, observed, runs, host, schedule, provision in itertools.product(
        Desired,
        Wish,
        (None, *Phase),
        range(GENERATION + 1),
        itertools.product((0, 1), (0, 1)),
        (None, 1),
        refusals,
        refusals,
    ):
        yield Facts(
            desired=desired,
            wish=wish,
            phase=phase,
            observed_generation=observed,
            run=runs[0],
            observed_run=runs[1],
            host_id=host,
            schedule_generation=schedule[0],
            schedule_reason=schedule[1],
            provision_generation=provision[0],
            provision_reason=provision[1],
        )


def refused(pod: Facts) -> bool:
    return (pod.host_id is None and pod.schedule_reason == "now") or pod.provision_reason == "now"


def held_up(pod: Facts) -> bool:
    """Whether only what is to be taken back keeps a pod."""
    over = pod.phase is Phase.GONE or pod.host_id is None
    return over and pod.desired is Desired.DELETED and pod.provision_reason is not None


def test_every_combination_has_an_answer_that_keeps_the_promises() -> None:
    broken: list[tuple[str, Facts]] = []
    count = 0
    for pod in every():
        count += 1
        shown = derive(pod)
        settled = pod.observed_generation >= pod.generation
        promises = {
            "words of Zun": isinstance(shown.status, Status) and (shown.task_state is None or isinstance(shown.task_state, TaskState)),
            "dead is not ours": shown.status is not Status.DEAD,
            "deleting until gone": pod.desired is not Desired.DELETED
            or shown.status in (Status.DELETING, Status.DELETED)
            or (shown.status is Status.ERROR and settled and pod.phase is Phase.FAILED),
            "only a delete deletes": shown.status is not Status.DELETING or pod.desired is Desired.DELETED,
            "only a reboot restarts": shown.status is not Status.RESTARTING or (pod.wish is Wish.REBOOT and not settled),
            "only a rebuild rebuilds": shown.status is not Status.REBUILDING or pod.wish is Wish.REBUILD,
            "a settled pod has no task": not settled or pod.phase is None or pod.desired is Desired.DELETED or shown.task_state is None,
            "a refusal is an error": not refused(pod)
            or pod.desired is Desired.DELETED
            or (shown.status is Status.ERROR and shown.reason == "now"),
            "an old refusal is no error": pod.schedule_reason != "older"
            or pod.phase is not None
            or shown.reason != "older"
            or shown.status is not Status.ERROR,
            "what is waited for is said": settled or refused(pod) or held_up(pod) or pod.schedule_reason is None
                or shown.reason == pod.schedule_reason,
            "what holds up a delete is said": not held_up(pod) or shown.reason == pod.provision_reason,
            "running is running": shown.status is not Status.RUNNING or pod.phase is Phase.RUNNING,
            "no doubt on the way to running": pod.wish not in (Wish.CREATE, Wish.START)
            or settled
            or pod.desired is Desired.DELETED
            or refused(pod)
            or shown.status not in (Status.RESTARTING, Status.UNKNOWN, Status.DELETED, Status.ERROR),
        }  # fmt: skip
        broken += [(name, pod) for name, kept in promises.items() if not kept]
    assert broken[:5] == []
    assert count > 100_000


def test_a_normal_start_shows_only_words_that_heat_waits_on() -> None:
    reports: list[tuple[int | None, Phase | None, int, int]] = [
        (None, None, 0, 0),
        (1, None, 0, 0),
        (1, Phase.UNKNOWN, 0, 0),
        (1, Phase.PREPARING, 0, 0),
        (1, Phase.CREATED, 0, 0),
        (1, Phase.RUNNING, 0, 1),
        (1, Phase.RUNNING, 1, 1),
    ]
    seen = [
        derive(Facts(generation=1, host_id=host, phase=phase, observed_generation=generation, observed_run=run))[:2]
        for host, phase, generation, run in reports
    ]
    assert seen == [
        (Status.CREATING, TaskState.CREATING),
        (Status.CREATING, TaskState.CREATING),
        (Status.CREATING, TaskState.CREATING),
        (Status.CREATING, TaskState.CREATING),
        (Status.CREATED, TaskState.STARTING),
        (Status.RUNNING, TaskState.CREATING),
        (Status.RUNNING, None),
    ]


@pytest.mark.parametrize(
    ("pod", "status", "task"),
    [
        (
            Facts(wish=Wish.STOP, desired=Desired.STOPPED, phase=Phase.RUNNING, observed_generation=1, observed_run=1),
            Status.RUNNING,
            TaskState.STOPPING,
        ),
        (
            Facts(wish=Wish.STOP, desired=Desired.STOPPED, phase=Phase.STOPPED, observed_generation=2, observed_run=1),
            Status.STOPPED,
            None,
        ),
        (
            Facts(wish=Wish.START, run=2, phase=Phase.STOPPED, observed_generation=1, observed_run=1),
            Status.STOPPED,
            TaskState.STARTING,
        ),
        (
            Facts(wish=Wish.START, run=2, phase=Phase.FAILED, observed_generation=1, observed_run=1),
            Status.STOPPED,
            TaskState.STARTING,
        ),
        (
            Facts(wish=Wish.START, run=1, phase=Phase.FAILED, observed_generation=1, observed_run=0),
            Status.CREATING,
            TaskState.STARTING,
        ),
        (
            Facts(wish=Wish.REBOOT, run=2, phase=Phase.RUNNING, observed_generation=1, observed_run=1),
            Status.RESTARTING,
            TaskState.REBOOTING,
        ),
        (
            Facts(wish=Wish.REBOOT, run=2, phase=Phase.RUNNING, observed_generation=1, observed_run=2),
            Status.RUNNING,
            TaskState.REBOOTING,
        ),
        (
            Facts(wish=Wish.REBUILD, run=2, phase=Phase.RUNNING, observed_generation=1, observed_run=1),
            Status.REBUILDING,
            TaskState.REBUILDING,
        ),
        (
            Facts(
                wish=Wish.REBUILD,
                run=1,
                desired=Desired.CREATED,
                phase=Phase.STOPPED,
                observed_generation=1,
                observed_run=1,
            ),
            Status.REBUILDING,
            TaskState.REBUILDING,
        ),
        (
            Facts(wish=Wish.PAUSE, desired=Desired.PAUSED, phase=Phase.RUNNING, observed_generation=1, observed_run=1),
            Status.RUNNING,
            TaskState.PAUSING,
        ),
        (
            Facts(wish=Wish.UNPAUSE, phase=Phase.PAUSED, observed_generation=1, observed_run=1),
            Status.PAUSED,
            TaskState.UNPAUSING,
        ),
        (
            Facts(wish=Wish.KILL, desired=Desired.STOPPED, phase=Phase.RUNNING, observed_generation=1, observed_run=1),
            Status.RUNNING,
            TaskState.KILLING,
        ),
        (Facts(wish=Wish.UPDATE, phase=Phase.RUNNING, observed_generation=1, observed_run=1), Status.RUNNING, None),
        (
            Facts(wish=Wish.UPDATE, phase=Phase.FAILED, observed_generation=1, observed_run=1, reason="why"),
            Status.ERROR,
            None,
        ),
        (
            Facts(wish=Wish.UPDATE, phase=Phase.PREPARING, observed_generation=0, observed_run=0),
            Status.CREATING,
            TaskState.STARTING,
        ),
        (
            Facts(
                wish=Wish.DELETE, desired=Desired.DELETED, phase=Phase.RUNNING, observed_generation=1, observed_run=1
            ),
            Status.DELETING,
            TaskState.DELETING,
        ),
        (
            Facts(wish=Wish.DELETE, desired=Desired.DELETED, phase=Phase.GONE, observed_generation=2),
            Status.DELETED,
            None,
        ),
        (
            Facts(wish=Wish.DELETE, desired=Desired.DELETED, phase=Phase.FAILED, observed_generation=2),
            Status.ERROR,
            None,
        ),
        (
            Facts(phase=Phase.UNKNOWN, observed_generation=2, observed_run=1, reason="the engine is away"),
            Status.UNKNOWN,
            None,
        ),
        (Facts(phase=Phase.GONE, observed_generation=2, observed_run=1), Status.DELETED, None),
        (
            Facts(host_id=None, schedule_generation=2, schedule_reason="There are not enough hosts available."),
            Status.ERROR,
            None,
        ),
        (
            Facts(
                host_id=None, wish=Wish.REBUILD, desired=Desired.CREATED, schedule_generation=1, schedule_reason="older"
            ),
            Status.REBUILDING,
            TaskState.REBUILDING,
        ),
    ],
)
def test_statuses_of_wishes_under_way(pod: Facts, status: Status, task: TaskState | None) -> None:
    assert derive(pod)[:2] == (status, task)


def test_the_table_of_states_is_zuns_but_for_delete() -> None:
    def words(text: str) -> frozenset[Status]:
        return frozenset(Status(word) for word in text.split())

    zun = {
        "start": "Created Stopped Error",
        "stop pause kill execute execute_resize attach resize top stats": "Running",
        "unpause": "Paused",
        "reboot rebuild": "Created Running Stopped Error",
        "update resize_container add_security_group remove_security_group": "Created Running Stopped Paused",
        "commit": "Running Stopped Paused",
        "get_archive put_archive": "Created Paused Running Stopped",
        "logs": "Created Error Paused Running Stopped Unknown",
    }
    expected = {Action(name): words(states) for names, states in zun.items() for name in names.split()}
    expected[Action.DELETE] = frozenset(Status) - words("Running Paused")
    assert expected == ALLOWED


NOW = datetime.datetime(2026, 3, 4, 12, 0, 0, tzinfo=datetime.UTC)


def ago(**span: float) -> datetime.datetime:
    return NOW - datetime.timedelta(**span)


@pytest.mark.parametrize(
    ("status", "started", "finished", "code", "text"),
    [
        (Status.RUNNING, ago(minutes=5, seconds=7), None, None, "Up 5 mins"),
        (Status.RUNNING, ago(seconds=9), None, None, "Up 9 seconds"),
        (Status.RUNNING, ago(days=3, hours=2), None, None, "Up 3 days"),
        (Status.RUNNING, NOW + datetime.timedelta(hours=1), None, None, "Up 0 seconds"),
        (Status.RUNNING, None, None, None, "Up"),
        (Status.PAUSED, ago(hours=2), None, None, "Up 2 hours (paused)"),
        (Status.STOPPED, ago(hours=2), ago(minutes=3), 0, "Exited(0) 3 mins ago "),
        (Status.STOPPED, ago(hours=2), ago(minutes=3), 137, "Exited(137) 3 mins ago (error)"),
        (Status.STOPPED, None, None, None, "Exited(0) some time ago "),
        (Status.CREATED, None, None, None, "Created"),
        (Status.RESTARTING, ago(hours=2), None, None, "Restarting"),
        (Status.ERROR, None, None, None, None),
        (Status.CREATING, None, None, None, None),
    ],
)
def test_detail_says_since_when(
    status: Status,
    started: datetime.datetime | None,
    finished: datetime.datetime | None,
    code: int | None,
    text: str | None,
) -> None:
    assert detail(status, started_at=started, finished_at=finished, exit_code=code, now=NOW) == text
