"""Which volumes of Cinder may be attached: each state, who else has it and where, and what the user is told otherwise."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from higgins.cloud.cinder import Cinder, Use, Volume
from higgins.control.container import mounts
from higgins.core import errors, model
from higgins.provision import attachments
from higgins.store.records import volumes

FREE = Volume(id="v", name="data", status="available", size_gib=1, project_id="p")
OURS = "higgins/installation"
HERE = ("here", OURS)


def used(*, host: str = "here", mark: str = OURS, multiattach: bool = False, **changes: Any) -> Volume:
    use = Use(attachment="a", server="somebody", host=host, mark=mark)
    return dataclasses.replace(FREE, status="in-use", multiattach=multiattach, uses=(use,), **changes)


@pytest.mark.parametrize(
    ("volume", "mode", "theirs"),
    [
        (FREE, "rw", ""),
        (FREE, "ro", ""),
        (used(multiattach=True), "rw", "rw"),
        (used(multiattach=True), "ro", "rw"),
        (used(multiattach=True, host="there"), "ro", "ro"),
        (used(multiattach=True, mark="/dev/vdb"), "ro", "ro"),
    ],
)
def test_it_may_be_attached(volume: Volume, mode: str, theirs: str) -> None:
    attachments.check_free(volume, HERE, mode, lambda _use: theirs)


@pytest.mark.parametrize(
    ("volume", "mode", "theirs", "words"),
    [
        (used(), "rw", "ro", "in use by somebody. Detach it there"),
        (used(multiattach=True, host="there"), "rw", "rw", "on another host. Its file system would break"),
        (used(multiattach=True, host="there"), "rw", "ro", "on another host. Its file system would break"),
        (used(multiattach=True, host="there"), "ro", "rw", "on another host. Its file system would break"),
        (used(multiattach=True, mark="/dev/vdb"), "ro", "rw", "on another host. Its file system would break"),
        (used(multiattach=True, mark="/dev/vdb"), "rw", "ro", "on another host. Its file system would break"),
        (dataclasses.replace(FREE, encrypted=True), "rw", "", "is encrypted"),
        (dataclasses.replace(FREE, status="error_restoring"), "rw", "", "in the state error_restoring"),
    ],
)
def test_it_never_may_and_why(volume: Volume, mode: str, theirs: str, words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        attachments.check_free(volume, HERE, mode, lambda _use: theirs)


@pytest.mark.parametrize("status", ["creating", "reserved", "attaching", "detaching", "downloading", "maintenance"])
def test_what_passes_is_waited_for(status: str) -> None:
    with pytest.raises(errors.NotReady, match=f"in the state {status}"):
        attachments.check_free(dataclasses.replace(FREE, status=status), HERE, "rw", lambda _use: "")


@pytest.mark.parametrize(
    ("volume", "code"),
    [
        (used(), "volume-in-use"),
        (dataclasses.replace(FREE, status="creating"), "volume-not-usable"),
        (dataclasses.replace(FREE, encrypted=True), "volume-not-usable"),
    ],
)
def test_a_request_is_refused_at_once(volume: Volume, code: str) -> None:
    mounts._check_usable(FREE)
    mounts._check_usable(used(multiattach=True))
    with pytest.raises(errors.Invalid) as refused:
        mounts._check_usable(volume)
    assert refused.value.code == code


def test_a_volume_that_any_mount_writes_is_attached_for_writing() -> None:
    def mount(*, read_only: bool) -> model.Mount:
        return model.Mount(destination="/d", driver="cinder", volume="v", read_only=read_only)

    def spec(*read_only: bool) -> model.PodSpec:
        mounted = tuple(mount(read_only=one) for one in read_only)
        return model.PodSpec(containers=(model.ContainerSpec(uuid="c", name="c", image="i", mounts=mounted),))

    for given, mode in (((True,), True), ((True, True), True), ((True, False), False), ((False, True), False)):
        assert volumes.of_cinder(spec(*given))["v"].read_only is mode


class Answers:
    """Cinder's API as far as a test says; the call that it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, []

    def call(self, method: str, path: str, **given: Any) -> Any:
        self.asked.append((method, path, given))
        return self.answer


def test_what_is_sent_and_read() -> None:
    own = Answers({"attachment": {"id": "a", "volume_id": "v", "instance": "c", "status": "reserved"}})
    cinder = Cinder(own, lambda _project: own)
    made = cinder.attach("v", server="c", connector={"host": "h"}, mode="ro", mark="higgins/i")
    assert (made.id, made.server, dict(made.connection)) == ("a", "c", {})
    [(method, path, given)] = own.asked
    assert (method, path) == ("POST", "/attachments")
    assert given["body"] == {
        "attachment": {
            "volume_uuid": "v",
            "instance_uuid": "c",
            "mode": "ro",
            "connector": {"host": "h", "mode": "ro", "mountpoint": "higgins/i"},
        }
    }
    secret = dataclasses.replace(made, connection={"auth_password": "canary"})
    assert "canary" not in repr(secret)
    assert "canary" not in repr(model.VolumeGrant(uuid="v", name="v", connection="canary"))
