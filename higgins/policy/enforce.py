"""Answers whether a caller may do something, and whose rows he sees; rules come from ``rules`` and the operator's file.

Knows no HTTP and no store. The file is read again when it changed, looked at every few seconds at most.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from oslo_config import cfg
from oslo_policy import policy

from higgins.core.caller import Caller, Scope
from higgins.core.errors import Forbidden, Invalid
from higgins.core.names import is_uuid
from higgins.policy.compiled import Allows, compile_rules
from higgins.policy.rules import list_rules

LOG = logging.getLogger(__name__)

LOOK_EVERY_S = 3.0
_WIDE_RULE = "container:get_one_all_projects"


class Policy:
    """The rules in force, compiled; safe in all threads.

    ``policy_file`` is YAML (rule name: check); its rules replace the defaults of the same name. ``Invalid`` when it cannot be read at
    start; a file that breaks later leaves the rules as they were and is logged.
    """

    def __init__(self, policy_file: str | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = Path(policy_file) if policy_file else None
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._rules = self._load()
        self._look_at = clock() + LOOK_EVERY_S

    def allows(self, caller: Caller, rule: str, target_project: str | None = None) -> bool:
        """Whether ``rule`` allows this; the target is the caller's own project unless another is named. Unknown rules allow nothing."""
        if self._file is not None and self._clock() >= self._look_at:
            self._look()
        check = self._rules.get(rule)
        return check is not None and check(caller, caller.project_id if target_project is None else target_project)

    def require(self, caller: Caller, rule: str, target_project: str | None = None) -> None:
        """Nothing, or ``Forbidden`` naming the rule."""
        if not self.allows(caller, rule, target_project):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")

    def scope(self, caller: Caller, rule: str, *, all_projects: bool = False, ident: str | None = None) -> Scope:
        """Whose rows the caller sees under ``rule``, which is checked too; the only place that decides this.

        ``all_projects`` needs ``<rule>_all_projects`` (``container:get_one_all_projects`` where there is none). An ``ident`` that is a
        uuid is looked up in all projects for callers who have that power.
        """
        own = f"{rule}_all_projects"
        wide = own if own in self._rules else _WIDE_RULE
        if all_projects:
            self.require(caller, wide)
            self.require(caller, rule)
            return Scope(None)
        self.require(caller, rule)
        if ident is not None and is_uuid(ident) and self.allows(caller, wide):
            return Scope(None)
        return Scope(caller.project_id)

    def _stamp(self) -> tuple[int, int] | None:
        if self._file is None:
            return None
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def _look(self) -> None:
        with self._lock:
            if self._clock() < self._look_at:
                return
            self._look_at = self._clock() + LOOK_EVERY_S
            stamp = self._stamp()
            if stamp == self._seen:
                return
            self._seen = stamp
            try:
                self._rules = self._load()
            except Invalid as error:
                LOG.error("The rules stay as they were: %s", error.message)

    def _load(self) -> dict[str, Allows]:
        enforcer = policy.Enforcer(cfg.ConfigOpts(), use_conf=False)
        enforcer.register_defaults(list_rules())
        rules = {default.name: default.check for default in list_rules()}
        if self._file is not None:
            rules |= policy.Rules.from_dict(_read(self._file))
        enforcer.set_rules(policy.Rules(rules), overwrite=True, use_conf=False)
        return compile_rules(rules, enforcer)


def _read(file: Path) -> dict[str, str]:
    try:
        found = yaml.safe_load(file.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"The policy file {file} cannot be read ({error}). Make it YAML with one rule a line.") from error
    if not isinstance(found, dict) or not all(isinstance(rule, str) for pair in found.items() for rule in pair):
        raise Invalid(f"The policy file {file} must map names of rules to checks, both as text.")
    return found
