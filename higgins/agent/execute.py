"""Do one step of a plan with the engine, the files and the journal. It decides nothing and does not know the wire.

Every step may be done again without harm. ``start`` writes its intent before it asks the engine, so that after a crash the
engine's own start time tells whether it happened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from higgins.agent.hands import volume
from higgins.agent.hands.block.volumes import BlockVolumes
from higgins.agent.hands.file import Files
from higgins.agent.hands.glance import local_name
from higgins.agent.hands.image import Pulls
from higgins.agent.hands.network.plugs import Network
from higgins.agent.hands.network.steps import NetworkSteps
from higgins.agent.hands.processors import Processors
from higgins.agent.hands.shelf import Shelf, check_name
from higgins.agent.journal import ImageEntry, Journal
from higgins.agent.observe import Observer
from higgins.agent.plan import Step, Verb, members
from higgins.core import errors, model
from higgins.core.phase import Desired, PullPolicy
from higgins.core.reference import parse, same_registry
from higgins.engine.api import Bind, CanPause, CanResize, Creation, Engine, ImageFacts


class InProgress(Exception):
    """A step has begun and goes on without a worker; the pod is looked at again when it ends."""


class Replan(Exception):
    """What was believed of the host was wrong: look again and plan anew. ``cause`` is kept should that not help."""

    def __init__(self, cause: errors.HigginsError) -> None:
        super().__init__(cause.message)
        self.cause = cause


class Executor:
    """Does steps; one pod's steps come from one thread at a time, different pods' in parallel."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        observer: Observer,
        files: Files,
        pulls: Pulls,
        shelf: Shelf,
        network: Network | None = None,
        blocks: BlockVolumes | None = None,
        *,
        processors: Processors,
    ) -> None:
        self._engine, self._journal, self._observer, self._processors = engine, journal, observer, processors
        self._files, self._pulls, self._shelf, self._blocks = files, pulls, shelf, blocks
        self._networks = NetworkSteps(engine, network, observer.stepping)
        self.verbs: dict[Verb, Callable[[model.Assignment, str], None]] = {
            **self._networks.verbs,
            Verb.CREATE_VOLUME: self._create_volume,
            Verb.ATTACH: self._attach,
            Verb.DETACH: self._detach,
            Verb.WRITE_FILES: self._write_files,
            Verb.CREATE: self._create,
            Verb.START: self._start,
            Verb.STOP: self._stop,
            Verb.PAUSE: self._pause,
            Verb.UNPAUSE: self._unpause,
            Verb.RESIZE: self._resize,
            Verb.REMOVE: self._remove,
            Verb.REMOVE_VOLUME: self._remove_volume,
            Verb.REMOVE_FILES: self._remove_files,
        }

    def do(self, step: Step, want: model.Assignment, progress: Callable[[str], None]) -> None:
        """Do a step; raises ``InProgress``, ``Replan`` or an error of ``higgins.core.errors``.

        ``progress`` may be called later and from another thread, with words on how far a pull is.
        """
        if step.verb is Verb.FAIL:
            raise errors.Conflict(f"{step.why[:1].upper()}{step.why[1:]}.")
        if step.verb is Verb.PULL:
            self._pull(want, step.target, progress)
            return
        try:
            self.verbs[step.verb](want, step.target)
        except (errors.NotFound, errors.NotReady, errors.Conflict) as error:
            if step.verb.traits.on_container:
                self._observer.touched(step.target, want.uuid)
            if isinstance(error, errors.NotReady):
                raise
            raise Replan(error) from error

    def leave_pulls(self, pod: str) -> None:
        """Nobody waits for this pod's images any more."""
        self._pulls.leave(pod)

    def forget(self, pod: str) -> None:
        """Keep nothing of a pod that is nobody's any more."""
        self.leave_pulls(pod)
        self._networks.forget(pod)

    def _pull(self, want: model.Assignment, image: str, progress: Callable[[str], None]) -> None:
        if of_glance(want, image):
            self._fetch(want, image, progress)
            return
        facts = self._shelf.own(want.project_id, image) or self._at_its_digest(want, image)
        if facts is None:
            digest, (record, login) = want.digests.get(image), _login(want, image)
            self._shelf.fetching(image, record)
            facts = self._pulls.ask(want.uuid, _at_digest(image, digest) if digest else image, login, progress)
            if facts is None:
                raise InProgress
            self._shelf.fetched(image, facts, record)
        self._keep(want, image, facts)

    def _at_its_digest(self, want: model.Assignment, image: str) -> ImageFacts | None:
        """The image of this name that the build was made of before, when it is here still."""
        digest = want.digests.get(image)
        if digest is None:
            return None
        try:
            facts = self._shelf.found(image, _login(want, image)[0]) or self._engine.image(image)
        except errors.ImageNotFound:
            return None
        return facts if facts.digest == digest else None

    def _fetch(self, want: model.Assignment, image: str, progress: Callable[[str], None]) -> None:
        """Have an image of Glance, which is the same data for as long as it has its name here: none is fetched twice."""
        grant = granted(want, image)
        facts: ImageFacts | None
        try:
            facts = self._engine.image(local_name(grant))
        except errors.ImageNotFound:
            facts = self._pulls.ask(want.uuid, local_name(grant), grant, progress)
        if facts is None:
            raise InProgress
        self._keep(want, image, facts)

    def _keep(self, want: model.Assignment, image: str, facts: ImageFacts) -> None:
        entry = ImageEntry(build=want.build, digest=facts.digest, image_id=facts.image_id)
        self._journal.resolved(want.uuid, image, entry)
        self._observer.image(want.uuid, image, present=True)

    def _create(self, want: model.Assignment, uuid: str) -> None:
        spec = _spec(want, uuid)
        self._observer.stepping(Verb.CREATE, uuid, want.uuid)
        first = want.spec.containers[0].uuid
        joins = uuid != first and spec in want.spec.containers
        try:
            image, image_id = self._image_for(want, spec.image)
            with self._processors.chosen(spec) as processors:
                self._engine.create(
                    Creation(
                        pod=want.uuid,
                        build=want.build,
                        spec=spec,
                        image=image,
                        image_id=image_id,
                        hostname=None if joins else want.spec.hostname,
                        binds=self._binds(want, spec),
                        processors=processors,
                        **self._networks.of_container(want, spec),
                    )
                )
        except errors.ImageNotFound as error:
            if spec.pull_policy is PullPolicy.NEVER:
                raise errors.ImageNotFound(
                    f"Image {spec.image} is not on this host and its pull policy is never; pull it there or change the policy."
                ) from error
            self._observer.image(want.uuid, spec.image, present=False)
            raise Replan(error) from error
        entry = self._journal.container(want.uuid, uuid)
        self._journal.note(dataclasses.replace(entry, build=want.build, intent_run=0, intent_started_at=None))

    def _image_for(self, want: model.Assignment, image: str) -> tuple[str, str | None]:
        """The name to make a container of, and the id where it must be a certain one of those that lie here."""
        if of_glance(want, image):
            return local_name(granted(want, image)), None
        check_name(image)
        entry = self._journal.image(want.uuid, image, want.build)
        if entry:
            return image, entry.image_id
        digest = want.digests.get(image)
        name = _at_digest(image, digest) if digest else image
        facts = self._shelf.own(want.project_id, image) or self._at_its_digest(want, image)
        facts = facts or self._shelf.found(name, _login(want, image)[0])
        return name, facts.image_id if facts else None

    def _binds(self, want: model.Assignment, spec: model.ContainerSpec) -> tuple[Bind, ...]:
        names = {grant.uuid: self._place(grant) for grant in want.volumes}
        binds = []
        for place, mount in enumerate(spec.mounts):
            if mount.kind == "file":
                source = str(self._files.path(want.uuid, spec.uuid, place))
            elif mount.volume in names:
                source = names[mount.volume]
            else:
                raise errors.Invalid(
                    f"The volume for {mount.destination} was not granted to this host; create it again."
                )
            binds.append(Bind(source=source, destination=mount.destination, read_only=mount.read_only))
        return tuple(binds)

    def _start(self, want: model.Assignment, uuid: str) -> None:
        entry = self._journal.container(want.uuid, uuid)
        before = None
        if entry.run or entry.intent_run:
            # Only a container that ran before can have been started by somebody else since we looked.
            facts = self._observer.facts(uuid)
            before = facts.started_at if facts else None
        entry = dataclasses.replace(
            entry, intent_run=want.run, intent_started_at=before, build=want.build, boot=self._observer.boot
        )
        self._journal.intend(entry)
        self._observer.stepping(Verb.START, uuid, want.uuid)
        self._engine.start(uuid)
        self._journal.note(dataclasses.replace(entry, run=want.run))

    def _stop(self, want: model.Assignment, uuid: str) -> None:
        self._observer.stepping(Verb.STOP, uuid, want.uuid)
        self._engine.stop(uuid, timeout_s=want.stop_timeout_s, signal=want.stop_signal)

    def _pause(self, want: model.Assignment, uuid: str) -> None:
        if not isinstance(self._engine, CanPause):
            raise errors.Unsupported(
                f"The engine {self._engine.name} on this host cannot pause; stop the container instead."
            )
        self._observer.stepping(Verb.PAUSE, uuid, want.uuid)
        self._engine.pause(uuid)

    def _unpause(self, want: model.Assignment, uuid: str) -> None:
        if not isinstance(self._engine, CanPause):
            raise errors.Unsupported(
                f"The engine {self._engine.name} on this host cannot unpause; restart the container."
            )
        self._observer.stepping(Verb.UNPAUSE, uuid, want.uuid)
        self._engine.unpause(uuid)

    def _resize(self, want: model.Assignment, uuid: str) -> None:
        if not isinstance(self._engine, CanResize):
            raise errors.Unsupported(
                f"The engine {self._engine.name} on this host cannot change limits in place; rebuild the container."
            )
        spec = _spec(want, uuid)
        self._observer.stepping(Verb.RESIZE, uuid, want.uuid)
        self._engine.resize(uuid, cpus=spec.cpus, memory_mib=spec.memory_mib)

    def _remove(self, want: model.Assignment, uuid: str) -> None:
        if want.desired is not Desired.DELETED:
            self._journal.flush()  # what only the container itself proves (that its run began) must not go with it
        self._observer.stepping(Verb.REMOVE, uuid, want.uuid)
        self._engine.remove(uuid)
        self._observer.removed(uuid)

    def _create_volume(self, want: model.Assignment, name: str) -> None:
        grant = next(grant for grant in want.volumes if grant.name == name)
        volume.create(self._engine, want.uuid, grant)
        self._observer.volume(name, present=True)

    def _remove_volume(self, want: model.Assignment, name: str) -> None:
        volume.remove(self._engine, name)
        self._observer.volume(name, present=False)

    def _place(self, grant: model.VolumeGrant) -> str:
        return str(self._block_volumes().path(grant.name)) if grant.driver == "cinder" else grant.name

    def _attach(self, want: model.Assignment, name: str) -> None:
        grant = next(grant for grant in want.volumes if grant.name == name)
        self._block_volumes().attach(want.uuid, grant)

    def _detach(self, want: model.Assignment, name: str) -> None:
        grant = next((grant for grant in want.volumes if grant.name == name), None)
        self._block_volumes().detach(want.uuid, name, grant)

    def _block_volumes(self) -> BlockVolumes:
        if self._blocks is None:
            raise errors.Unsupported("This host is not set up to attach volumes of Cinder; tell the operator.")
        return self._blocks

    def _write_files(self, want: model.Assignment, uuid: str) -> None:
        self._files.write(want.uuid, _spec(want, uuid))

    def _remove_files(self, want: model.Assignment, pod: str) -> None:
        self._files.remove(pod)


