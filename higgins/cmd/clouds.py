"""Builds from configuration what the control plane needs of an OpenStack around it; nothing at all where there is none.

The modules of ``higgins.cloud``, and those that build on them, are imported inside functions: without an OpenStack their libraries need not be there.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oslo_config import cfg

from higgins.api.identity import Identity
from higgins.cloud.services import Services
from higgins.core import errors
from higgins.provision.attachments import Attachments
from higgins.provision.audits import noted
from higgins.provision.audits.stray import Audit
from higgins.provision.kinds import Kind
from higgins.provision.volumes import NewVolumes, Volumes
from higgins.store.records import installation
from higgins.store.session import Database

if TYPE_CHECKING:
    from higgins.cloud.session import Session


def open_services(conf: cfg.ConfigOpts) -> Services | None:
    """The ports to the services that configuration chose; ``None`` when it chose none. Asks nobody yet.

    ``Invalid`` when something is chosen and the account is incomplete.
    """
    if not _chosen(conf):
        return None
    session = _session(conf)
    neutron = None
    if conf.cloud.network_driver == "neutron":
        from higgins.cloud.neutron import Neutron

        neutron = Neutron.of(session)
    cinder = None
    if "cinder" in conf.cloud.volume_drivers:
        from higgins.cloud.cinder import open_cinder

        cinder = open_cinder(session)
    glance = None
    if "glance" in conf.cloud.image_drivers:
        from higgins.cloud.glance import Glance

        glance = Glance.of(session)
    placement = None
    if conf.cloud.claims == "placement":
        from higgins.cloud.placement import Placement

        placement = Placement.of(session)
    return Services(session=session, neutron=neutron, cinder=cinder, glance=glance, placement=placement)


def open_kinds(services: Services | None, database: Database) -> list[Kind]:
    """The outside things that the provisioning loop makes and takes back."""
    kinds: list[Kind] = [Volumes(database)]
    if services is None:
        return kinds
    with database.read() as tx:
        installed = installation.uuid(tx)
    if services.neutron is not None:
        from higgins.provision.groups import SecurityGroups
        from higgins.provision.ports import Ports

        kinds += [SecurityGroups(services.neutron, installed), Ports(services.neutron, installed)]
    if services.glance is not None:
        from higgins.provision.images import Images

        kinds.append(Images(services.glance))
    if services.cinder is not None:
        kinds += [NewVolumes(services.cinder, installed), Attachments(services.cinder, installed)]
    if services.placement is not None:
        from higgins.provision.allocations import Allocations

        kinds.append(Allocations(services.placement))
    return kinds


def open_audits(services: Services | None, database: Database) -> list[Audit]:
    """How the ledger, and each service that configuration chose, is compared with the database."""
    kinds = open_kinds(services, database)
    audits = [Audit("Ledger", kinds, functools.partial(noted.strays, db=database), whole_ledger=True)]
    if services is None:
        return audits
    if services.neutron is not None:
        from higgins.provision.audits import neutron
        from higgins.provision.groups import SecurityGroups
        from higgins.provision.ports import Ports

        look = functools.partial(neutron.strays, neutron=services.neutron, db=database)
        audits.append(Audit("Neutron", _those(kinds, Ports, SecurityGroups), look))
    if services.placement is not None:
        from higgins.provision.allocations import Allocations
        from higgins.provision.audits import placement

        of_claims = functools.partial(placement.strays, placement=services.placement, db=database)
        audits.append(Audit("Placement", _those(kinds, Allocations), of_claims))
    if services.cinder is not None:
        from higgins.provision.audits import cinder

        of_volumes = functools.partial(cinder.strays, cinder=services.cinder, db=database)
        audits.append(Audit("Cinder", _those(kinds, NewVolumes, Attachments), of_volumes))
    if services.glance is not None:
        from higgins.provision.audits import glance

        of_images = functools.partial(glance.strays, glance=services.glance, db=database)
        audits.append(Audit("Glance", (), of_images))
    return audits


def _those(kinds: Sequence[Kind], *classes: type) -> list[Kind]:
    return [kind for kind in kinds if isinstance(kind, classes)]


def open_identity(conf: cfg.ConfigOpts) -> Identity:
    """Keystone as the one who says who calls, with what ``[keystone_authtoken]`` sets; ``Invalid`` when that is incomplete."""
    from keystonemiddleware import auth_token  # type: ignore[import-untyped]

    from higgins.api.identity.keystone import CACHE, Keystone

    group = "keystone_authtoken"
    for _, options in auth_token.list_opts():
        conf.register_opts(options, group=group)
    # Its own defaults let a Keystone that hangs hold a thread for ever, and one that is away for four tries.
    conf.set_default("http_connect_timeout", 10, group=group)
    conf.set_default("http_request_max_retries", 1, group=group)
    conf.set_default("service_type", "container", group=group)
    said = conf.keystone_authtoken
    if not said.www_authenticate_uri:
        raise errors.Invalid(
            "[identity] backend is keystone: set www_authenticate_uri, and the account that checks tokens, in [keystone_authtoken]."
        )
    # The catalogue is what access rules of application credentials are checked by.
    ours = {"delay_auth_decision": False, "include_service_catalog": True, "cache": CACHE}
    return Keystone(
        lambda app: auth_token.AuthProtocol(app, {**ours, "oslo_config_config": conf}),
        www_authenticate_uri=said.www_authenticate_uri,
        keep_s=conf.keystone.token_cache_s,
    )


def _chosen(conf: cfg.ConfigOpts) -> bool:
    chosen = conf.cloud
    return (
        chosen.network_driver == "neutron"
        or chosen.claims == "placement"
        or "cinder" in chosen.volume_drivers
        or "glance" in chosen.image_drivers
    )


def _session(conf: cfg.ConfigOpts) -> Session:
    said = conf.keystone
    if not said.auth_url or not said.password:
        raise errors.Invalid("[cloud] chooses services of an OpenStack: set auth_url and password in [keystone] too.")
    from higgins.cloud.session import Account, Session

    return Session(
        Account(
            auth_url=said.auth_url,
            username=said.username,
            password=said.password,
            project_name=said.project_name,
            user_domain=said.user_domain_name,
            project_domain=said.project_domain_name,
            region=said.region_name,
            interface=said.valid_interface,
            ca_file=said.cafile,
            timeout_s=float(said.timeout_s),
        )
    )
