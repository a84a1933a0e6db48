"""Which image a user means by a name: of Glance it is looked up with his own token, so that he gets what he may see and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from higgins.cloud.glance import DOCKER, Glance, Image
from higgins.control.means import Means
from higgins.core import names
from higgins.core.caller import Caller
from higgins.core.errors import Conflict, ImageNotFound, Invalid
from higgins.core.model import ImageGrant

GLANCE = "glance"


def of_glance(means: Means, driver: str | None) -> bool:
    """Whether an image is Glance's by this driver, or without one by the installation's first."""
    return (driver or means.settings.image_drivers[0]) == GLANCE


def find(means: Means, caller: Caller, image: str, driver: str | None) -> ImageGrant | None:
    """The image of Glance that is meant; ``None`` where the driver (or, without one, the installation's first) is another.

    ``ImageNotFound`` (400), ``Conflict`` when several are called so, ``Invalid`` for one that no container can be made of.
    """
    if not of_glance(means, driver):
        return None
    glance = port(means, caller)
    found = _named(glance, caller, image)
    _check(glance, caller, found, image)
    return ImageGrant(
        uuid=found.uuid,
        algorithm=found.algorithm,
        checksum=found.checksum,
        size_bytes=found.size_bytes,
        name=image,
    )


def port(means: Means, caller: Caller) -> Glance:
    """Glance, to be asked with the caller's own token; ``Invalid`` where this installation, or the caller, has none."""
    if caller.token is None:
        raise Invalid("Images of Glance need a token of Keystone, so that it is known which of them you may see.")
    if means.services is None or means.services.glance is None:
        raise Invalid("This installation has no Glance. Use an image of a registry.")
    return means.services.glance


def _named(glance: Glance, caller: Caller, image: str) -> Image:
    """By uuid, by name, or, for a name and a tag with a colon between them, by both: so does a commit name what it makes."""
    if names.is_uuid(image):
        return glance.get(image, token=caller.token)
    if '"' in image or len(image) > names.NAME_MAX:
        raise ImageNotFound("Glance has no image of that name. Use the image's uuid instead.")
    found = glance.list(token=caller.token, name=image)
    name, colon, tag = image.rpartition(":")
    if not found and colon:
        found = [one for one in glance.list(token=caller.token, name=name) if tag in one.tags]
    usable = [one for one in found if one.container_format == DOCKER and one.is_active] or found
    if not usable:
        raise ImageNotFound(
            f"Glance has no image {image} that you may see. Name one that 'openstack image list' shows."
        )
    if len(usable) > 1:
        raise Conflict(f"Several images of Glance are called {image}. Use the image's uuid instead.")
    return usable[0]


def _check(glance: Glance, caller: Caller, found: Image, image: str) -> None:
    if found.container_format != DOCKER:
        raise Invalid(
            f"The image {image} has the container format {found.container_format or 'none'}, and a container needs docker: "
            "upload what 'docker save' writes, with --container-format docker."
        )
    if not found.is_active or not found.checksum:
        raise Invalid(f"The image {image} is {found.status} in Glance. Use it when it is active, or another.")
    if not glance.may_use(found, caller.project_id):
        raise ImageNotFound(
            f"The image {image} was offered to your project, which has not accepted it yet. Accept it first."
        )


def search(means: Means, caller: Caller, name: str, *, exact_match: bool) -> Sequence[Image]:
    """The images for containers that the caller may see and whose name is, or has in it, ``name``."""
    filters = {"name": name} if exact_match else {}
    found = port(means, caller).list(token=caller.token, container_format=DOCKER, **filters)
    return [image for image in found if exact_match or name in image.name]
