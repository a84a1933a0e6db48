"""Provisioning's planner: printed plans, and that any crash between steps is made good by planning again."""

from __future__ import annotations

from hypothesis import given, strategies

from higgins.provision.plan import Have, Want, plan


def want(kind: str, key: str) -> Want:
    return Want(kind=kind, key=key, why="the pod needs it")


def printed(wants: list[Want], have: list[Have]) -> list[str]:
    return [str(step) for step in plan(wants, have)]


def test_what_is_new_is_made_in_order() -> None:
    assert printed([want("port", "a"), want("volume", "b")], []) == [
        "make port a: the pod needs it",
        "make volume b: the pod needs it",
    ]


def test_what_is_there_is_left_alone() -> None:
    assert printed([want("port", "a")], [Have(kind="port", key="a")]) == []


def test_what_was_never_confirmed_is_asked_for_again() -> None:
    assert printed([want("port", "a")], [Have(kind="port", key="a", made=False)]) == [
        "make port a: the pod needs it; it was asked for before, without an answer"
    ]


def test_what_nothing_needs_is_taken_back_the_last_first_before_anything_is_made() -> None:
    have = [Have(kind="port", key="a", external_id="A"), Have(kind="volume", key="b", made=False)]
    steps = plan([want("port", "c")], have)
    assert [str(step) for step in steps] == [
        "take_back volume b: nothing needs it any more",
        "take_back port a: nothing needs it any more",
        "make port c: the pod needs it",
    ]
    assert [step.external_id for step in steps] == [None, "A", None]


_things = strategies.tuples(strategies.sampled_from(["port", "volume"]), strategies.sampled_from("abcd"))


@given(
    wanted=strategies.lists(_things, unique=True),
    had=strategies.dictionaries(_things, strategies.booleans()),
    crashes=strategies.lists(strategies.integers(0, 5), max_size=4),
    half=strategies.booleans(),
)
def test_any_crash_is_made_good(
    wanted: list[tuple[str, str]], had: dict[tuple[str, str], bool], crashes: list[int], half: bool
) -> None:
    """The oracle keeps the ledger and the outside apart and knows nothing of the planner's reasons."""
    ledger, outside = dict(had), {thing for thing, made in had.items() if made}
    wants = [want(*thing) for thing in wanted]
    for stop_after in [*crashes, 1000]:
        for done, step in enumerate(plan(wants, [Have(kind=k, key=i, made=m) for (k, i), m in ledger.items()])):
            thing, dies = (step.kind, step.key), done == stop_after
            if step.verb == "make":
                ledger.setdefault(thing, False)
                if not dies or half:
                    outside.add(thing)
                if not dies:
                    ledger[thing] = True
            else:
                if not dies or half:
                    outside.discard(thing)
                if not dies:
                    del ledger[thing]
            assert outside <= set(ledger)
            if dies:
                break
    assert outside == set(ledger) == set(wanted)
    assert all(ledger.values())
