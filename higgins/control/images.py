"""Images in the hosts' caches: pulled and dropped by wish. Knows no registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from higgins.cloud.glance import Image as CloudImage
from higgins.control.container import limits, picture, shape
from higgins.control.means import Means
from higgins.core import names, reference
from higgins.core.caller import Caller, Scope
from higgins.core.errors import Conflict, Invalid, NotFound
from higgins.core.phase import PullPolicy
from higgins.store import hosts, pods
from higgins.store.page import Page
from higgins.store.records import images
from higgins.store.records.images import Image
from higgins.store.session import Transaction


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    """One answer of a search."""

    name: str
    description: str = ""
    is_official: bool = False
    star_count: int = 0


class Images:
    """Wishes about images on a host."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def pull(
        self, caller: Caller, *, repo: str, host: str, tag: str | None = None, pull_policy: PullPolicy | None = None
    ) -> Image:
        """Wish an image on a host; ``repo`` may carry its tag or digest.

        ``Invalid`` for an unknown host or an ill-formed name, ``Conflict`` when it is wished there already.
        """
        self._means.policy.require(caller, "image:pull")
        named = shape.parsed_name(repo)
        limits.check_registry(self._means.settings, named.domain)
        if tag and (named.tag or named.digest):
            raise Invalid(f"'{repo}' names its tag already. Leave the separate tag out.")
        if tag:
            named = reference.parse(f"{repo}:{tag}")
        wanted_tag = named.digest or named.tag or "latest"

        def work(tx: Transaction) -> Image:
            try:
                place = hosts.get(tx, host, hold=True)
            except NotFound as error:
                raise Invalid(f"The host {host} could not be found. Name one that 'host list' shows.") from error
            there = {"host_id": place.id, "repo": named.repo, "tag": wanted_tag}
            if images.list(tx, Scope(None), filters=there, page=Page(limit=1)):
                raise Conflict(
                    f"The image {named} is on {place.hostname} or on its way already. Delete it to pull it anew.",
                    code="image-already-exists",
                )
            return images.insert(
                tx,
                host_id=place.id,
                project_id=caller.project_id,
                repo=named.repo,
                tag=wanted_tag,
                pull_policy=pull_policy or PullPolicy.ALWAYS,
            )

        image = self._means.db.retrying(work)
        self._means.hint(image.host_id, straight=True)
        return image

    def list(self, caller: Caller, *, page: Page) -> Sequence[Image]:
        """One page of the images that the caller's project wished."""
        scope = self._means.policy.scope(caller, "image:get_all")
        with self._means.db.read() as tx:
            return images.list(tx, scope, page=page)

    def get(self, caller: Caller, ident: str) -> Image:
        """One, by uuid, repo or repo:tag; ``NotFound`` (code ``image-not-found``), ``Conflict`` when several hosts have it."""
        scope = self._means.policy.scope(caller, "image:get_one", ident=ident)
        with self._means.db.read() as tx:
            return _find(tx, ident, scope)

    def delete(self, caller: Caller, ident: str) -> None:
        """Wish it off its host."""
        scope = self._means.policy.scope(caller, "image:delete", ident=ident)

        def work(tx: Transaction) -> int:
            image = _find(tx, ident, scope)
            if image.wanted:
                images.unwant(tx, image)
            return image.host_id

        self._means.hint(self._means.db.retrying(work), straight=True)

    def search(
        self, caller: Caller, name: str, *, image_driver: str | None = None, exact_match: bool = False
    ) -> Sequence[FoundImage | CloudImage]:
        """Images of that name that hosts here were told to have, and those of the project's own containers; or those of Glance.

        No outside registry is asked. ``Invalid`` for a driver that is not enabled.
        """
        self._means.policy.require(caller, "image:search")
        limits.check_image_driver(self._means.settings, image_driver)
        if (image_driver or self._means.settings.image_drivers[0]) == picture.GLANCE:
            return picture.search(self._means, caller, name, exact_match=exact_match)
        with self._means.db.read() as tx:
            known = {image.repo for image in images.list(tx, Scope(None)) if image.phase == "ready"}
            of_pods = (pod.spec.containers[0] for pod in pods.list(tx, Scope(caller.project_id)))
            known |= {reference.parse(one.image).repo for one in of_pods if one.image_driver != picture.GLANCE}
        found = sorted(repo for repo in known if (repo == name if exact_match else name in repo))
        return [FoundImage(name=repo) for repo in found]


def _find(tx: Transaction, ident: str, scope: Scope) -> Image:
    if names.is_uuid(ident):
        return images.get(tx, ident, scope)
    try:
        named = reference.parse(ident)
    except Invalid:
        found = []
    else:
        tag = named.digest or named.tag
        filters = {"repo": named.repo} | ({"tag": tag} if tag else {})
        found = images.list(tx, scope, filters=filters, page=Page(limit=2))
    if not found:
        raise NotFound(f"The image {ident} could not be found.", code="image-not-found")
    if len(found) > 1:
        raise Conflict(f"Several images are called {ident}. Use the image's uuid instead.")
    return found[0]
