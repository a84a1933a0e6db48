"""Turns oslo.policy's parsed checks into closures, because one stock ``enforce`` costs more than a whole request may.

Knows the checks that oslo.policy ships and that need nothing but the caller and the target's project; every other check (a plug-in,
``http:``, a path into the credentials) is asked of oslo.policy itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oslo_policy import _checks, policy

from higgins.core.caller import Caller

Allows = Callable[[Caller, str], bool]
"""Whether a caller may do this to something of the project named."""


def credentials(caller: Caller) -> dict[str, object]:
    """The caller as oslo.policy's own checks want him."""
    return {
        "user_id": caller.user_id,
        "project_id": caller.project_id,
        "roles": sorted(caller.roles),
        "is_admin": caller.is_admin,
        "request_id": caller.request_id,
    }


def compile_rules(rules: Mapping[str, _checks.BaseCheck], enforcer: policy.Enforcer) -> dict[str, Allows]:
    """A closure for each rule. A rule that names a missing one allows nothing there, and so does one that runs in a circle."""
    done: dict[str, Allows] = {}
    for name in rules:
        _rule(name, rules, enforcer, done, frozenset())
    return done


def _rule(
    name: str,
    rules: Mapping[str, _checks.BaseCheck],
    enforcer: policy.Enforcer,
    done: dict[str, Allows],
    above: frozenset[str],
) -> Allows:
    if name in done:
        return done[name]
    if name not in rules or name in above:
        return _never
    closure = _check(rules[name], lambda inner: _rule(inner, rules, enforcer, done, above | {name}), enforcer)
    if not above:
        done[name] = closure
    return closure


def _check(check: _checks.BaseCheck, rule: Callable[[str], Allows], enforcer: policy.Enforcer) -> Allows:
    match check:
        case _checks.TrueCheck():
            return _always
        case _checks.FalseCheck():
            return _never
        case _checks.RuleCheck():
            return rule(check.match)
        case _checks.NotCheck():
            inner = _check(check.rule, rule, enforcer)
            return lambda caller, project: not inner(caller, project)
        case _checks.AndCheck():
            all_of = [_check(part, rule, enforcer) for part in check.rules]
            return _all(all_of)
        case _checks.OrCheck():
            any_of = [_check(part, rule, enforcer) for part in check.rules]
            return _any(any_of)
        case _checks.Check() if (simple := _simple(check)) is not None:
            return simple
    return _foreign(check, enforcer)


def _all(parts: list[Allows]) -> Allows:
    def allows(caller: Caller, project: str) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs three times as much here
            if not part(caller, project):
                return False
        return True

    return allows


def _any(parts: list[Allows]) -> Allows:
    def allows(caller: Caller, project: str) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs three times as much here
            if part(caller, project):
                return True
        return False

    return allows


def _simple(check: _checks.Check) -> Allows | None:
    """The checks that read only what ``Caller`` has; ``None`` for any other."""
    kind, match = check.kind, check.match
    if isinstance(check, _checks.RoleCheck) and "%" not in match:
        role = match.lower()
        return lambda caller, project: role in caller.roles
    if type(check) is not _checks.GenericCheck:
        return None
    if match == "%(project_id)s" and kind == "project_id":
        return lambda caller, project: caller.project_id == project
    if "%" in match:
        return None
    if kind == "project_id":
        return lambda caller, project: caller.project_id == match
    if kind == "user_id":
        return lambda caller, project: caller.user_id == match
    if kind == "is_admin":
        return lambda caller, project: str(caller.is_admin) == match
    return None


def _foreign(check: _checks.BaseCheck, enforcer: policy.Enforcer) -> Allows:
    def allows(caller: Caller, project: str) -> bool:
        target = {"project_id": project, "user_id": caller.user_id}
        return bool(enforcer.enforce(check, target, credentials(caller)))

    return allows


def _always(caller: Caller, project: str) -> bool:
    return True


def _never(caller: Caller, project: str) -> bool:
    return False
