"""The real ``higgins-manage audit`` finds each kind of planted orphan, ``--repair`` puts it right, and what is others' or under way stays.

Everything is planted at once, so that the command runs a few times only; each kind is judged by itself.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import uuid

import pytest

from higgins.agent.hands.network import kernel
from higgins.engine.load import open_engine
from higgins.store import actions
from tests.cloud.audit.orphanage import PODMAN, Orphanage
from tests.cloud.audit.plants import CONTAINERS, KINDS, Grounds
from tests.cloud.faults import leftovers
from tests.cloud.faults.board import Fault
from tests.cloud.faults.site import TIMEOUT_S, site_of
from tests.whole import until

pytestmark = pytest.mark.timeout(420)
CLEAN_S = 90.0
PATIENT_S = 60
"""The command asks a service once, and one that is merely slow must not spoil all that hangs on its answer."""
PROMISE, DONE = "  (--repair puts it right)", "  (put right)"
TOLD = "planted orphans"
"""The property of a test's report that is a line of the table at the end of the run."""


@pytest.fixture(scope="module")
def world(cloud):
    label = str(uuid.uuid4())
    options = {
        "engine": {"name": "podman", "address": PODMAN + label},
        # What hosts and controllers do by themselves, a little later, an audit is to do now.
        "agent": {"orphan_grace_s": 3600},
        "housekeeping": {"sweep_s": 0},
        "keystone": {"timeout_s": PATIENT_S},
    }
    with site_of(cloud, options=options) as site:
        made = Orphanage(site, label)
        try:
            yield made
        finally:
            made.close()


@dataclasses.dataclass
class Audited:
    """What was planted, and the command's exit statuses and lines: before, without and with ``--repair``, and at last."""

    planted: dict
    looked: tuple
    touched: list
    repaired: tuple
    at_last: tuple
    others: dict
    keeper: tuple


@pytest.fixture(scope="module")
def audited(world):
    pods = containers(world)
    until(lambda: world.audit()[0] == 0, "nothing is wrong before", CLEAN_S)
    before = state_of(world, pods["keeper"])
    grounds = Grounds(world, pods, lost=str(uuid.uuid4()), lent=world.volume())
    world.site.stop("agent")  # what one knows in memory the next one has to find
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        of_theirs = threads.submit(of_others, world, pods["keeper"])
        planted = dict(zip(KINDS, threads.map(lambda plant: plant(grounds), KINDS.values()), strict=True))
        others = of_theirs.result()
    world.restart_agent()
    looked = until(lambda: answered(world.audit()), "the agent answers", CLEAN_S)
    touched = [name for name, one in planted.items() if one.by_hand is None and one.mended()]
    repaired = world.audit("--repair")
    for one in planted.values():
        if one.by_hand is not None:
            one.by_hand()
    found = [(1, [])]
    until(lambda: found.append(world.audit()) or found[-1][0] == 0, "an audit that finds nothing", CLEAN_S)
    return Audited(planted, looked, touched, repaired, found[-1], others, (before, state_of(world, pods["keeper"])))


def answered(result):
    """An audit of which the host was part."""
    return None if any(one.startswith("host ") for one in result[1]) else result


def containers(world):
    """One for each name, all of them running; two have a volume."""
    mounts = {"mounts": [{"size": "1", "destination": "/data"}]}
    wishes = [mounts if name in ("keeper", "attachment") else {} for name in CONTAINERS]
    with concurrent.futures.ThreadPoolExecutor(len(CONTAINERS)) as threads:
        pods = list(threads.map(lambda more: world.wish(**more), wishes))
        shown = list(threads.map(world.lane.ended, pods))
    assert {one["status"] for one in shown} == {"Running"}, [one["status_reason"] for one in shown]
    return dict(zip(CONTAINERS, pods, strict=True))


def state_of(world, pod):
    """All that a container has, inside and outside."""
    noted = world.rows("SELECT kind, key, external_id, made_at FROM ledger WHERE pod_uuid = :pod ORDER BY id", pod=pod)
    return noted, world.engine.inspect(pod)


