"""The bridge's end of a link: os-vif puts it on Open vSwitch and takes it off again. It knows neither namespaces nor containers.

os-vif runs inside the agent, which is root: without the helper process that it would start for each privilege. It is loaded when
the first port is plugged, and keeps its connection to the switch's database, whose rows it mirrors, so that reading them asks nobody.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from higgins.agent.hands.foreign import need_root, quiet_imports
from higgins.agent.hands.network import names
from higgins.core import errors, model

LOG = logging.getLogger(__name__)
ANSWER_TIMEOUT_S = 15
OURS = "higgins"
KINDS = ("ovs",)


class Switch:
    """Open vSwitch on this host, at ``connection`` (``unix:PATH`` or ``tcp:ADDRESS:PORT``); every method may be called from any thread."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._vif: Any = None
        self._objects: Any = None
        self._rows: Any = None
        self._transaction: Any = None

    def plug(self, pod: str, plug: model.Plug, mark: str) -> None:
        """Put the outer end of a port's link on its bridge, and say there whose it is; nothing changes when it is so."""
        self._ready()
        with self._translated(f"plug port {plug.port}"):
            self._vif.plug(self._described(plug), self._owner(pod))
            # Of no concern to the switch, which need not set itself up once more before this is done: one of the database alone.
            with self._transaction(self._rows, self._rows.ovsdb_connection, check_error=True) as only_noted:
                whose = ("external_ids", {OURS: f"{mark}:{pod}"})
                only_noted.add(self._rows.db_set("Interface", names.outer(plug.port), whose))

    def unplug(self, pod: str, plug: model.Plug) -> None:
        """Take it off its bridge, and the link with it; nothing happens when it is not there."""
        self._ready()
        with self._translated(f"unplug port {plug.port}"):
            self._vif.unplug(self._described(plug), self._owner(pod))

    def has(self, port: str) -> bool:
        """Whether a port is on a bridge as it was plugged."""
        self._ready()
        with self._translated("tell what is plugged"):
            row = self._rows.lookup("Interface", names.outer(port), None)
            return row is not None and row.external_ids.get("iface-id") == port and OURS in row.external_ids

    def ports(self, mark: str) -> dict[str, str]:
        """Ports that an agent plugged, and the pod of each."""
        self._ready()
        with self._translated("tell what is plugged"):
            rows = self._rows.db_list("Interface", columns=["external_ids"]).execute(check_error=True)
        found = {}
        for row in rows:
            ids = row["external_ids"]
            whose, _, pod = ids.get(OURS, "").partition(":")
            if whose == mark:
                found[ids.get("iface-id", "")] = pod
        return found

    def _ready(self) -> None:
        with self._lock:
            if self._vif is None:
                self._load()

    def _load(self) -> None:
        need_root("plug networks")
        with self._translated("speak to Open vSwitch"):
            with quiet_imports("plug networks"):
                import os_vif
                from os_vif import objects
                from oslo_config import cfg
                from ovsdbapp.backend.ovs_idl.transaction import Transaction
                from vif_plug_ovs import privsep

                cfg.CONF([], project="os-vif", default_config_files=[], default_config_dirs=[])
                os_vif.initialize()  # imports more
            privsep.vif_plug.set_client_mode(False)
            # os-vif gives no way to its own connection but through the plugin that it has loaded.
            plugin = os_vif._EXT_MANAGER["ovs"].obj
            plugin.ovsdb.connection, plugin.ovsdb.timeout = self._connection, ANSWER_TIMEOUT_S
            rows = plugin.ovsdb.ovsdb
            plugin.ovsdb.ensure_ovs_bridge = unless_it_is_so(rows, plugin.ovsdb.ensure_ovs_bridge)
        self._vif, self._objects, self._rows, self._transaction = os_vif, objects, rows, Transaction

    def _described(self, plug: model.Plug) -> Any:
        if plug.vif_type not in KINDS:
            raise errors.Unsupported(
                f"Port {plug.port} is bound as '{plug.vif_type}', which containers cannot use here; ports must be bound as ovs."
            )
        vif, network = self._objects.vif, self._objects.network
        profile = vif.VIFPortProfileOpenVSwitch(interface_id=plug.port, create_port=True)
        if plug.datapath_type:
            profile.datapath_type = plug.datapath_type
        return vif.VIFOpenVSwitch(
            id=plug.port,
            address=plug.mac,
            vif_name=names.outer(plug.port),
            bridge_name=plug.bridge,
            port_profile=profile,
            plugin="ovs",
            network=network.Network(id=plug.network, bridge=plug.bridge, mtu=plug.mtu),
            active=True,
            preserve_on_delete=plug.given,
            has_traffic_filtering=True,
        )

    def _owner(self, pod: str) -> Any:
        return self._objects.instance_info.InstanceInfo(uuid=pod, name=f"higgins-{pod}")

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Errors of os-vif, of its database library and of the kernel, as ours. They share no class but Exception."""
        try:
            yield
        except errors.HigginsError:
            raise
        except Exception as problem:
            LOG.warning("Open vSwitch at %s: cannot %s: %s", self._connection, what, problem)
            raise errors.NotReady(
                f"The host could not {what}: Open vSwitch at {self._connection} does not do it ({type(problem).__name__})."
            ) from problem


def unless_it_is_so(rows: Any, ensure: Callable[[str, str | None], object]) -> Callable[[str, str | None], None]:
    """os-vif's ``ensure`` has the bridge made before each port; though nothing is to be made, the switch sets itself up anew, and is waited for."""

    def ensure_unless(bridge: str, datapath_type: str | None) -> None:
        row = rows.lookup("Bridge", bridge, None)
        if row is None or row.datapath_type != datapath_type:
            ensure(bridge, datapath_type)

    return ensure_unless
