"""A 404 to a delete may come of a gateway on the way: it is believed only when the service does not list the thing any more."""

from __future__ import annotations

import uuid

import pytest

from higgins.cloud.cinder import Cinder
from higgins.cloud.placement import Placement
from higgins.core import errors

THING, POD = str(uuid.uuid4()), str(uuid.uuid4())


class Denying:
    """A service that knows nothing of what it is to delete, and tells what it has."""

    def __init__(self, told):
        self.told = told

    def call(self, method, path, **words):
        if method == "DELETE":
            raise errors.NotFound("The service answered 404.")
        return self.told


def allocations(amounts):
    return {
        "allocations": amounts,
        "project_id": "p",
        "user_id": "u",
        "consumer_type": "CONTAINER",
        "consumer_generation": 1,
    }


def test_what_placement_still_lists_is_not_forgotten():
    with pytest.raises(errors.Unavailable, match="Placement"):
        Placement(Denying(allocations({THING: {"resources": {"VCPU": 1}}}))).give_back(POD)
    assert Placement(Denying({"allocations": {}})).give_back(POD) is None


def test_an_attachment_that_cinder_still_lists_is_not_forgotten():
    def cinder(*idents):
        told = [{"id": ident, "volume_id": THING, "instance": POD, "status": "attached"} for ident in idents]
        return Cinder(Denying({"attachments": told}), lambda project: Denying({}))

    with pytest.raises(errors.Unavailable, match="Cinder"):
        cinder(THING).detach(THING, server=POD)
    assert cinder(str(uuid.uuid4())).detach(THING, server=POD) is None