def of_others(world, keeper):
    """By what it is: the id of something that looks like ours and is not, or is under way, and whether it is still there."""
    other, nobody = str(uuid.uuid4()), str(uuid.uuid4())
    used, reserved = world.volume(), world.volume()
    found = {
        "port": (world.port(nobody, installed=other), world.has_port),
        "user's port": (world.user.network.create_port(network_id=world.tenant.networks[0]).id, world.has_port),
        "group": (world.group(nobody, installed=other), world.has_group),
        "volume": (world.volume(nobody, installed=other), world.status),
        "volume restored from a backup": (world.volume(world.remembered(), copy_of=str(uuid.uuid4())), world.status),
        "attachment": (world.attached(used, nobody, installed=other), world.has_attachment),
        "unfinished attachment": (world.attached(reserved, nobody, complete=False), world.has_attachment),
        "half image": (world.half_image(nobody, installed=other), world.has_image),
        "image of a commit that goes on": (world.half_image(keeper), world.has_image),
        "allocation": (nobody, world.taken),
        "container": (nobody, functools.partial(has_container, open_engine("podman", PODMAN + other))),
        "namespace": (world.namespace(nobody, mark="00000000"), kernel.has_namespace),
    }
    world.take(nobody, {"VCPU": 1}, kind="INSTANCE")
    world.container(nobody, open_engine("podman", PODMAN + other))
    with world.db.write() as tx:
        actions.start(tx, keeper, world.tenant.project.id, "user", "req-commit", "commit", None)
    world.undo.callback(open_engine("podman", PODMAN + other).remove, nobody)
    world.undo.callback(kernel.remove_namespace, found["namespace"][0])
    world.undo.callback(world.placement.give_back, nobody)
    return found


def has_container(engine, pod):
    """Whether that installation has it."""
    return pod in {one.uuid for one in engine.list()}


def line(lines, begins):
    """The one line that begins so."""
    found = [one for one in lines if one.startswith(begins)]
    assert len(found) == 1, f"{begins!r} is told {len(found)} times in:\n" + "\n".join(lines)
    return found[0]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_found_put_right_and_not_found_again(audited, kind, record_property):
    one = audited.planted[kind]
    found = line(audited.looked[1], one.begins)
    told = line(audited.repaired[1], one.begins)
    until(one.mended, f"{kind} is put right", CLEAN_S) if one.by_hand is None else None
    clean = not any(each.startswith(one.begins) for each in audited.at_last[1])
    how = "by hand" if one.by_hand else "yes" if told.endswith(DONE) else "no"
    record_property(TOLD, f"{kind:45} found, put right: {how:8} clean afterwards: {'yes' if clean else 'no'}")
    assert found.endswith("by hand" if one.by_hand else PROMISE)
    assert told.removesuffix(DONE) == found.removesuffix(PROMISE)
    assert told.endswith(DONE) or one.by_hand
    assert clean


def test_looking_alone_changes_nothing_and_what_is_left_to_do_is_told(audited):
    assert audited.touched == []
    assert [status for status, _ in (audited.looked, audited.repaired, audited.at_last)] == [1, 1, 0]
    assert audited.looked[1][-1] == f"{len(KINDS)} findings, 0 put right."
    assert audited.repaired[1][-1].endswith(f"{len(KINDS) - 1} put right.")
    print("\n".join(["$ higgins-manage audit", *audited.looked[1], "$ higgins-manage audit --repair", *audited.repaired[1],
                     "$ higgins-manage audit", *audited.at_last[1]]))  # fmt: skip


def test_what_is_others_or_under_way_is_neither_told_nor_touched(audited):
    lines = "\n".join(audited.looked[1] + audited.repaired[1])
    assert {name for name, (ident, _) in audited.others.items() if ident in lines} == set()
    assert {name for name, (ident, is_there) in audited.others.items() if not is_there(ident)} == set()


