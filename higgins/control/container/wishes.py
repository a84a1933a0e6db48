"""The one way a wish on a container is written: policy, scope, state, guarded change and action in one transaction, then a hint.

Knows nothing of the single actions; ``containers`` and ``changes`` say what each of them changes.
"""

from __future__ import annotations

from collections.abc import Callable

from higgins.control.means import Means
from higgins.core import status
from higgins.core.caller import Caller
from higgins.core.errors import IllegalState
from higgins.core.phase import Desired, Wish
from higgins.policy.enforce import Policy
from higgins.store import actions, pods
from higgins.store.pods import Pod
from higgins.store.session import Transaction

Write = Callable[[Transaction, Pod], Pod]
"""Gives the pod as changed, or the very same object when there is nothing to wish."""


class Wishes:
    """Finds containers for callers and writes their wishes."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def find(self, caller: Caller, ident: str, rule: str, *, all_projects: bool = False) -> Pod:
        """See ``allowed``."""
        with self._means.db.read() as tx:
            return allowed(tx, self._means.policy, caller, ident, rule, all_projects=all_projects)

    def make(
        self,
        caller: Caller,
        ident: str,
        wish: Wish,
        write: Write,
        *,
        rule: str,
        action: status.Action | None = None,
        all_projects: bool = False,
    ) -> Pod:
        """Write a wish. Read anew and decided again when another writer was first, so that states are always judged as they are.

        ``action`` names the row of Zun's table that the status is checked against; none means that every status allows it.
        """

        def work(tx: Transaction) -> Pod:
            pod = allowed(tx, self._means.policy, caller, ident, rule, all_projects=all_projects)
            if action is not None:
                check(pod, action)
            changed = write(tx, pod)
            if changed is not pod:
                actions.start(
                    tx, pod.uuid, pod.project_id, caller.user_id, caller.request_id, wish, generation=changed.generation
                )
            return changed

        changed = self._means.db.retrying(work)
        self._means.hint(changed.host_id, straight=changed.desired is Desired.DELETED)
        return changed

    def simple(
        self,
        caller: Caller,
        ident: str,
        wish: Wish,
        action: status.Action,
        desired: Desired,
        *,
        new_run: bool = False,
        stop_timeout_s: int | None = None,
        stop_signal: str | None = None,
    ) -> Pod:
        """A wish that only changes what is desired; its policy rule is named like its action."""

        def write(tx: Transaction, pod: Pod) -> Pod:
            return pods.change(
                tx,
                pod,
                wish=wish,
                request_id=caller.request_id,
                desired=desired,
                new_run=new_run,
                stop_timeout_s=stop_timeout_s,
                stop_signal=stop_signal,
            )

        return self.make(caller, ident, wish, write, rule=f"container:{action}", action=action)


def allowed(
    tx: Transaction, policy: Policy, caller: Caller, ident: str, rule: str, *, all_projects: bool = False
) -> Pod:
    """The container, if ``rule`` lets the caller do this to it; ``Forbidden``, ``NotFound``, ``Conflict``."""
    pod = pods.get(tx, ident, policy.scope(caller, rule, all_projects=all_projects, ident=ident))
    policy.require(caller, rule, pod.project_id)
    return pod


def check(pod: Pod, action: status.Action) -> None:
    """``IllegalState`` unless the container's status allows this."""
    shown = status.derive(pod)
    if shown.status not in status.ALLOWED[action]:
        why = (
            f": {shown.reason}" if shown.reason and shown.status in (status.Status.UNKNOWN, status.Status.ERROR) else ""
        )
        raise IllegalState(f"Cannot {action} container {pod.uuid} in {shown.status} state{why}")
