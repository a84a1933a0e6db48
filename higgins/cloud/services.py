"""The ports to the cloud's services that this installation uses, handed round as one. Knows none of what they do."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # an installation without an OpenStack has no keystoneauth1, and no memory for it
    from higgins.cloud.cinder import Cinder
    from higgins.cloud.glance import Glance
    from higgins.cloud.neutron import Neutron
    from higgins.cloud.placement import Placement
    from higgins.cloud.session import Session


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One port for each service that configuration chose, ``None`` for the others. Made once by cmd, shared by all threads.

    All ports ask as the service itself over ``session``, or with a user's token given to a call.
    """

    session: Session
    cinder: Cinder | None = None
    glance: Glance | None = None
    neutron: Neutron | None = None
    placement: Placement | None = None