def test_a_container_of_which_nothing_is_wrong_runs_on_with_all_it_has(audited):
    before, after = audited.keeper
    assert before == after
    assert {kind for kind, *_ in after[0]} == {
        "allocation", "attachment", "cinder_volume", "image", "port", "security_group",
    }  # fmt: skip


@pytest.fixture(scope="module")
def sweeping(world, audited):
    """From here on the controller sweeps all the time, and soon gives a request up."""
    world.site.options |= {"housekeeping": {"sweep_s": 1}, "keystone": {"timeout_s": TIMEOUT_S}}
    world.site.configure()
    world.site.stop("controller")
    world.site.start("controller")


def has_taken_away(world, kind, said):
    """Whether the controller's log tells that such a thing is gone; what failed to go is told in the same words."""
    lines = world.site.log("controller", 10**7).splitlines()
    return any(f"Taken away: {kind} " in one and said in one for one in lines)


@pytest.mark.usefixtures("sweeping")
def test_what_a_service_makes_after_it_was_given_up_goes_by_itself(world):
    late = Fault(site="controller: network POST /v2.0/ports", answer="slow", slow_s=300)
    with world.site.board.armed(late):
        pod = world.wish(exposed_ports={})  # whose group would be gone, and the port then refused
        until(lambda: late.hits, "Neutron is asked for a port")
        world.lane.delete(pod)
        world.lane.gone(pod)
        assert world.neutron.ports(device_id=pod) == []
    said = f"Neutron has it for the container {pod}, but nothing needs it"
    until(lambda: has_taken_away(world, "port", said), "the port that came late is taken away", CLEAN_S)
    assert world.neutron.ports(device_id=pod) == []


@pytest.mark.usefixtures("sweeping")
def test_the_controller_takes_away_by_itself_only_what_it_knows_to_be_of_nobody(world):
    world.site.options["keystone"] = {"timeout_s": PATIENT_S}
    world.site.configure()
    world.site.stop("controller")  # it would take them away while they are being made
    held, used = world.volume(), world.volume()
    left = {
        "port": (world.port(world.remembered()), world.has_port),
        "group": (world.group(world.remembered()), world.has_group),
        "volume": (world.volume(world.remembered()), world.status),
        "unfinished": (world.attached(held, world.remembered(), complete=False), world.has_attachment),
        "attachment": (world.attached(used, world.remembered()), world.has_attachment),
        "image": (world.half_image(world.remembered()), world.has_image),
        "allocation": (world.remembered(), world.taken),
    }
    world.take(left["allocation"][0], {"VCPU": 1})
    restored = world.volume(world.remembered(), copy_of=str(uuid.uuid4()))
    nobodys = world.port(str(uuid.uuid4()))
    world.site.start("controller")
    user = world.wish(mounts=[{"source": restored, "destination": "/data"}])
    assert world.lane.ended(user)["status"] == "Running"
    until(
        lambda: not [name for name, (ident, is_there) in left.items() if is_there(ident)], "all of it is gone", CLEAN_S
    )
    assert {world.status(one) for one in (held, used)} == {"available"}
    assert world.has_port(nobodys), "what nobody remembers is left to an operator"
    assert world.has_attachment(world.external(user, "attachment")), "what a user restored is his"
    world.lane.delete(user)
    world.lane.gone(user)
    assert world.status(restored) == "available"
    assert world.audit("--repair")[1][0].startswith(f"port {nobodys}: ")


def test_when_all_containers_are_deleted_nothing_is_left(world, audited):
    listed = [one["uuid"] for one in world.lane.ask("GET", "/v1/containers").json["containers"]]
    assert len(listed) == len(CONTAINERS)
    world.tenant.openstack.image.delete_image(audited.others["image of a commit that goes on"][0])
    for pod in listed:
        world.lane.delete(pod)
    for pod in listed:
        world.lane.gone(pod)
    assert leftovers.mentioned(leftovers.of(world.site), listed) == []
    assert [facts.uuid for facts in world.engine.list()] == []
