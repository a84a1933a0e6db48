"""The field tables' own rules, apart from any resource; and that views and tables agree."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies

from higgins.api.schema import types
from higgins.api.schema.table import Field, Table
from higgins.core import errors

INNER = Table(
    "an inner thing",
    (Field("a", types.whole(1, 5, "from 1 to 5"), required=True), Field("b", types.BOOL, since=(1, 3))),
)
THING = Table(
    "a thing",
    (
        Field("name", types.NAME, required=True),
        Field("size", types.number(0, 10, "a number from 0 to 10")),
        Field("old", types.text(), until=(1, 4)),
        Field("inner", types.one(INNER, "an object", dict), since=(1, 2)),
        Field("list", types.many(INNER, "a list", tuple), since=(1, 2)),
        Field("firm", types.text(), null=False),
    ),
)


def refusal(given, version=(1, 9)):
    with pytest.raises(errors.Invalid) as refused:
        THING.read(given, version)
    return refused.value


def test_values_come_out_typed_and_without_nulls():
    given = {"name": "ab", "size": "2.5", "inner": {"a": "3", "b": "off"}, "list": [{"a": 1}, {"a": 2}]}
    assert THING.read(given | {"old": None}, (1, 4)) == {
        "name": "ab",
        "size": 2.5,
        "inner": {"a": 3, "b": False},
        "list": ({"a": 1}, {"a": 2}),
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "A thing needs 'name'."),
        (
            {"name": "a"},
            "'name' must be a name of 2 to 255 letters, digits, '_', '.' and '-' that begins with a letter or digit.",
        ),
        ({"name": "ab", "size": 11}, "'size' must be a number from 0 to 10."),
        ({"name": "ab", "size": "11"}, "'size' must be a number from 0 to 10."),
        ({"name": "ab", "inner": {"a": 9}}, "inner: 'a' must be from 1 to 5."),
        ({"name": "ab", "inner": {"a": "9"}}, "'a' must be from 1 to 5."),
        ({"name": "ab", "inner": []}, "'inner' must be an object."),
        ({"name": "ab", "list": [{"a": 1}, {}]}, "list[1]: An inner thing needs 'a'."),
        ({"name": "ab", "list": [{"a": 1}, 5]}, "'list' must be a list."),
        (
            {"name": "ab", "list": [{"a": 1, "z": 1}]},
            "list[0]: Unknown parameters: 'z'. Known ones of an inner thing in 1.9: a, b.",
        ),
        ({"name": "ab", "firm": None}, "'firm' must be a string of 1 to 255 characters."),
        (
            {"name": "ab", "z": 1},
            "Unknown parameters: 'z'. Known ones of a thing in 1.9: firm, inner, list, name, size.",
        ),
    ],
)
def test_a_refusal_names_the_field_and_what_it_allows(given, message):
    refused = refusal(given)
    assert (refused.message, refused.code) == (message, "schema-validation-error")


@pytest.mark.parametrize(
    ("given", "version"),
    [
        ({"name": "ab", "inner": {"a": 1}}, (1, 1)),
        ({"name": "ab", "inner": {"a": 1, "b": True}}, (1, 2)),
        ({"name": "ab", "old": "x"}, (1, 5)),
    ],
)
def test_a_field_outside_its_versions_has_a_code_of_its_own(given, version):
    assert refusal(given, version).code == "invalid-param-in-version"


def test_null_for_a_field_outside_its_versions_says_nothing():
    assert THING.read({"name": "ab", "inner": None, "old": None}, (1, 1)) == {"name": "ab"}


def test_values_are_never_repeated_in_a_refusal():
    table = Table("a thing", (Field("password", types.text(1, 5)),))
    with pytest.raises(errors.Invalid) as refused:
        table.read({"password": "canary-canary"}, (1, 1))
    assert "canary" not in refused.value.message


json_values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(max_size=5),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def words_of(given, version):
    """What a table says to something given; empty when it takes it."""
    try:
        THING.read(given, version)
    except errors.Invalid as refused:
        return refused.message
    return ""


@hypothesis.settings(max_examples=100, derandomize=True, database=None)
@hypothesis.given(
    strategies.dictionaries(strategies.sampled_from([field.name for field in THING.fields] + ["z"]), json_values),
    strategies.integers(1, 41),
)
def test_whatever_is_given_is_read_or_refused_in_a_sentence(given, minor):
    words = words_of(given, (1, minor))
    assert not words or words.endswith(".")
