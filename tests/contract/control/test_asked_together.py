"""What a request means is asked of several services at the same time: each of these answers only once all have been asked."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from higgins.cloud.cinder import Cinder
from higgins.cloud.glance import Glance
from higgins.cloud.neutron import Neutron
from higgins.cloud.services import Services
from higgins.control import service
from higgins.control.means import Means
from higgins.control.requests import MountRequest, NewContainer
from higgins.control.settings import Settings
from higgins.core import errors
from higgins.core.caller import Caller
from higgins.policy.enforce import Policy
from higgins.store.records import installation
from higgins.store.seal import Sealer
from higgins.store.session import Database

NET, GROUP = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
IMAGE, VOLUME = "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"
CALLER = Caller(
    user_id="u", project_id="p", roles=frozenset({"member"}), request_id="req-1", token="token", user_name="", project_name=""
)  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/networks": {"networks": [{"id": NET, "name": "net", "project_id": "p", "created_at": "1"}]},
    "/security-groups": {"security_groups": [{"id": GROUP, "name": "web", "project_id": "p"}]},
    f"/v2/images/{IMAGE}": {
        "id": IMAGE, "name": "box", "status": "active", "visibility": "private", "owner": "p", "container_format": "docker",
        "checksum": "c", "os_hash_algo": "sha512", "os_hash_value": "v", "size": 1, "tags": [],
    },
}  # fmt: skip


class Cloud:
    """Answers every question, once as many as are expected are being asked."""

    def __init__(self, questions: int) -> None:
        self._all_here = threading.Barrier(questions, timeout=120)

    def call(self, method: str, path: str, **_words: Any) -> Any:
        self._all_here.wait()
        if path not in ANSWERS:
            raise errors.NotFound(f"There is no {path}.")
        return ANSWERS[path]


def containers(db: Database, sealer: Sealer, cloud: Cloud) -> Any:
    with db.write() as tx:
        own = installation.ensure(tx, sealer)
    service_of: Any = cloud
    services = Services(
        session=cast("Any", None),
        neutron=Neutron(cloud),
        glance=Glance(service_of),
        cinder=Cinder(service_of, lambda _project: service_of),
    )
    settings = Settings(image_drivers=("docker", "glance"), volume_drivers=("cinder",))
    means = Means(
        db=db,
        sealer=sealer,
        policy=Policy(),
        hint=lambda _host_id, *, straight=False: None,
        installation=own,
        settings=settings,
        services=services,
    )
    return service.build(means, cast("Any", None)).containers


def test_network_and_group_are_asked_for_at_the_same_time(db: Database, sealer: Sealer) -> None:
    made = containers(db, sealer, Cloud(2)).create(
        CALLER, NewContainer(image="busybox", security_groups=("web",)), run=True
    )
    assert (made.spec.networks[0].network, made.spec.security_groups) == (NET, (GROUP,))


def test_network_group_and_image_are_asked_for_at_the_same_time(db: Database, sealer: Sealer) -> None:
    new = NewContainer(image=IMAGE, image_driver="glance", security_groups=("web",))
    made = containers(db, sealer, Cloud(3)).create(CALLER, new, run=True)
    assert (made.spec.networks[0].network, made.spec.containers[0].image) == (NET, IMAGE)


def test_a_volume_too_and_its_refusal_is_the_answer(db: Database, sealer: Sealer) -> None:
    mount = MountRequest(destination="/data", source=VOLUME)
    new = NewContainer(image=IMAGE, image_driver="glance", security_groups=("web",), mounts=(mount,))
    with pytest.raises(errors.NotFound, match=VOLUME):
        containers(db, sealer, Cloud(4)).create(CALLER, new, run=True)
