"""What provisioning does about images of Glance: the leave for a host to fetch one, given anew for each build. Nothing of it stands outside.

Whether the image still is there, the same, and the project's to use is asked of Glance at each of its uses, with the service's own account.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import msgspec

from higgins.cloud.glance import Glance, Leave
from higgins.core import errors, model
from higgins.provision.kinds import Made, Task
from higgins.provision.plan import Want
from higgins.store.loops.ledger import KindName
from higgins.store.pods import Pod

_HEAD = 40


class Images:
    """The kind ``image``."""

    name = KindName.IMAGE
    stage = 0

    def __init__(self, glance: Glance) -> None:
        self._glance = glance

    def wanted_by(self, pod: Pod) -> Iterable[Want]:
        """Each image of Glance that a container of the pod is made of, once for each build."""
        for uuid, grant in _found_in(pod.spec).items():
            shape = f"{pod.build} {grant.checksum[:_HEAD]}"
            yield Want(kind=self.name, key=uuid, why="a container of the pod is made of it", shape=shape)

    def make(self, task: Task) -> Made:
        """Give leave; ``ImageNotFound`` for one that is gone, ``Invalid`` for one that is not what it was, or not the project's to use."""
        grant = _found_in(task.pod.spec)[task.key]
        try:
            image = self._glance.get(grant.uuid)
        except errors.ImageNotFound as error:
            raise errors.ImageNotFound(
                f"The image {grant.name} was deleted from Glance. Rebuild the container of another one."
            ) from error
        if not image.is_active:
            raise errors.Invalid(
                f"The image {grant.name} is {image.status} in Glance. Use it when it is active, or another."
            )
        if self._glance.leave(image, task.pod.project_id) is not Leave.GIVEN:
            raise errors.Invalid(f"The image {grant.name} is not shared with this project any more. Use another one.")
        if (image.algorithm, image.checksum) != (grant.algorithm, grant.checksum):
            raise errors.Invalid(
                f"The image {grant.name} has other data than when it was named. Rebuild the container of it."
            )
        return Made(external_id=grant.uuid, data=msgspec.json.encode(grant).decode())

    def take_back(self, task: Task) -> None:
        """Nothing: the host removes its copy when no container is made of it."""


def _found_in(spec: model.PodSpec) -> dict[str, model.ImageGrant]:
    every = (*spec.init_containers, *spec.containers)
    return {
        one.found_image.uuid: dataclasses.replace(one.found_image, name=one.image)
        for one in every
        if one.image_driver == "glance" and one.found_image is not None
    }
