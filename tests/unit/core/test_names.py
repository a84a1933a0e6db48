"""Container names, signals and image names, well-formed and not."""

from __future__ import annotations

import pytest

from higgins.core import names, reference
from higgins.core.errors import Invalid

DIGEST = "sha256:" + "0123456789abcdef" * 4


def test_default_names_are_valid_and_all_different() -> None:
    every = {names.default_name(number) for number in range(names.DEFAULT_NAMES)}
    assert len(every) == names.DEFAULT_NAMES
    assert all(names.is_container_name(name) for name in every)
    assert names.default_name(0) == "alpha-1-container" == names.default_name(names.DEFAULT_NAMES)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, "SIGKILL"),
        ("None", "SIGKILL"),
        ("", "SIGKILL"),
        ("9", "SIGKILL"),
        (9, "SIGKILL"),
        ("kill", "SIGKILL"),
        ("SIGHUP", "SIGHUP"),
        ("hup", "SIGHUP"),
        ("sigUsr1", "SIGUSR1"),
        ("15", "SIGTERM"),
        ("RTMIN+3", "SIGRTMIN+3"),
        ("37", "SIGRTMIN+3"),
        ("RTMIN", "SIGRTMIN"),
        ("0", None),
        ("65", None),
        ("-9", None),
        ("SIG", None),
        ("SIG9", None),
        ("RTMIN+99", None),
        ("KILL; rm", None),
        ("²", None),
    ],
)
def test_signals(given: str | int | None, name: str | None) -> None:
    assert names.signal_name(given) == name


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("ab", True),
        ("a", False),
        ("-ab", False),
        ("a b", False),
        ("a" * 255, True),
        ("a" * 256, False),
        ("ab\n", False),
        ("äb", False),
    ],
)
def test_container_names(text: str, fine: bool) -> None:
    assert names.is_container_name(text) is fine


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("11111111-1111-4111-8111-11111111111a", True),
        ("11111111-1111-4111-8111-11111111111A", True),
        ("1111111111114111811111111111111a", True),
        ("11111111-111141118111-11111111111a", False),
        ("1-1-1-1-1111111141118111111111111111", False),
        ("{1111111111114111811111111111111a}", False),
        ("11111111-1111-4111-8111-11111111111a\n", False),
        ("web", False),
    ],
)
def test_uuids(text: str, fine: bool) -> None:
    assert names.is_uuid(text) is fine


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("busybox", (None, "busybox", None, None)),
        ("busybox:1.36", (None, "busybox", "1.36", None)),
        ("library/nginx", (None, "library/nginx", None, None)),
        ("localhost/nginx", ("localhost", "nginx", None, None)),
        ("127.0.0.1:5000/team/nginx:1", ("127.0.0.1:5000", "team/nginx", "1", None)),
        ("[::1]:5000/nginx", ("[::1]:5000", "nginx", None, None)),
        (f"nginx@{DIGEST}", (None, "nginx", None, DIGEST)),
        (f"r.example/nginx:1@{DIGEST}", ("r.example", "nginx", "1", DIGEST)),
    ],
)
def test_references_are_taken_apart_and_put_together(text: str, parts: tuple[str | None, ...]) -> None:
    parsed = reference.parse(text)
    assert (parsed.domain, parsed.path, parsed.tag, parsed.digest) == parts
    assert str(parsed) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Busybox",
        "busybox:",
        "busybox:a b",
        "a//b",
        "/a",
        "a/",
        "nginx@sha256:12",
        "nginx@",
        "-a",
        "a b",
        "http://x/y",
        "x..y/z:",
        "a\n",
        "sha256:" + "a" * 64,
        "sha256:3f2a",
        "sha256",
        "a" * 64,
        "A1" * 32 + ":latest",
    ],
)
def test_ill_formed_references_are_refused_with_a_reason(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        reference.parse(text)
    assert caught.value.code == "invalid-image-name"


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("localhost", True),
        ("r.example:5000", True),
        ("127.0.0.1", True),
        ("docker", False),
        ("a/b.c", False),
        ("https://r.example", False),
        ("", False),
    ],
)
def test_domains(text: str, fine: bool) -> None:
    assert reference.is_domain(text) is fine


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("r.example:5000", "R.Example:5000", True),
        ("r.example:5000", "r.example", False),
        ("r.example", "r.example.evil.test", False),
        ("r.example", None, False),
        (None, "docker.io", True),
        ("index.docker.io", "registry-1.docker.io", True),
        ("docker.io", "quay.io", False),
    ],
)
def test_one_registry_or_two(one: str | None, other: str | None, same: bool) -> None:
    assert reference.same_registry(one, other) is same
    assert reference.same_registry(other, one) is same
