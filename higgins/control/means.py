"""What every use case works with, handed round as one; built once by cmd and shared by all threads."""

from __future__ import annotations

import dataclasses

from higgins.cloud.services import Services
from higgins.control.settings import Settings
from higgins.policy.enforce import Policy
from higgins.store.seal import Sealer
from higgins.store.session import Database
from higgins.wire.hints import AfterWish


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Store, policy, settings and hint. ``installation`` is the installation's uuid; ``services`` is ``None`` without an OpenStack around."""

    db: Database
    sealer: Sealer
    policy: Policy
    hint: AfterWish
    installation: str
    settings: Settings = dataclasses.field(default_factory=Settings)
    services: Services | None = None
