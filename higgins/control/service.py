"""All use cases in one place, for whoever serves them (the HTTP API); built once by cmd."""

from __future__ import annotations

import dataclasses

from higgins.control.actions import Actions
from higgins.control.containers import Containers
from higgins.control.hosts import Hosts, Services, Zones
from higgins.control.images import Images
from higgins.control.live import Live
from higgins.control.networks import Networks
from higgins.control.quotas import Quotas
from higgins.control.registries import Registries
from higgins.policy.enforce import Policy


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The use cases. ``policy`` is here for views: which gated fields a caller sees is asked once a request."""

    containers: Containers
    actions: Actions
    images: Images
    hosts: Hosts
    services: Services
    zones: Zones
    quotas: Quotas
    registries: Registries
    networks: Networks
    live: Live
    policy: Policy
