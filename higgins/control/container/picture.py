"""Which image a user means by a name: of Glance it is looked up with his own token, so that he gets what he may see and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from higgins.cloud.glance import DOCKER, Glance, Image, Leave
from higgins.control.means import Means
from higgins.core import names
from higgins.core.caller import Caller
from higgins.core.errors import Conflict, ImageNotFound, Invalid
from higgins.core.model import ImageGrant

GLANCE = "glance"


def of_glance(means: Means, driver: str | None) -> bool:
    """Whether an image is Glance's by this driver, or without one by the installation's first."""
    return (driver or means.settings.image_drivers[0]) == GLANCE


def find(
    means: Means, caller: Caller, image: str, driver: str | None, *, project: str | None = None
) -> ImageGrant | None:
    """The image of Glance that is meant; ``None`` where the driver (or, without one, the installation's first) is another.

    ``project`` is the one that the container is of, the caller's own unless another is named: what the name means to that one counts,
    whatever else an administrator's eyes see.
    ``ImageNotFound`` (400), ``Conflict`` when several are called so, ``Invalid`` for one that no container can be made of.
    """
    if not of_glance(means, driver):
        return None
    glance = port(means, caller)
    found = _named(glance, caller, image, project or caller.project_id)
    _check(found, image)
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


def _named(glance: Glance, caller: Caller, image: str, project: str) -> Image:
    """By uuid, by name, or, for a name and a tag with a colon between them, by both: so does a commit name what it makes."""
    if names.is_uuid(image):
        found = [glance.get(image, token=caller.token)]
        usable, offered = _usable(glance, found, project)
    elif '"' in image or len(image) > names.NAME_MAX:
        raise ImageNotFound("Glance has no image of that name. Use the image's uuid instead.")
    else:
        usable, offered = _usable(glance, glance.list(token=caller.token, name=image), project)
        name, colon, tag = image.rpartition(":")
        if not usable and colon:
            tagged = [one for one in glance.list(token=caller.token, name=name) if tag in one.tags]
            usable, offered = _usable(glance, tagged, project)
    if not usable:
        raise _not_usable(image, offered=offered)
    if len(usable) > 1:
        raise Conflict(f"Several images of Glance are called {image}. Use the image's uuid instead.")
    return usable[0]


def _usable(glance: Glance, found: Sequence[Image], project: str) -> tuple[Sequence[Image], bool]:
    """Those of the images that a project may use and nearest to it, and else whether it was offered one.

    What a container can be made of comes before what not, and then the project's own before others', as among networks.
    """
    fit = [one for one in found if one.container_format == DOCKER and one.is_active]
    offered = False
    for some in (fit, [one for one in found if one not in fit]):
        own = [one for one in some if one.owner == project]
        if own:
            return own, False
        leaves = [(one, glance.leave(one, project)) for one in some]
        given = [one for one, leave in leaves if leave is Leave.GIVEN]
        if given:
            return given, False
        offered = offered or any(leave is Leave.OFFERED for _, leave in leaves)
    return (), offered


def _not_usable(image: str, *, offered: bool) -> ImageNotFound:
    if offered:
        return ImageNotFound(
            f"The image {image} was offered to your project, which has not accepted it yet. Accept it first."
        )
    return ImageNotFound(
        f"Glance has no image {image} that this project may use. Name one that 'openstack image list' shows."
    )


def _check(found: Image, image: str) -> None:
    if found.container_format != DOCKER:
        raise Invalid(
            f"The image {image} has the container format {found.container_format or 'none'}, and a container needs docker: "
            "upload what 'docker save' writes, with --container-format docker."
        )
    if not found.is_active or not found.checksum:
        raise Invalid(f"The image {image} is {found.status} in Glance. Use it when it is active, or another.")


def search(means: Means, caller: Caller, name: str, *, exact_match: bool) -> Sequence[Image]:
    """The images for containers that the caller may see and whose name is, or has in it, ``name``."""
    filters = {"name": name} if exact_match else {}
    found = port(means, caller).list(token=caller.token, container_format=DOCKER, **filters)
    return [image for image in found if exact_match or name in image.name]
