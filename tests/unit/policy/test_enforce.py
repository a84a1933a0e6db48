"""Every rule for every persona, against oslo.policy itself; scopes; the operator's file."""

from __future__ import annotations

import pathlib

import pytest
from oslo_config import cfg
from oslo_policy import policy as oslo

from higgins.core.caller import Scope
from higgins.core.errors import Forbidden, Invalid
from higgins.policy import rules
from higgins.policy.enforce import LOOK_EVERY_S, Policy
from higgins.policy.personas import ALLOWED, OTHER_PROJECT, PERSONAS, PROJECT, Persona

WORDS = {
    "context_is_admin",
    "service_api",
    "project_manager",
    "project_member",
    "project_reader",
    "reader_or_service",
}
RULES = [rule for rule in rules.list_rules() if rule.name not in WORDS]


def persona(name: str) -> Persona:
    return next(one for one in PERSONAS if one.name == name)


@pytest.fixture(scope="module")
def stock() -> oslo.Enforcer:
    enforcer = oslo.Enforcer(cfg.ConfigOpts(), use_conf=False)
    enforcer.register_defaults(rules.list_rules())
    enforcer.set_rules(oslo.Rules({rule.name: rule.check for rule in rules.list_rules()}), use_conf=False)
    return enforcer


@pytest.mark.parametrize("who", PERSONAS, ids=lambda who: who.name)
def test_every_rule_for_every_persona(who: Persona, stock: oslo.Enforcer) -> None:
    policy = Policy()
    caller = who.caller()
    wrong = []
    for rule in RULES:
        allowed = policy.allows(caller, rule.name, PROJECT)
        if allowed != (who.name in ALLOWED[rule.check_str]):
            wrong.append((rule.name, allowed))
        creds = {"user_id": caller.user_id, "project_id": caller.project_id, "roles": list(caller.roles)}
        if allowed != stock.enforce(rule.name, {"project_id": PROJECT}, creds):
            wrong.append((rule.name, "oslo.policy says otherwise"))
    assert wrong == []
    assert len(RULES) > 70


def test_nobody_gets_privileged_containers_and_unknown_rules_allow_nothing() -> None:
    policy = Policy()
    assert not any(policy.allows(who.caller(), "container:create:privileged", PROJECT) for who in PERSONAS)
    assert not any(policy.allows(who.caller(), "container:no_such_rule", PROJECT) for who in PERSONAS)


def test_a_refusal_names_the_rule() -> None:
    with pytest.raises(Forbidden, match=r"Policy doesn't allow container:create to be performed\."):
        Policy().require(persona("reader").caller(), "container:create")


def test_scopes() -> None:
    policy, uuid = Policy(), "f2b1c1de-6a7e-4a8b-9a54-0b2f1d2c3e4f"
    member, admin, service = (persona(name).caller() for name in ("member", "admin", "service"))
    assert policy.scope(member, "container:get_one", ident=uuid) == Scope(PROJECT)
    assert policy.scope(admin, "container:get_one", ident=uuid) == Scope(None)
    assert policy.scope(admin, "container:stop", ident=uuid) == Scope(None)
    assert policy.scope(admin, "container:stop", ident="web") == Scope(PROJECT)
    assert policy.scope(admin, "container:get_all", all_projects=True) == Scope(None)
    with pytest.raises(Forbidden):
        policy.scope(service, "container:get_all", all_projects=True)
    assert policy.scope(persona("other_member").caller(), "container:get_one", ident=uuid) == Scope(OTHER_PROJECT)
    with pytest.raises(Forbidden, match="container:get_all_all_projects"):
        policy.scope(member, "container:get_all", all_projects=True)
    with pytest.raises(Forbidden, match="container:stop"):
        policy.scope(persona("reader").caller(), "container:stop", ident=uuid)


def test_a_file_replaces_rules_and_is_read_again_when_it_changes(tmp_path: pathlib.Path) -> None:
    now = [100.0]
    file = tmp_path / "policy.yaml"
    file.write_text("container:create: role:builder\n")
    policy = Policy(str(file), clock=lambda: now[0])
    member = persona("member").caller()
    assert not policy.allows(member, "container:create")
    assert policy.allows(member, "container:start")

    file.write_text("container:create: rule:project_member and not role:banned\n'container:start': '!'\n")
    assert not policy.allows(member, "container:create"), "looked at too often"
    now[0] += LOOK_EVERY_S
    assert policy.allows(member, "container:create")
    assert not policy.allows(member, "container:start")

    file.write_text("- broken\n")
    now[0] += LOOK_EVERY_S
    assert policy.allows(member, "container:create"), "a broken file leaves the rules as they were"

    file.unlink()
    now[0] += LOOK_EVERY_S
    assert policy.allows(member, "container:create"), "a lost file leaves the rules as they were"


def test_a_broken_file_stops_the_start(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("a: [b")
    with pytest.raises(Invalid, match="cannot be read"):
        Policy(str(file))
    with pytest.raises(Invalid, match="cannot be read"):
        Policy(str(tmp_path / "missing.yaml"))


@pytest.mark.parametrize(
    ("check", "allowed"),
    [
        ("user_id:user-member", True),
        ("user_id:%(user_id)s", True),
        ("user_id:somebody", False),
        (f"project_id:{PROJECT}", True),
        ("is_admin:True", False),
        ("is_admin:False", True),
        ("True:True", True),
        ("'member':%(project_id)s", False),
        ("rule:missing", False),
        ("rule:circle", False),
        ("not rule:circle", True),
        ("@", True),
        ("", True),
        ("!", False),
        ("((broken", False),
    ],
)
def test_checks_of_all_kinds(check: str, allowed: bool, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(f"circle: 'rule:round'\nround: 'rule:circle'\ntried: \"{check}\"\n")
    assert Policy(str(file)).allows(persona("member").caller(), "tried") is allowed
