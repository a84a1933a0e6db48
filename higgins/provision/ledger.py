"""Does a plan's steps with the ledger around them: written before the outside is asked, struck after the thing is gone.

A crash between any two lines leaves an entry, and the next pass plans from the entries: nothing outside is ever forgotten.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from higgins.core import errors
from higgins.provision.crew import side_by_side, worst
from higgins.provision.kinds import Kind, Made, Task
from higgins.provision.plan import Have, Step
from higgins.store.hosts import Host
from higgins.store.loops import ledger
from higgins.store.pods import Pod
from higgins.store.seal import Sealer
from higgins.store.session import Database, Transaction

LOG = logging.getLogger(__name__)

Finish = Callable[[Transaction], object]


def haves(entries: Iterable[ledger.Entry]) -> list[Have]:
    """What a pod has, for the planner."""
    return [
        Have(
            kind=entry.kind,
            key=entry.key,
            made=entry.made_at is not None,
            shape=entry.shape,
            external_id=entry.external_id,
            released_at=entry.released_at,
        )
        for entry in entries
    ]


def is_final(error: Exception) -> bool:
    """Whether trying again cannot help."""
    return isinstance(error, errors.HigginsError) and not error.retryable and not isinstance(error, errors.Conflict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One pod's steps, with what its ledger held when they were planned."""

    pod: Pod
    host: Host | None
    steps: Sequence[Step]
    entries: Sequence[ledger.Entry]

    def task(self, step: Step, entries: Sequence[ledger.Entry]) -> Task:
        """A step as its kind is told of it."""
        return Task(
            pod=self.pod,
            key=step.key,
            shape=step.shape,
            external_id=step.external_id,
            entries=tuple(entries),
            host=self.host,
        )


class Executor:
    """Does jobs; may be used from several threads, one pod's jobs from one at a time."""

    def __init__(self, db: Database, kinds: Mapping[str, Kind], sealer: Sealer) -> None:
        self._db = db
        self._kinds = kinds
        self._sealer = sealer

    def make(self, job: Job, finish: Finish) -> None:
        """Do the steps of a ``plan``, stage by stage, and ``finish`` in the last transaction.

        Raises the worst that the outside answered; what its neighbours of that stage made is noted all the same, the rest is left for the next pass.
        """
        makes = [step for step in job.steps if step.verb == "make"]
        released = [(step.kind, step.key) for step in job.steps if step.verb == "release"]
        stages = self._stages(makes)
        with self._db.write() as tx:
            ledger.release(tx, job.pod.uuid, released, job.pod.generation)
            asked = [ledger.Asked(kind=step.kind, key=step.key, shape=step.shape) for step in makes]
            ledger.ask(tx, job.pod.uuid, asked, host_id=job.pod.host_id)
            if not stages:
                finish(tx)
        entries = job.entries
        for number, stage in enumerate(stages, 1):
            entries = self._make_stage(job, stage, entries, finish if number == len(stages) else None)

    def take_back(self, job: Job, finish: Finish) -> None:
        """Do the steps of a ``take_back``, the highest stage first, and ``finish`` in the last transaction; raises as ``make`` does."""
        stages = self._stages(job.steps)[::-1]
        for number, stage in enumerate(stages, 1):
            found = side_by_side(lambda step: self._take_back(job, step), stage)
            gone = [step for step, answer in zip(stage, found, strict=True) if not isinstance(answer, Exception)]
            error = worst((answer for answer in found if isinstance(answer, Exception)), is_final)
            with self._db.write(durable=False) as tx:
                ledger.strike(tx, job.pod.uuid, [(step.kind, step.key) for step in gone])
                if error is None and number == len(stages):
                    finish(tx)
            if error is not None:
                raise error
        if not stages:
            with self._db.write(durable=False) as tx:
                finish(tx)

    def _make_stage(
        self, job: Job, stage: Sequence[Step], entries: Sequence[ledger.Entry], finish: Finish | None
    ) -> Sequence[ledger.Entry]:
        found = side_by_side(lambda step: self._make(job, step, entries), stage)
        made = [
            _answered(step, answer)
            for step, answer in zip(stage, found, strict=True)
            if not isinstance(answer, Exception)
        ]
        error = worst((answer for answer in found if isinstance(answer, Exception)), is_final)
        with self._db.write() as tx:
            ledger.made(tx, job.pod.uuid, made, self._sealer)
            if error is None and finish is not None:
                finish(tx)
            elif error is None:
                entries = ledger.of(tx, [job.pod.uuid]).get(job.pod.uuid, [])
        if error is not None:
            raise error
        return entries

    def _make(self, job: Job, step: Step, entries: Sequence[ledger.Entry]) -> Made:
        LOG.info("Pod %s: %s", job.pod.uuid, step)
        return self._kind(step).make(job.task(step, entries))

    def _take_back(self, job: Job, step: Step) -> None:
        LOG.info("Pod %s: %s", job.pod.uuid, step)
        self._kind(step).take_back(job.task(step, job.entries))

    def _stages(self, steps: Sequence[Step]) -> list[list[Step]]:
        ordered = sorted(steps, key=lambda step: self._kind(step).stage)
        return [list(stage) for _, stage in itertools.groupby(ordered, key=lambda step: self._kind(step).stage)]

    def _kind(self, step: Step) -> Kind:
        kind = self._kinds.get(step.kind)
        if kind is None:
            raise errors.NotReady(f"This controller cannot handle a {step.kind}. Run one that is configured for it.")
        return kind


def _answered(step: Step, made: Made) -> ledger.Answered:
    return ledger.Answered(
        kind=step.kind,
        key=step.key,
        shape=step.shape,
        external_id=made.external_id,
        data=made.data,
        secret=made.secret,
    )