def _spec(want: model.Assignment, uuid: str) -> model.ContainerSpec:
    return next(spec for spec in members(want) if spec.uuid == uuid)


def of_glance(want: model.Assignment, image: str) -> bool:
    """Whether an image of the pod comes from Glance."""
    return any(spec.image == image and spec.image_driver == "glance" for spec in members(want))


def granted(want: model.Assignment, image: str) -> model.ImageGrant:
    """The leave to fetch an image of Glance; ``Invalid`` without one."""
    grant = want.images.get(image)
    if grant is None:
        raise errors.Invalid(f"The image {image} of Glance was not granted to this host; rebuild the container.")
    return grant


def _at_digest(image: str, digest: str) -> str:
    """``registry:5000/name:tag`` and a digest -> ``registry:5000/name@digest``."""
    name = image.split("@", 1)[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.split(':', 1)[0]}@{digest}"


def _login(want: model.Assignment, image: str) -> tuple[str, model.RegistryLogin | None]:
    """The login to the registry that the image names, and to no other: the domain of a record may have changed since the spec was written.

    With the uuid of its record; that is empty where nobody needs one to get the image so.
    """
    domain = parse(image).domain
    for spec in members(want):
        login = want.registries.get(spec.registry or "") if spec.image == image else None
        if login and same_registry(domain, login.domain):
            return (spec.registry or "" if login.username else ""), login
    return "", None
