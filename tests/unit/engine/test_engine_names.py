"""Image names, engine addresses, opening by name, and where disk quotas are possible."""

from __future__ import annotations

import pytest

from higgins.core import errors
from higgins.engine import address, load, reference
from higgins.engine.dialect import quota

SHA = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1"),
        ("quay.io/x/y", "quay.io/x/y:latest"),
        (f"nginx@{SHA}", f"docker.io/library/nginx@{SHA}"),
        (f"nginx:1.25@{SHA}", f"docker.io/library/nginx@{SHA}"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
    ],
)
def test_a_short_name_means_what_docker_means(text, full):
    assert reference.parse(text).full == full


@pytest.mark.parametrize(
    "text", ["", "Nginx", "a b", "nginx:", "nginx:a b", "nginx@sha256:short", "/nginx", "a//b", "http://x/y", "x:y:z/a"]
)
def test_what_is_no_name_is_invalid(text):
    with pytest.raises(errors.Invalid):
        reference.parse(text)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("127.0.0.1:5000/a", True),
        ("localhost:5000/a", True),
        ("[::1]:5000/a", True),
        ("10.0.0.1/a", False),
        ("a", False),
    ],
)
def test_only_a_registry_on_this_machine_may_speak_plain_http(text, local):
    assert reference.parse(text).is_local is local


def test_an_address_has_a_path_and_an_installation():
    assert address.split("unix:///run/e.sock?installation=abc") == ("/run/e.sock", "abc")
    assert address.split("unix:///run/e.sock") == ("/run/e.sock", "")
    for wrong in ("tcp://127.0.0.1:2375", "/run/e.sock", "unix://relative"):
        with pytest.raises(errors.Invalid):
            address.split(wrong)


def test_engines_are_opened_by_name_without_a_call():
    assert load.known() == ("docker", "fake", "podman")
    for name in ("docker", "podman"):
        assert load.open_engine(name, "unix:///nowhere/e.sock").name == name
    with pytest.raises(errors.Invalid, match="docker, fake, podman"):
        load.open_engine("kubernetes", "unix:///nowhere/e.sock")


def test_podman_is_looked_for_first():
    assert [name for name, _ in load.candidates(1000, "/run/user/1000")][:2] == ["podman", "podman"]
    assert all(not path.startswith("/run/user") for _, path in load.candidates(0, "/run/user/0"))


@pytest.mark.parametrize(
    ("table", "possible"),
    [
        ("/dev/a / ext4 rw 0 0", False),
        ("/dev/a / ext4 rw 0 0\n/dev/b /var xfs rw,prjquota 0 0", True),
        ("/dev/a / xfs rw,pquota 0 0\n/dev/b /var ext4 rw 0 0", False),
        ("/dev/b /var xfs rw,noquota 0 0", False),
        ("/dev/b /va xfs rw,prjquota 0 0", False),
    ],
)
def test_a_disk_limit_needs_xfs_with_project_quotas(table, possible):
    assert quota.has_project_quota("/var/lib/docker", table) is possible
