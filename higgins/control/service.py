"""All use cases in one place, for whoever serves them (the HTTP API); built once by cmd."""

from __future__ import annotations

import dataclasses

from higgins.control.actions import Actions
from higgins.control.containers import Containers
from higgins.control.hosts import Hosts, Services, Zones
from higgins.control.images import Images
from higgins.control.live import Ask, Live
from higgins.control.means import Means
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


def build(means: Means, ask: Ask) -> Control:
    """The use cases over these means; ``ask`` is how agents are asked live questions."""
    live = Live(means, ask)
    return Control(
        containers=Containers(means, live),
        actions=Actions(means),
        images=Images(means),
        hosts=Hosts(means),
        services=Services(means),
        zones=Zones(means),
        quotas=Quotas(means),
        registries=Registries(means),
        networks=Networks(means),
        live=live,
        policy=means.policy,
    )
