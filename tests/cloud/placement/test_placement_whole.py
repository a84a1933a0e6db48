"""A user's container through the whole service: its room at Placement comes, grows and goes with it."""

from __future__ import annotations

import pytest

from higgins.cloud.placement import MICROVERSION, Placement
from higgins.cloud.session import Session
from tests.cloud.cloud_world import Cloud, People, until

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_users_container_takes_room_grows_and_leaves(cloud: Cloud, people: People, session: Session) -> None:
    placement = Placement(session.service("placement", "Placement", microversion=MICROVERSION))
    member = people.api("member")
    with member.container(memory="64", cpu=0.5) as made:
        found = placement.allocation(made["uuid"])
        assert found is not None
        [(provider, taken)] = found.amounts.items()
        assert taken == {"VCPU": 1, "MEMORY_MB": 64}
        assert (found.consumer_type, found.project_id) == ("CONTAINER", people.project_ids[0])
        host = placement.provider(provider)
        assert host is not None
        shown = people.api("admin")("GET", f"/containers/{made['uuid']}").body
        assert host.name.endswith(f":{shown['host']}")
        changed = member("PATCH", f"/containers/{made['uuid']}", {"memory": "128", "cpu": 1.5})
        assert changed.status == 200, changed.body

        def has_grown() -> bool:
            now = placement.allocation(made["uuid"])
            return now is not None and now.amounts == {provider: {"VCPU": 2, "MEMORY_MB": 128}}

        until("the allocation to be the new size", has_grown)
        until("the host to hold it", lambda: member("GET", f"/containers/{made['uuid']}").body["task_state"] is None)
    assert placement.allocation(made["uuid"]) is None
