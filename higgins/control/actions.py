"""What was asked of a container and what its host did about it, step by step; also of one that is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from higgins.core.caller import Caller
from higgins.core.model import StepEvent

if TYPE_CHECKING:
    from higgins.store.actions import Action


class Actions:
    """``ident`` names a container, or is the uuid of one that is gone."""

    def list(self, caller: Caller, ident: str) -> Sequence[Action]:
        """Its actions, newest first."""
        raise NotImplementedError

    def get(self, caller: Caller, ident: str, request_id: str) -> tuple[Action, Sequence[StepEvent]]:
        """One action and its steps, oldest first; ``NotFound`` (code ``resource-not-found``)."""
        raise NotImplementedError

    def events(self, caller: Caller, ident: str) -> Sequence[StepEvent]:
        """All of its steps, oldest first, whatever action they belong to."""
        raise NotImplementedError

    def may_see_traces(self, caller: Caller) -> bool:
        """Whether the caller sees what steps failed with (rule ``container:action:events``)."""
        raise NotImplementedError
