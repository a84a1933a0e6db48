"""Does a plan's steps with the ledger around them: written before the outside is asked, struck after the thing is gone.

A crash between any two lines leaves an entry, and the next pass plans from the entries: nothing outside is ever forgotten.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from higgins.core import errors
from higgins.provision.crew import worst
from higgins.provision.kinds import Discarded, Kind, Made, Task, Underway
from higgins.provision.plan import Have, Step, Want, plan, take_back
from higgins.store.hosts import Host
from higgins.store.loops import ledger
from higgins.store.loops.holds import Holder
from higgins.store.pods import Pod
from higgins.store.seal import Sealer
from higgins.store.session import Database, Overtaken, Transaction
from higgins.threads.together import side_by_side

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


def _badness(error: Exception) -> int:
    return 2 if is_final(error) else 0 if isinstance(error, Underway) else 1


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
    """Makes and takes back what pods have of the outside, each under a hold; may be used from several threads, for one pod from one at a time."""

    def __init__(self, db: Database, kinds: Mapping[str, Kind], sealer: Sealer, holder: Holder) -> None:
        self._db = db
        self._kinds = kinds
        self._sealer = sealer
        self._holder = holder

    def make(self, pod: Pod, host: Host | None, wants: Sequence[Want], finish: Finish) -> bool:
        """Have the outside give all that is wanted, stage by stage, and ``finish`` in the last transaction, while the pod is still held.

        False, with nothing done, when the pod was changed or another controller is at it. Raises the worst that the outside answered; what its
        neighbours of that stage made is noted all the same, the rest is left for the next pass.
        """
        with self._db.write() as tx:
            if not self._holder.take(tx, pod.id, pod.generation):
                return False
            entries = ledger.of(tx, [pod.uuid]).get(pod.uuid, [])
            job = Job(pod=pod, host=host, steps=plan(wants, haves(entries)), entries=entries)
            makes = [step for step in job.steps if step.verb == "make"]
            released = [(step.kind, step.key) for step in job.steps if step.verb == "release"]
            stages = self._stages(makes)
            ledger.release(tx, pod.uuid, released, pod.generation)
            asked = [ledger.Asked(kind=step.kind, key=step.key, shape=step.shape) for step in makes]
            known = {(entry.kind, entry.key) for entry in entries}
            ledger.ask(tx, pod.uuid, asked, host_id=pod.host_id, known=known)
            if not stages:
                finish(tx)
        there: Sequence[ledger.Entry] = entries
        for number, stage in enumerate(stages, 1):
            there = self._make_stage(job, stage, there, finish if number == len(stages) else None)
        return True

    def take_back(self, pod: Pod, host: Host | None, finish: Finish, *, observed: int | None) -> bool:
        """Give the outside back what the pod needs no more (see ``plan.take_back``), the highest stage first, and ``finish`` in the last
        transaction; gives False and raises as ``make`` does.
        """
        with self._db.write(durable=False) as tx:
            if not self._holder.take(tx, pod.id, pod.generation):
                return False
            entries = ledger.of(tx, [pod.uuid]).get(pod.uuid, [])
            job = Job(pod=pod, host=host, steps=take_back(haves(entries), observed=observed), entries=entries)
            ledger.doubt(tx, pod.uuid, [(step.kind, step.key) for step in job.steps], forget=False)
            stages = self._stages(job.steps)[::-1]
            if not stages:
                finish(tx)
        for number, stage in enumerate(stages, 1):
            self._take_back_stage(job, stage, finish if number == len(stages) else None)
        return True

    def _take_back_stage(self, job: Job, stage: Sequence[Step], finish: Finish | None) -> None:
        found = side_by_side(lambda step: self._take_back(job, step), stage)
        gone = [
            (step.kind, step.key)
            for step, answer in zip(stage, found, strict=True)
            if not isinstance(answer, Exception)
        ]
        error = worst((answer for answer in found if isinstance(answer, Exception)), _badness)
        try:
            with self._db.write(durable=False) as tx:
                ledger.strike(tx, job.pod.uuid, gone)
                if error is None and finish is not None:
                    finish(tx)
        except Overtaken:
            # Gone it is all the same, or a pod that lives on would be handed out without it.
            with self._db.write(durable=False) as tx:
                ledger.strike(tx, job.pod.uuid, gone)
            raise
        if error is not None:
            raise error

    def _make_stage(
        self, job: Job, stage: Sequence[Step], entries: Sequence[ledger.Entry], finish: Finish | None
    ) -> Sequence[ledger.Entry]:
        found = side_by_side(lambda step: self._make(job, step, entries), stage)
        answers = [((step.kind, step.key), step, answer) for step, answer in zip(stage, found, strict=True)]
        made = {key: _answered(step, answer) for key, step, answer in answers if not isinstance(answer, Exception)}
        begun = {key: answer.external_id for key, _, answer in answers if isinstance(answer, Underway)}
        named = {key: ident for key, ident in begun.items() if ident is not None}
        error = worst((answer for answer in found if isinstance(answer, Exception)), _badness)
        with self._db.write() as tx:
            lost = ledger.made(tx, job.pod.uuid, made.values(), self._sealer)
            lost += ledger.begun(tx, job.pod.uuid, named)
            for key, step, answer in answers:
                if isinstance(answer, Discarded):
                    ledger.discarded(tx, job.pod.uuid, *key, step.external_id, answer.data)
            if error is None and finish is not None and not lost:
                finish(tx)
            elif error is None:
                entries = ledger.of(tx, [job.pod.uuid]).get(job.pod.uuid, [])
        idents = named | {key: answer.external_id for key, answer in made.items()}
        self._undo(job, [step for step in stage if (step.kind, step.key) in lost], idents)
        if error is not None:
            raise error
        return entries

    def _undo(self, job: Job, lost: Sequence[Step], idents: Mapping[tuple[str, str], str]) -> None:
        """Take back what was made after somebody else took it for dead, struck it, and nobody would know of it any more."""
        for step in lost:
            self._take_back(job, dataclasses.replace(step, verb="take_back", external_id=idents[step.kind, step.key]))
        if lost:
            raise Overtaken(f"Making things for the pod {job.pod.uuid} took too long and was undone.")

    def _make(self, job: Job, step: Step, entries: Sequence[ledger.Entry]) -> Made:
        LOG.info("Pod %s: %s", job.pod.uuid, step)
        note = functools.partial(self._note, job.pod.uuid, step)
        return self._kind(step).make(dataclasses.replace(job.task(step, entries), note=note))

    def _note(self, pod_uuid: str, step: Step, data: str) -> None:
        with self._db.write() as tx:
            ledger.note(tx, pod_uuid, step.kind, step.key, data)

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
