"""Images in the hosts' caches: pulled and dropped by wish. Knows no registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from higgins.core.caller import Caller
from higgins.core.phase import PullPolicy

if TYPE_CHECKING:
    from higgins.store.images import Image
    from higgins.store.session import Page


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    """One answer of a search."""

    name: str
    description: str = ""
    is_official: bool = False
    star_count: int = 0


class Images:
    """Wishes about images on a host."""

    def pull(
        self, caller: Caller, *, repo: str, host: str, tag: str | None = None, pull_policy: PullPolicy | None = None
    ) -> Image:
        """Wish an image on a host; ``Invalid`` for an unknown host or an ill-formed name. ``repo`` may carry its tag."""
        raise NotImplementedError

    def list(self, caller: Caller, *, page: Page) -> Sequence[Image]:
        """One page of the images wished."""
        raise NotImplementedError

    def get(self, caller: Caller, ident: str) -> Image:
        """One, by uuid, repo or repo:tag; ``NotFound`` (code ``image-not-found``)."""
        raise NotImplementedError

    def delete(self, caller: Caller, ident: str) -> None:
        """Wish it off its host."""
        raise NotImplementedError

    def search(
        self, caller: Caller, name: str, *, image_driver: str | None = None, exact_match: bool = False
    ) -> Sequence[FoundImage]:
        """Images of that name which hosts of this installation are known to have; ``Invalid`` for a driver not enabled here."""
        raise NotImplementedError
