"""Provisioning's planner: printed plans, and that any crash between steps is made good by planning again."""

from __future__ import annotations

from hypothesis import given, strategies

from higgins.provision.plan import Have, Step, Want, plan, take_back


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


def test_what_was_made_in_another_shape_is_asked_for_again() -> None:
    have = [Have(kind="port", key="a", shape="one group", external_id="A")]
    wants = [Want(kind="port", key="a", why="the pod needs it", shape="two groups")]
    assert [str(step) for step in plan(wants, have)] == ["make port a: the pod needs it; it is to be changed"]
    assert [(step.shape, step.external_id) for step in plan(wants, have)] == [("two groups", "A")]


def test_what_nothing_needs_is_released_and_taken_back_once_the_host_has_left_it() -> None:
    have = [Have(kind="port", key="a", external_id="A"), Have(kind="volume", key="b", made=False)]
    steps = plan([want("port", "c")], have)
    assert [str(step) for step in steps] == [
        "release volume b: nothing needs it any more",
        "release port a: nothing needs it any more",
        "make port c: the pod needs it",
    ]
    released = [Have(kind="port", key="a", released_at=3), Have(kind="port", key="b")]
    assert printed([want("port", "b")], released) == []
    assert take_back(released, observed=2) == []
    assert [step.key for step in take_back(released, observed=3)] == ["a"]
    assert printed([want("port", "a"), want("port", "b")], released) == [
        "make port a: the pod needs it; it is wanted again"
    ]


def test_of_a_pod_that_is_over_all_is_taken_back_the_last_first() -> None:
    have = [Have(kind="port", key="a", external_id="A"), Have(kind="volume", key="b", made=False)]
    steps = take_back(have, observed=None)
    assert [str(step) for step in steps] == [
        "take_back volume b: nothing needs it any more",
        "take_back port a: nothing needs it any more",
    ]
    assert [step.external_id for step in steps] == [None, "A"]


_things = strategies.tuples(strategies.sampled_from(["port", "volume"]), strategies.sampled_from("abcd"))


class World:
    """Keeps the ledger and the outside apart, and knows nothing of the planner's reasons."""

    def __init__(self, had: dict[tuple[str, str], bool]) -> None:
        self.ledger, self.released = dict(had), set[tuple[str, str]]()
        self.outside = {thing for thing, made in had.items() if made}

    def have(self) -> list[Have]:
        return [
            Have(kind=kind, key=key, made=made, released_at=1 if (kind, key) in self.released else None)
            for (kind, key), made in self.ledger.items()
        ]

    def do(self, step: Step, *, asked: bool, noted: bool) -> None:
        """Do a step; a crash leaves it not ``noted``, or not even ``asked``."""
        thing = (step.kind, step.key)
        if step.verb == "release":
            self.released |= {thing} if noted else set()
        elif step.verb == "make":
            self.ledger[thing] = noted
            self.released.discard(thing)
            self.outside |= {thing} if asked else set()
        else:
            self.outside -= {thing} if asked else set()
            if noted:
                del self.ledger[thing]


@given(
    wanted=strategies.lists(_things, unique=True),
    had=strategies.dictionaries(_things, strategies.booleans()),
    crashes=strategies.lists(strategies.integers(0, 5), max_size=4),
    half=strategies.booleans(),
)
def test_any_crash_is_made_good(
    wanted: list[tuple[str, str]], had: dict[tuple[str, str], bool], crashes: list[int], half: bool
) -> None:
    world = World(had)
    wants = [want(*thing) for thing in wanted]
    for stop_after in [*crashes, 1000]:
        for planned in (lambda: plan(wants, world.have()), lambda: take_back(world.have(), observed=1)):
            for done, step in enumerate(planned()):
                dies = done == stop_after
                world.do(step, asked=half or not dies, noted=not dies)
                assert world.outside <= set(world.ledger)
                if dies:
                    break
    assert world.outside == set(world.ledger) == set(wanted)
    assert all(world.ledger.values())
