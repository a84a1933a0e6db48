"""Answers whether a caller may do something, and whose rows he sees; rules come from ``rules`` and the operator's file."""

from __future__ import annotations

from higgins.core.caller import Caller, Scope


class Policy:
    """The rules in force, compiled; safe in all threads."""

    def __init__(self, policy_file: str | None = None) -> None:
        raise NotImplementedError

    def allows(self, caller: Caller, rule: str, target_project: str | None = None) -> bool:
        """Whether ``rule`` allows this; the target is the caller's own project unless another is named. Unknown rules allow nothing."""
        raise NotImplementedError

    def require(self, caller: Caller, rule: str, target_project: str | None = None) -> None:
        """Nothing, or ``Forbidden`` naming the rule."""
        raise NotImplementedError

    def scope(self, caller: Caller, rule: str, *, all_projects: bool = False, ident: str | None = None) -> Scope:
        """Whose rows the caller sees under ``rule``, which is checked too; the only place that decides this.

        ``all_projects`` needs ``<rule>_all_projects`` (``container:get_one_all_projects`` where there is none). An ``ident`` that is a
        uuid is looked up in all projects for callers who have that power.
        """
        raise NotImplementedError
