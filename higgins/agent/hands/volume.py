"""Local volumes: kept by the engine under the name that the grant gives, with Higgins' label on them."""

from __future__ import annotations

from higgins.core import errors, model
from higgins.engine.api import Engine, HasVolumes


def create(engine: Engine, pod: str, grant: model.VolumeGrant) -> None:
    """Make a volume; nothing happens when it is there. ``Unsupported`` for a driver or an engine that cannot."""
    if grant.driver != "local":
        raise errors.Unsupported(f"This host cannot mount volumes of driver {grant.driver}; use a local volume.")
    _keeper(engine).create_volume(grant.name, {"higgins.pod": pod, "higgins.volume": grant.uuid})


def remove(engine: Engine, name: str) -> None:
    """Remove a volume with its data; nothing happens when it is not there."""
    _keeper(engine).remove_volume(name)


def _keeper(engine: Engine) -> HasVolumes:
    if not isinstance(engine, HasVolumes):
        raise errors.Unsupported(f"The engine {engine.name} on this host keeps no volumes; create it without mounts.")
    return engine
