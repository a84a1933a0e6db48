"""What was asked of a container and what its host did about it, step by step; also of one that is gone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from higgins.control.means import Means
from higgins.core import names
from higgins.core.caller import Caller, Scope
from higgins.core.errors import NotFound
from higgins.store import actions, pods
from higgins.store.actions import Action
from higgins.store.page import Page
from higgins.store.records import events
from higgins.store.records.events import Event
from higgins.store.session import Transaction

_RULE = "container:actions"


class Actions:
    """``ident`` names a container, or is the uuid of one that is gone."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def list(self, caller: Caller, ident: str) -> Sequence[Action]:
        """Its actions, newest first."""
        scope = self._means.policy.scope(caller, _RULE, ident=ident)
        with self._means.db.read() as tx:
            return actions.list(tx, self._found(tx, caller, ident, scope)[0], scope)

    def get(self, caller: Caller, ident: str, request_id: str) -> tuple[Action, Sequence[Event]]:
        """One action and its steps, oldest first; ``NotFound`` (code ``resource-not-found``)."""
        scope = self._means.policy.scope(caller, _RULE, ident=ident)
        with self._means.db.read() as tx:
            uuid, _ = self._found(tx, caller, ident, scope)
            try:
                action = actions.get(tx, uuid, request_id, scope)
            except NotFound as error:
                raise NotFound(error.message, code="resource-not-found") from error
            return action, self._shown(caller, action.project_id, events.list(tx, uuid, request_id=request_id))

    def events(self, caller: Caller, ident: str, *, limit: int | None = None) -> Sequence[Event]:
        """All of its steps (or the last ``limit``), oldest first, whatever action they belong to."""
        scope = self._means.policy.scope(caller, _RULE, ident=ident)
        with self._means.db.read() as tx:
            uuid, project_id = self._found(tx, caller, ident, scope)
            return self._shown(caller, project_id, events.list(tx, uuid, limit=limit))

    def _shown(self, caller: Caller, project_id: str, steps: Sequence[Event]) -> Sequence[Event]:
        """The steps, with what they failed with only for those who may see it (rule ``container:action:events``)."""
        if self._means.policy.allows(caller, "container:action:events", project_id):
            return steps
        return [dataclasses.replace(step, detail="") if step.result == "Error" else step for step in steps]

    def _found(self, tx: Transaction, caller: Caller, ident: str, scope: Scope) -> tuple[str, str]:
        """Uuid and project of a container that this caller may ask about; of one that is gone its actions are left and vouch for it."""
        left = actions.list(tx, ident, scope, Page(limit=1)) if names.is_uuid(ident) else ()
        one = (left[0].pod_uuid, left[0].project_id) if left else None
        if one is None:
            pod = pods.get(tx, ident, scope)
            one = (pod.uuid, pod.project_id)
        self._means.policy.require(caller, _RULE, one[1])
        return one
