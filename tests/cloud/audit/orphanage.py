"""A service whose real ``higgins-manage audit`` is run, its containers on the cloud's podman, and hands to plant what does not belong there.

It makes things as the service's own parts would, with the service's own account, and looks whether they are still there.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import uuid

import sqlalchemy as sa

from higgins.agent.hands.block import table
from higgins.agent.hands.block.brick import Brick
from higgins.agent.hands.block.volumes import BlockVolumes
from higgins.agent.hands.network import kernel, names
from higgins.cloud.cinder import open_cinder
from higgins.cloud.glance import Glance, NewImage
from higgins.cloud.neutron import Neutron, NewPort
from higgins.cloud.placement import Allocation, Placement
from higgins.cloud.session import Account, Session
from higgins.control.container.commit import CONTAINER, INSTALLATION
from higgins.core import errors, model, resources
from higgins.engine import api
from higgins.engine.load import open_engine
from higgins.provision import attachments, volumes
from higgins.provision.groups import mark, name_of
from higgins.provision.ports import DEVICE_OWNER
from higgins.store import actions, hosts
from higgins.store.loops import ledger
from higgins.store.records import installation
from higgins.store.seal import Sealer, load_or_create_key
from higgins.store.session import Database
from tests.cloud.cloud_world import PATIENCE_S
from tests.cloud.faults.life import Lane
from tests.cloud.pictured import archive
from tests.whole import until

PODMAN = "unix:///run/higgins-podman.sock?installation="
PATIENT = ["sh", "-c", "trap exit TERM; sleep 1000 & wait"]
UNKNOWN_GIVEN = "which is no container here"
"""What an audit says of ports that others' tests have given to containers of theirs, at the same Neutron."""


