"""What was asked of a container and what its host did about it, step by step; also of one that is gone."""

from __future__ import annotations

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
            return actions.list(tx, _uuid_of(tx, ident, scope), scope)

    def get(self, caller: Caller, ident: str, request_id: str) -> tuple[Action, Sequence[Event]]:
        """One action and its steps, oldest first; ``NotFound`` (code ``resource-not-found``)."""
        scope = self._means.policy.scope(caller, _RULE, ident=ident)
        with self._means.db.read() as tx:
            uuid = _uuid_of(tx, ident, scope)
            try:
                action = actions.get(tx, uuid, request_id, scope)
            except NotFound as error:
                raise NotFound(error.message, code="resource-not-found") from error
            return action, events.list(tx, uuid, request_id=request_id)

    def events(self, caller: Caller, ident: str, *, limit: int | None = None) -> Sequence[Event]:
        """All of its steps (or the last ``limit``), oldest first, whatever action they belong to."""
        scope = self._means.policy.scope(caller, _RULE, ident=ident)
        with self._means.db.read() as tx:
            return events.list(tx, _uuid_of(tx, ident, scope), limit=limit)

    def may_see_traces(self, caller: Caller) -> bool:
        """Whether the caller sees what steps failed with (rule ``container:action:events``)."""
        return self._means.policy.allows(caller, "container:action:events")


def _uuid_of(tx: Transaction, ident: str, scope: Scope) -> str:
    """The uuid of a container within the scope; of one that is gone its actions are left and vouch for it."""
    if names.is_uuid(ident) and actions.list(tx, ident, scope, Page(limit=1)):
        return ident
    return pods.get(tx, ident, scope).uuid
