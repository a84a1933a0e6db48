"""Bad days of a cloud: a service or the database is away, quotas end, and things go that containers stand on. Nothing is lost or left over."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import threading
import uuid

import pytest
import sqlalchemy as sa

from higgins.cloud.cinder import open_cinder
from higgins.cloud.session import Account, Session
from tests.cloud.cloud_world import PATIENCE_S
from tests.cloud.faults import leftovers
from tests.cloud.faults.board import Fault
from tests.cloud.faults.life import WAIT_S, Lane, Life
from tests.cloud.faults.proxy import Pipe
from tests.cloud.faults.site import site_of
from tests.whole import until

ALL = bool(os.environ.get("HIGGINS_ALL_FAULTS"))
AWAY_S = 30.0 if ALL else 8.0
ASKED_AFTER = ("block-storage", "image", "placement")
"""Of the services those that may as well be away together, when there is no time for each."""
AT_ONCE = 20
KEYSTONE = "http://127.0.0.1:5000/v3"
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def running_site(cloud):
    """On a database of MariaDB, by way of a pipe that can be cut."""
    pipe, name = Pipe(3306), f"faults_{uuid.uuid4().hex[:10]}"
    password = (cloud.place / "secret" / "higgins").read_text().strip()
    server = sa.create_engine(f"mysql+pymysql://root@localhost/?unix_socket={cloud.place}/run/mysql.sock")
    with server.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        connection.exec_driver_sql(f"GRANT ALL ON {name}.* TO 'higgins'@'127.0.0.1'")
    url = f"mysql+pymysql://higgins:{password}@127.0.0.1:{pipe.port}/{name}?charset=utf8mb4"
    try:
        with site_of(cloud, database=url) as site:
            site.pipe = pipe
            yield site
    finally:
        pipe.stop()
        with server.begin() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")
            connection.exec_driver_sql(f"REVOKE ALL ON {name}.* FROM 'higgins'@'127.0.0.1'")
        server.dispose()


@pytest.fixture
def site(running_site):
    """The service, and the promise of every test: when all containers are deleted, nothing is left of them anywhere."""
    words: set[str] = set()
    with running_site.board.watching(words):
        yield running_site
        lane = Lane(running_site)
        left = lane.ask("GET", "/v1/containers").json["containers"]
        words |= {one["uuid"] for one in left}
        for one in left:
            lane.delete(one["uuid"])
        for one in left:
            lane.gone(one["uuid"])
    running_site.tenant.allow(network=-1, volume=-1)
    things = leftovers.of(running_site)
    assert leftovers.mentioned(things, words) == [], running_site.logs()
    assert leftovers.project(things) == [], running_site.logs()


@pytest.fixture
def lane(site):
    return Lane(site)


@contextlib.contextmanager
def away(site, what):
    with contextlib.ExitStack() as stack:
        for one in what:
            stack.enter_context((site.pipe if one == "database" else site.proxies[one]).away())
        yield


def bodies(site, lane):
    """Of four containers one has a volume of a size and an exposed port, and one an image that no host has."""
    return [
        lane.body(
            volume=number % 4 == 0, exposed=number % 4 == 0, image=site.tenant.new_image() if number % 4 == 1 else None
        )
        for number in range(AT_ONCE)
    ]


def runs(shown):
    assert [one["status_reason"] for one in shown if one["status"] != "Running"] == []


@pytest.mark.parametrize(
    "what",
    [("identity",), ("network",), ("database",), *([(one,) for one in ASKED_AFTER] if ALL else [ASKED_AFTER])],
    ids=" ".join,
)
def test_a_service_that_is_away_while_containers_come_and_go_delays_them(site, lane, what):
    first, second = bodies(site, lane), bodies(site, lane)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        old = list(threads.map(lane.create, first))
        runs([lane.ended(each) for each in old])
        back = threading.Event()
        with away(site, what):
            deleting = [threads.submit(lane.delete, each) for each in old[: AT_ONCE // 2]]
            creating = [threads.submit(lane.create, body) for body in second[: AT_ONCE // 2]]
            back.wait(AWAY_S / 2)
            deleting += [threads.submit(lane.delete, each) for each in old[AT_ONCE // 2 :]]
            creating += [threads.submit(lane.create, body) for body in second[AT_ONCE // 2 :]]
            back.wait(AWAY_S / 2)
        new = [one.result(WAIT_S + 30) for one in creating]
        assert [one.result(WAIT_S + 30) for one in deleting] == [None] * AT_ONCE
    for each in old:
        lane.gone(each)
    runs([lane.ended(each) for each in new])


def test_no_port_more_than_the_quota(site, lane):
    site.tenant.allow(network=0)
    shown = lane.ended(lane.create(lane.body()))
    assert shown["status"] == "Error"
    assert "Neutron" in shown["status_reason"]
    assert "quota" in shown["status_reason"].lower()


def test_no_volume_more_than_the_quota(site, lane):
    site.tenant.allow(volume=0)
    said = lane.ask("POST", "/v1/containers?run=true", lane.body())
    told = said.fault if said.status >= 400 else lane.ended(said.json["uuid"])["status_reason"]
    assert "Cinder" in told
    assert "quota" in told.lower()


def test_an_image_that_is_deleted_while_a_container_of_it_starts(site, lane):
    image = site.tenant.new_image()
    fault = Fault(site="controller: image GET /v2/images/{id}/file", answer="hang", lasts_s=60, words={image})
    with site.board.armed(fault):
        made = lane.create(lane.body(image=image, volume=False))
        until(lambda: fault.hits, "the image is being downloaded")
        site.tenant.openstack.image.delete_image(image)
    shown = lane.ended(made)
    assert shown["status"] == "Error"
    assert "Glance" in shown["status_reason"]


def test_a_subnet_that_is_full(site, lane):
    network = site.tenant.new_network("10.78.0.0/30")
    first, second = (lane.ended(lane.create(lane.body(network=network, volume=False))) for _ in range(2))
    assert (first["status"], second["status"]) == ("Running", "Error")
    assert "Neutron" in second["status_reason"]
    assert "address" in second["status_reason"].lower()


def test_a_port_that_goes_behind_our_back(site, lane):
    """The container lives on without it, can be restarted or says why not, and its end is complete."""
    made = lane.create(lane.body(volume=False))
    addresses = lane.ended(made)["addresses"]
    port = next(iter(addresses.values()))[0]["port"]
    site.tenant.cloud.admin.network.delete_port(port)
    lane.act(made, "stop")
    assert lane.ended(made)["status"] in ("Stopped", "Error")
    lane.act(made, "start")
    shown = lane.ended(made)
    assert shown["status"] == "Running" or "Neutron" in (shown["status_reason"] or ""), shown


@pytest.fixture
def cinder(running_site):
    """Cinder itself, asked by another service."""
    words = running_site.account | {"auth_url": KEYSTONE}
    named = {name: words[name] for name in ("auth_url", "username", "password")}
    return open_cinder(Session(Account(**named, timeout_s=PATIENCE_S)))


def test_an_attachment_that_goes_behind_our_back(site, lane, cinder):
    made = lane.create(lane.body())
    assert lane.ended(made)["status"] == "Running"
    attached = cinder.attachments(server=made)
    assert len(attached) == 1
    cinder.detach(attached[0].id)


@pytest.fixture
def no_back_end(site):
    """Cinder answers, and its scheduler knows of no back end for new volumes, as for a minute or two after its restart; called, of one again."""
    storage = site.tenant.cloud.admin.block_storage
    [kind] = [one for one in storage.types() if one.name == "loop"]
    with contextlib.ExitStack() as stack:
        stack.callback(storage.update_type_extra_specs, kind, **kind.extra_specs)
        storage.update_type_extra_specs(kind, volume_backend_name="of-nobody")
        yield stack.close


@pytest.mark.usefixtures("alone")
def test_a_volume_for_which_cinder_has_no_place_for_a_while(site, lane, no_back_end):
    made = lane.create(lane.body())
    told = "Cinder found no back end that could make a volume of 1 GiB. It is asked for another one."
    until(lambda: lane.ask("GET", f"/v1/containers/{made}").json["status_reason"] == told, "the user is told")
    no_back_end()
    assert lane.ended(made)["status"] == "Running"


def test_a_volume_that_is_in_use_elsewhere(site, lane, cinder):
    storage = site.tenant.openstack.block_storage
    volume = storage.create_volume(size=1, name=f"used-{uuid.uuid4().hex[:6]}")
    until(lambda: storage.get_volume(volume.id).status == "available", "the volume is there")
    server, connector = str(uuid.uuid4()), {"host": "elsewhere", "ip": "127.0.0.2", "initiator": "iqn.elsewhere"}
    attached = cinder.attach(volume.id, server=server, connector=connector, mode="rw", mark="/dev/vdb")
    cinder.complete(attached.id)
    try:
        body = lane.body(volume=False) | {"mounts": [{"source": volume.id, "destination": "/data"}]}
        said = lane.ask("POST", "/v1/containers?run=true", body)
        told = said.fault if said.status >= 400 else lane.ended(said.json["uuid"])["status_reason"]
        assert f"The volume {volume.id} is in" in told
    finally:
        cinder.detach(attached.id)
        until(lambda: storage.get_volume(volume.id).status == "available", "the volume is free")
        storage.delete_volume(volume.id)
        until(lambda: storage.find_volume(volume.id, ignore_missing=True) is None, "the volume is gone")


def test_a_token_that_is_revoked_after_its_create_was_accepted(site, lane):
    fault = Fault(site="controller: network POST /v2.0/ports", answer="slow", words=set(), pending=True)
    with site.board.armed(fault):
        made = lane.create(lane.body())
        keystone = site.tenant.cloud.admin.identity
        assert keystone.delete("/auth/tokens", headers={"X-Subject-Token": lane.token}).status_code == 204
        site.board.about(fault, made)
        refused = lane.ask("GET", f"/v1/containers/{made}")
        assert refused.status == 401
    lane.token = site.tenant.token()
    assert lane.ended(made)["status"] == "Running"


def test_our_own_token_ends_in_the_middle_of_many_wishes(site, lane):
    """Each service refuses it once; Higgins logs in anew, and nobody notices."""
    lives = [
        Life(f"controller: {one}", "401") for one in ("network POST /v2.0/ports", "placement PUT /allocations/{id}")
    ]
    with contextlib.ExitStack() as stack:
        faults = [stack.enter_context(site.board.armed(Fault(site=life.site, answer="401"))) for life in lives]
        made = [lane.create(lane.body(volume=False, exposed=False))]
        until(lambda: faults[1].hits, "room is asked for; that of several at once is asked for in another way")
        made += [lane.create(lane.body(volume=False, exposed=False)) for _ in range(2)]
        assert {lane.ended(each)["status"] for each in made} == {"Running"}
    assert [fault.hits for fault in faults] == [1, 1]