class Orphanage:
    """Around one ``Site``. ``undo`` is left last in, first out, when all is over."""

    def __init__(self, site, label):
        self.site, self.folder, self.tenant = site, site.folder, site.tenant
        self.undo = contextlib.ExitStack()
        self.lane = Lane(site)
        self.db = Database(f"sqlite:///{site.folder}/higgins.db", durable=False)
        self.sealer = Sealer(load_or_create_key(site.folder / "secret.key"))
        password = (site.tenant.cloud.place / "secret" / "higgins").read_text().strip()
        session = Session(
            Account(auth_url="http://127.0.0.1:5000/v3", username="higgins", password=password, timeout_s=PATIENCE_S)
        )
        self.neutron, self.cinder = Neutron.of(session), open_cinder(session)
        self.glance, self.placement = Glance.of(session), Placement.of(session)
        self.admin, self.user = site.tenant.cloud.admin, site.tenant.openstack
        with self.db.read() as tx:
            self.installation = installation.uuid(tx)
            self.host = hosts.get(tx, site.hostname)
        self.mark = names.mark_of(str((site.folder / "agent").resolve()))
        self.engine = open_engine("podman", PODMAN + label)
        self.picture = self.user.image.create_image(
            name=f"{site.tenant.name}-box", data=archive(), container_format="docker", disk_format="raw"
        ).id

    # Its command, and its containers

    def audit(self, *words):
        """The real command: its exit status and its lines, without what it says of others' ports."""
        done = self.site.manage("audit", *words)
        assert done.stdout, done.stderr
        return done.returncode, [line for line in done.stdout.splitlines() if UNKNOWN_GIVEN not in line]

    def wish(self, **more):
        """The uuid of a container with all that a cloud gives, asked for."""
        body = self.lane.body(image=self.picture, volume=False) | {"command": PATIENT, **more}
        return self.lane.create(body)

    def rows(self, sql, **given):
        """What the database answers."""
        with self.db.read() as tx:
            return [tuple(row) for row in tx.connection.execute(sa.text(sql), given).fetchall()]

    def change(self, sql, **given):
        """Change the database behind the service's back."""
        with self.db.write() as tx:
            assert tx.change(sa.text(sql), given)

    def external(self, pod, kind):
        """What the ledger calls a pod's thing of a kind; ``None`` while it is not confirmed."""
        wanted = "SELECT external_id FROM ledger WHERE pod_uuid = :pod AND kind = :kind AND made_at IS NOT NULL"
        return next((one[0] for one in self.rows(wanted, pod=pod, kind=kind)), None)

    def note(self, pod, kind, key, external_id):
        """Write something into the ledger, confirmed."""
        with self.db.write() as tx:
            ledger.ask(tx, pod, [ledger.Asked(kind=kind, key=key)], host_id=self.host.id)
            answered = ledger.Answered(kind=kind, key=key, shape="", external_id=external_id)
            assert not ledger.made(tx, pod, [answered], self.sealer)

    def noted(self, pod, kind):
        """Whether the ledger has anything of a kind for a pod."""
        return bool(self.rows("SELECT 1 FROM ledger WHERE pod_uuid = :pod AND kind = :kind", pod=pod, kind=kind))

    def remembered(self):
        """A container that was, and of which only its actions are left."""
        pod = str(uuid.uuid4())
        with self.db.write() as tx:
            actions.start(tx, pod, self.tenant.project.id, "user", f"req-{pod}", "delete", 2)
            actions.finish(tx, pod, f"req-{pod}")
        return pod

    # What services have

    def port(self, pod, *, installed=None):
        """A port as provisioning makes it for a pod."""
        new = NewPort(
            network_id=self.tenant.networks[0], project_id=self.tenant.project.id, name=name_of(pod),
            description=mark(installed or self.installation), device_id=pod, device_owner=DEVICE_OWNER, host="node1",
        )  # fmt: skip
        return self.neutron.create_port(new).id

    def given_port(self, pod):
        """A port of the user's own, bound to a pod."""
        made = self.user.network.create_port(network_id=self.tenant.networks[0], name="of the user")
        self.admin.network.update_port(made, device_id=pod, device_owner=DEVICE_OWNER)
        return made.id

    def group(self, pod, *, installed=None):
        """A security group as provisioning makes it for a pod."""
        words = mark(installed or self.installation)
        project = self.tenant.project.id
        return self.neutron.create_security_group(name=name_of(pod), project_id=project, description=words).id

    def volume(self, pod=None, *, installed=None, copy_of=None):
        """A volume that is there: one that goes with a pod, the user's own, or his with all metadata of one that goes with a pod."""
        words = {volumes.FOR_INSTALLATION: installed or self.installation, volumes.FOR_POD: pod or ""}
        words |= {volumes.ITSELF: copy_of} if copy_of else {}
        made = self.user.block_storage.create_volume(size=1, name="planted", metadata=words if pod else {}).id
        return until(lambda: self.status(made) == "available" and made, "the volume is there")

    def attached(self, volume, pod, *, installed=None, complete=True):
        """An attachment of a volume to this host, for a pod."""
        with self.db.read() as tx:
            facts = hosts.get(tx, self.site.hostname).facts
        words = {"server": pod, "connector": json.loads(facts.connector), "mode": "rw"}
        made = self.cinder.attach(volume, mark=attachments.mark(installed or self.installation), **words)
        self.undo.callback(self.cinder.detach, made.id)
        if complete:
            self.cinder.complete(made.id)
        return made.id

    def half_image(self, pod, *, installed=None):
        """An image as a commit begins it."""
        words = {INSTALLATION: installed or self.installation, CONTAINER: pod}
        new = NewImage(uuid=str(uuid.uuid4()), name="half", disk_format="qcow2", properties=words)
        return self.glance.create(new, token=self.tenant.token()).uuid

    def take(self, consumer, amounts, *, kind="CONTAINER", provider=None):
        """Have a consumer take this of our host, whatever it took before."""
        before = self.placement.allocation(consumer)
        self.placement.allocate(
            Allocation(
                consumer=consumer, amounts={provider or self.host.uuid: amounts}, consumer_type=kind,
                project_id=self.tenant.project.id, user_id="user", generation=before and before.generation,
            )
        )  # fmt: skip

    def taken(self, consumer):
        """What a consumer takes, by provider; ``None`` when nothing."""
        found = self.placement.allocation(consumer)
        return found and {provider: dict(amounts) for provider, amounts in found.amounts.items()}

    def provider(self):
        """A provider of ours without a host, of which something is taken."""
        ident = str(uuid.uuid4())
        made = self.placement.create_provider(ident, f"{self.site.hostname}-gone")
        trait = resources.trait(self.installation)
        self.placement.make_trait(trait)
        self.placement.set_traits(ident, made.generation, [trait])
        return ident

    def has_port(self, ident):
        """Whether Neutron has it."""
        return bool(self.neutron.ports(id=ident))

    def device(self, port):
        """To what a port is bound."""
        return self.neutron.port(port).device_id

    def has_group(self, ident):
        """Whether Neutron has it."""
        return bool(self.neutron.security_groups(id=ident))

    def status(self, volume):
        """What Cinder says of a volume; ``None`` when it is gone."""
        return self._unless_gone(lambda: self.cinder.volume(volume).status)

    def has_attachment(self, ident):
        """Whether Cinder has it."""
        return self._unless_gone(lambda: self.cinder.attachment(ident)) is not None

    def has_image(self, ident):
        """Whether Glance has it."""
        return self._unless_gone(lambda: self.glance.get(ident)) is not None

    @staticmethod
    def _unless_gone(ask):
        with contextlib.suppress(errors.NotFound, errors.ImageNotFound):
            return ask()
        return None

    # What the host has

    def container(self, pod, engine=None):
        """A container of our label, for a pod."""
        spec = model.ContainerSpec(uuid=pod, name=f"planted-{pod[:8]}", image="busybox", command=("sleep", "1000"))
        (engine or self.engine).create(api.Creation(pod=pod, build=1, spec=spec, image="busybox", network="none"))

    def namespace(self, pod, mark=None):
        """The path of a namespace that is there now."""
        path = names.namespace(mark or self.mark, pod)
        kernel.make_namespace(path)
        return path

    def link(self, pod):
        """The name of a link that is there now, as the agent tags it."""
        port = str(uuid.uuid4())
        plug = model.Plug(port=port, network=port, mac="fa:16:3e:00:00:01", mtu=1400)
        tag = names.Tag(mark=self.mark, pod=pod, port=port, bridge=plug.bridge)
        kernel.make_pair(plug, tag, inside=None)
        return names.outer(port)

    def on_switch(self, pod):
        """The name of a port of the switch that is there now, as the agent marks it."""
        port = str(uuid.uuid4())
        ids = (f"external_ids:iface-id={port}", f"external_ids:higgins={self.mark}:{pod}")
        name = names.outer(port)
        vsctl("add-port", "br-int", name, "--", "set", "Interface", name, "type=internal", *ids)
        return name

    def mount(self, pod, volume, attachment):
        """Have a volume mounted for a pod, as an agent would; one that runs already does not know of it."""
        place = self.folder / "agent"
        hands = BlockVolumes(place / "volumes", place / "formatting", Brick(place / "locks"))
        connection = json.dumps(dict(self.cinder.attachment(attachment).connection))
        hands.attach(pod, model.VolumeGrant(uuid=volume, name=volume, driver="cinder", connection=connection))

    def is_mounted(self, volume):
        """Whether the host has it mounted."""
        return volume in table.mounts(self.folder / "agent" / "volumes" / "at")

    def restart_agent(self):
        """Another agent, once the controller knows it."""
        said = "The controller knows this host"
        before = self.site.log("agent", 10**7).count(said)
        if self.site.process("agent"):
            self.site.stop("agent")
        self.site.start("agent")
        until(lambda: self.site.log("agent", 10**7).count(said) > before, "the agent says hello")

    def close(self):
        """Delete every container, whoever made it, and then what else was planted."""
        with contextlib.suppress(Exception):
            if not self.site.process("agent"):
                self.restart_agent()
            left = [one["uuid"] for one in self.lane.ask("GET", "/v1/containers").json["containers"]]
            for pod in left:
                self.lane.delete(pod)
            for pod in left:
                self.lane.gone(pod)
        self.undo.close()
        for facts in self.engine.list():
            self.engine.remove(facts.uuid)
        self.engine.close()
        self.db.close()


def vsctl(*words):
    """What the switch's own command prints."""
    done = subprocess.run(["ovs-vsctl", "--timeout=10", *words], check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout.strip()


def loops():
    """The files behind loop devices."""
    listed = ["losetup", "--list", "--noheadings", "--output", "BACK-FILE"]
    return subprocess.run(listed, check=True, text=True, stdout=subprocess.PIPE).stdout
